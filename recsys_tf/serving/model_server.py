"""`run.py serve`: TensorFlow's own model server where there is one, else the local one that keeps its contract."""

import shutil
import sys
from dataclasses import replace
from pathlib import Path

from recsys_tf.config import ServeConfig
from recsys_tf.errors import InputError
from recsys_tf.serving.model_config import configured_models
from recsys_tf.serving.official_server import BINARY, Ports, become, binary_command, docker_command
from recsys_tf.serving.server.listening import listening_socket


def serve(config: ServeConfig) -> None:
    """Serve the configured models until Ctrl-C or SIGTERM.

    With `--docker`, or where `tensorflow_model_server` is on the PATH, this process becomes that server and never
    returns. Raises InputError for models that cannot be found, for a port in use, and for Docker that is not there.
    """
    if config.model_config_file is None and config.model == ServeConfig.model:
        config = replace(config, model=_existing(config.model))
    models = configured_models(config.model, config.model_config_file)
    # Taken and let go at once: what cannot be served is said before TensorFlow takes seconds to load.
    rest = _free_port(config.host, config.rest_port, "--rest-port")
    ports = Ports(rest, _free_port(config.host, config.grpc_port, "--grpc-port") if config.grpc_port >= 0 else 0)
    program = shutil.which("docker" if config.docker else BINARY)
    if program is None and config.docker:
        raise InputError("there is no `docker` on the PATH")
    if program is None:
        from recsys_tf.serving.server.main import serve_locally

        serve_locally(config)
        return
    command = docker_command(models, config, ports) if config.docker else binary_command(models, config, ports)
    reach = config.host if config.docker else "every address of this machine"
    sys.stdout.write(f"{program} serves {', '.join(models)} on port {ports.rest}, on {reach}\n")
    sys.stdout.flush()
    become(command, program)


def _existing(models: tuple[str, ...]) -> tuple[str, ...]:
    """Leave out, with a line, what nobody has trained of the models that are served where none is named."""
    folders = {model: Path(model.partition("=")[2]) for model in models}
    if not any(folder.is_dir() for folder in folders.values()):
        raise InputError(
            "there is no such folder; `run.py train` makes them", file=" and ".join(map(str, folders.values()))
        )
    for folder in folders.values():
        if not folder.is_dir():
            print(f"{folder}: there is no such folder; served without it", flush=True)
    return tuple(model for model, folder in folders.items() if folder.is_dir())


def _free_port(host: str, port: int, option: str) -> int:
    """Find a port for a server that takes 0 for "not at all"."""
    with listening_socket(host, port, option) as listener:
        found: int = listener.getsockname()[1]
    return found
