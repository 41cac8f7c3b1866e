"""`run.py serve`: TensorFlow's own model server when it is installed, else the local one with the same REST paths."""

import os
import shutil
import sys
import tempfile
from collections.abc import Mapping

from recsys_tf.config import ServeConfig
from recsys_tf.serving.model_config import ModelConfig, config_text, configured_models
from recsys_tf.serving.server.batching_parameters import read_batching_parameters
from recsys_tf.serving.server.listening import listening_socket

_BINARY = "tensorflow_model_server"


def serve(config: ServeConfig) -> None:
    """Serve the configured models until Ctrl-C or SIGTERM.

    When `tensorflow_model_server` is on the PATH, this process becomes that server and never returns.
    Raises InputError for models that cannot be found and for a port in use.
    """
    models = configured_models(config.model, config.model_config_file)
    # Taken and let go at once: what cannot be served is said before TensorFlow takes seconds to load.
    rest_port = _free_port(config.host, config.rest_port, "--rest-port")
    grpc_port = _free_port(config.host, config.grpc_port, "--grpc-port") if config.grpc_port >= 0 else 0
    binary = shutil.which(_BINARY)
    if binary is None:
        from recsys_tf.serving.server.main import serve_locally

        serve_locally(config)
        return
    arguments = [_BINARY, *_model_arguments(models), *_server_arguments(rest_port, grpc_port, config)]
    sys.stdout.write(f"{binary} serves {', '.join(models)} on port {rest_port}, on every address of this machine\n")
    sys.stdout.flush()
    os.execv(binary, arguments)


def _free_port(host: str, port: int, option: str) -> int:
    """Find a port for the binary, which takes 0 for "not at all"."""
    with listening_socket(host, port, option) as listener:
        found: int = listener.getsockname()[1]
    return found


def _server_arguments(rest_port: int, grpc_port: int, config: ServeConfig) -> list[str]:
    batching = ["--enable_batching=true"] if config.enable_batching else []
    if config.enable_batching and config.batching_parameters_file is not None:
        read_batching_parameters(config.batching_parameters_file)
        batching.append(f"--batching_parameters_file={config.batching_parameters_file.absolute()}")
    return [
        *batching,
        f"--rest_api_port={rest_port}",
        f"--port={grpc_port}",
        f"--file_system_poll_wait_seconds={max(1, round(config.poll_seconds))}",
        f"--rest_api_timeout_in_ms={round(config.request_timeout_seconds * 1000)}",
    ]


def _model_arguments(models: Mapping[str, ModelConfig]) -> list[str]:
    if len(models) == 1:
        [(name, model)] = models.items()
        if model == ModelConfig(model.folder):
            return [f"--model_name={name}", f"--model_base_path={model.folder}"]
    # The file has to outlive this process, which becomes the server that reads it.
    handle, path = tempfile.mkstemp(prefix="models.", suffix=".config")
    with os.fdopen(handle, "w", encoding="utf-8") as stream:
        stream.write(config_text(dict(models)))
    # Labels may name versions that are still being loaded.
    return [f"--model_config_file={path}", "--allow_version_labels_for_unavailable_models=true"]
