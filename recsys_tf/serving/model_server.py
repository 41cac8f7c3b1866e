"""`run.py serve`: TensorFlow's own model server when it is installed, else the local one with the same REST paths."""

import os
import shutil
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from recsys_tf.config import ServeConfig
from recsys_tf.serving.model_folders import model_folders
from recsys_tf.serving.server.listening import listening_socket

_BINARY = "tensorflow_model_server"


def serve(config: ServeConfig) -> None:
    """Serve the configured models until Ctrl-C or SIGTERM.

    When `tensorflow_model_server` is on the PATH, this process becomes that server and never returns.
    Raises InputError for models that cannot be found and for a port in use.
    """
    folders = model_folders(config.model)
    # Taken and let go at once: what cannot be served is said before TensorFlow takes seconds to load.
    with listening_socket(config.host, config.rest_port) as listener:
        # The binary takes port 0 for "no REST at all", so a free port is found for it.
        port: int = listener.getsockname()[1]
    binary = shutil.which(_BINARY)
    if binary is None:
        from recsys_tf.serving.server.main import serve_locally

        serve_locally(config)
        return
    arguments = [_BINARY, *_model_arguments(folders), *_server_arguments(port, config.poll_seconds)]
    sys.stdout.write(f"{binary} serves {', '.join(folders)} on port {port}, on every address of this machine\n")
    sys.stdout.flush()
    os.execv(binary, arguments)


def _server_arguments(port: int, poll_seconds: float) -> list[str]:
    whole_seconds = max(1, round(poll_seconds))
    return [f"--rest_api_port={port}", "--port=0", f"--file_system_poll_wait_seconds={whole_seconds}"]


def _model_arguments(folders: Mapping[str, Path]) -> list[str]:
    if len(folders) == 1:
        [(name, folder)] = folders.items()
        return [f"--model_name={name}", f"--model_base_path={folder}"]
    # The file has to outlive this process, which becomes the server that reads it.
    handle, path = tempfile.mkstemp(prefix="models.", suffix=".config")
    with os.fdopen(handle, "w", encoding="utf-8") as stream:
        stream.write(model_config(folders))
    return [f"--model_config_file={path}"]


def model_config(folders: Mapping[str, Path]) -> str:
    """Write the text form of TensorFlow Serving's ModelServerConfig for models by name."""
    from google.protobuf import text_format  # type: ignore[import-untyped]
    from tensorflow_serving.config import model_server_config_pb2

    config = model_server_config_pb2.ModelServerConfig()
    for name, folder in folders.items():
        config.model_config_list.config.add(name=name, base_path=str(folder), model_platform="tensorflow")
    return str(text_format.MessageToString(config))
