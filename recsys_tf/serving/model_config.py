"""What is to be served: models by name, each with its folder, the versions that are wanted, and labels for them.

Given on the command line (NAME=FOLDER) or in TensorFlow Serving's own form, a text file of ModelServerConfig.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from google.protobuf import text_format  # type: ignore[import-untyped]
from tensorflow_serving.config import model_server_config_pb2

from recsys_tf.errors import InputError
from recsys_tf.serving.model_folders import model_folders

PLATFORM = "tensorflow"


@dataclass(frozen=True)
class Wanted:
    """Which versions of a model are to be served: the newest so many, or those with the given numbers, or all."""

    latest: int = 1
    specific: tuple[int, ...] = ()
    everything: bool = False

    def among(self, newest_first: Iterable[int]) -> list[int]:
        """Keep the versions that may be served, in the order given; `latest` counts what can be loaded, not these."""
        return [number for number in newest_first if not self.specific or number in self.specific]

    @property
    def most(self) -> float:
        """How many versions are served at once at most."""
        return float("inf") if self.everything or self.specific else self.latest


@dataclass(frozen=True)
class ModelConfig:
    """One model: its folder, with numeric version folders inside, the versions wanted, and label → version."""

    folder: Path
    wanted: Wanted = Wanted()
    labels: dict[str, int] = field(default_factory=dict)


def configured_models(models: Iterable[str], file: Path | None = None) -> dict[str, ModelConfig]:
    """Read what is to be served from a configuration file, or without one from NAME=FOLDER.

    Raises InputError for either in a form that cannot be served.
    """
    if file is None:
        return {name: ModelConfig(folder) for name, folder in model_folders(models).items()}
    if not file.is_file():
        raise InputError("there is no such file", file=file)
    message = model_server_config_pb2.ModelServerConfig()
    try:
        text_format.Parse(file.read_text(encoding="utf-8"), message)
        return models_of(message)
    except (text_format.ParseError, UnicodeDecodeError, ValueError) as error:
        raise InputError(str(error), file=file) from error


def models_of(message: Any) -> dict[str, ModelConfig]:
    """Read a ModelServerConfig. Raises ValueError for one that cannot be served."""
    if message.WhichOneof("config") != "model_config_list":
        raise ValueError("the configuration holds no model_config_list")
    models: dict[str, ModelConfig] = {}
    for one in message.model_config_list.config:
        if not one.name or "/" in one.name or ":" in one.name:
            raise ValueError(f"{one.name!r} is no name for a model: it must not be empty nor hold a '/' or a ':'")
        if one.name in models:
            raise ValueError(f"the model name {one.name!r} is given twice")
        if one.model_platform not in ("", PLATFORM):
            raise ValueError(f"model {one.name!r}: the platform {one.model_platform!r} is not {PLATFORM!r}")
        folder = Path(one.base_path)
        if not folder.is_absolute():
            raise ValueError(f"model {one.name!r}: the base path {one.base_path!r} is not absolute")
        models[one.name] = ModelConfig(folder, _wanted(one), dict(one.version_labels))
    return models


def _wanted(one: Any) -> Wanted:
    policy = one.model_version_policy
    match policy.WhichOneof("policy_choice"):
        case "specific":
            if not policy.specific.versions:
                raise ValueError(f"model {one.name!r}: the policy `specific` names no version")
            return Wanted(specific=tuple(policy.specific.versions))
        case "all":
            return Wanted(everything=True)
        case _:
            return Wanted(latest=policy.latest.num_versions or 1)


def config_text(models: dict[str, ModelConfig]) -> str:
    """Write the text form of ModelServerConfig, for TensorFlow Serving to read."""
    message = model_server_config_pb2.ModelServerConfig()
    for name, model in models.items():
        one = message.model_config_list.config.add(
            name=name, base_path=str(model.folder), model_platform=PLATFORM, version_labels=model.labels
        )
        if model.wanted.specific:
            one.model_version_policy.specific.versions.extend(model.wanted.specific)
        elif model.wanted.everything:
            one.model_version_policy.all.SetInParent()
        elif model.wanted.latest != 1:
            one.model_version_policy.latest.num_versions = model.wanted.latest
    return str(text_format.MessageToString(message))
