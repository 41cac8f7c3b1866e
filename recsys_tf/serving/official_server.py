"""Start TensorFlow's own model server, from the PATH or in Docker, with what `run.py serve` was told.

Its configuration is written as the files that it reads; they outlive this process, which becomes that server.
"""

import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from recsys_tf.config import ServeConfig
from recsys_tf.serving.model_config import ModelConfig, config_text
from recsys_tf.serving.server.batching_parameters import BatchingParameters, batching_text, read_batching_parameters
from recsys_tf.serving.server.observing import METRICS_PATH

BINARY = "tensorflow_model_server"
# Ports, models and configuration as a container sees them.
_REST_PORT, _GRPC_PORT, _MODELS, _CONFIG = 8501, 8500, Path("/models"), Path("/config")
_MONITORING = f'prometheus_config {{ enable: true path: "{METRICS_PATH}" }}\n'


@dataclass(frozen=True)
class Ports:
    """Where clients find the server; no gRPC for 0."""

    rest: int
    grpc: int


def binary_command(models: Mapping[str, ModelConfig], config: ServeConfig, ports: Ports) -> list[str]:
    """Return the command line of `tensorflow_model_server` for models in folders of this machine.

    Raises InputError for batching parameters that cannot be used.
    """
    written = _written(models, config)
    return [BINARY, *_flags(written, config, ports)]


def docker_command(models: Mapping[str, ModelConfig], config: ServeConfig, ports: Ports) -> list[str]:
    """Return the command line of `docker run` for the same server: folders are mounted, read-only, ports published.

    Raises InputError for batching parameters that cannot be used.
    """
    inside = {name: replace(model, folder=_MODELS / name) for name, model in models.items()}
    written = _written(inside, config)
    mounts = [f"--volume={model.folder}:{inside[name].folder}:ro" for name, model in models.items()]
    published = [f"--publish={config.host}:{ports.rest}:{_REST_PORT}"]
    if ports.grpc:
        published.append(f"--publish={config.host}:{ports.grpc}:{_GRPC_PORT}")
    container = Ports(_REST_PORT, _GRPC_PORT if ports.grpc else 0)
    return [
        *["docker", "run", "--rm", *published, *mounts, f"--volume={written}:{_CONFIG}:ro"],
        *[f"--entrypoint={BINARY}", config.docker_image],
        *_flags(_CONFIG, config, container),
    ]


def _written(models: Mapping[str, ModelConfig], config: ServeConfig) -> Path:
    """Write the files of the configuration to a new folder."""
    folder = Path(tempfile.mkdtemp(prefix="recsys_tf.serving."))
    folder.chmod(0o755)
    (folder / "models.config").write_text(config_text(dict(models)), encoding="utf-8")
    (folder / "monitoring.config").write_text(_MONITORING, encoding="utf-8")
    if config.enable_batching:
        file = config.batching_parameters_file
        parameters = BatchingParameters() if file is None else read_batching_parameters(file)
        (folder / "batching.config").write_text(batching_text(parameters), encoding="utf-8")
    return folder


def _flags(folder: Path, config: ServeConfig, ports: Ports) -> list[str]:
    """folder: where the server finds its files."""
    batching = ["--enable_batching=true", f"--batching_parameters_file={folder / 'batching.config'}"]
    return [
        f"--rest_api_port={ports.rest}",
        f"--port={ports.grpc}",
        f"--model_config_file={folder / 'models.config'}",
        # Labels may name versions that are still being loaded.
        "--allow_version_labels_for_unavailable_models=true",
        f"--monitoring_config_file={folder / 'monitoring.config'}",
        f"--file_system_poll_wait_seconds={max(1, round(config.poll_seconds))}",
        f"--rest_api_timeout_in_ms={round(config.request_timeout_seconds * 1000)}",
        *(batching if config.enable_batching else []),
    ]


def become(command: list[str], program: str) -> None:
    """Replace this process by the program; it never returns."""
    os.execv(program, command)
