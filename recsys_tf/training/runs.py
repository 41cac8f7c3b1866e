"""A run's folder: the resolved configuration, the weights, and what they were made with.

data/runs/<run>/
  config.json      every setting of the run; `--config` takes it back
  run.json         seed, versions, machine, commit, history per epoch: what it reached and what it cost
  classifier/, two_tower/
    weights.h5     the weights of the best epoch, or of the last
    mixture.npz    two-tower: weights and counts of the mixture, where it helps
    tensorboard/   logs for TensorBoard
  attack/          what can be told of who was trained on (`run.py attack`)
  heads/<name>/    small models on the frozen representation, with their reports (`train --head NAME`)
  clean/           the two clean tables, rejects.csv and the quality report (when the run began with a raw log)
  prepared/        vocabularies, scalers, shards
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tensorflow as tf

from recsys_tf.config import ModelChoice, TrainConfig
from recsys_tf.config_json import from_json, to_json
from recsys_tf.environment import describe_environment
from recsys_tf.errors import InputError
from recsys_tf.models.mixture import Mixture
from recsys_tf.models.retrieval import Retrieval
from recsys_tf.sequences.dataset import PreparedData, open_prepared
from recsys_tf.training.fit import History, new_classifier
from recsys_tf.training.fit_mixture import load_mixture
from recsys_tf.training.fit_two_tower import new_two_tower

RUNS = Path("data/runs")


@dataclass(frozen=True)
class Run:
    """A finished training."""

    directory: Path
    config: TrainConfig
    facts: dict[str, Any]
    data: PreparedData

    @property
    def models(self) -> tuple[str, ...]:
        """Names of the models that were trained."""
        return model_names(self.config.model)


@dataclass(frozen=True)
class Fitted:
    """What a training leaves besides the weights: the history per epoch, and the number of weights."""

    history: History
    parameters: int


def chosen_run(run: str) -> Path:
    """Return the run that was named, or the newest one. Raises InputError when there is none."""
    if run:
        return Path(run)
    finished = [path.parent for path in RUNS.glob("*/run.json")] if RUNS.is_dir() else []
    if not finished:
        raise InputError("no finished run here; `python run.py train` makes one", file=RUNS)
    return max(finished, key=lambda path: (path / "run.json").stat().st_mtime)


def head_folder(run: Run, name: str) -> Path:
    """Return where a head on the run's frozen representation is kept."""
    return run.directory / "heads" / name


def model_names(choice: ModelChoice) -> tuple[str, ...]:
    """Name the models that a choice stands for."""
    return ("classifier", "two_tower") if choice == "all" else (choice,)


def run_directory(config: TrainConfig) -> Path:
    """Return where a run is written: the folder that the configuration names, or one named after what it trains."""
    if config.run:
        return Path(config.run)
    match config.model:
        case "classifier":
            name = f"classifier-{config.classifier.inputs}-{config.classifier.target}"
        case "two_tower":
            name = f"two_tower-{config.two_tower.encoder}-{config.two_tower.loss}"
        case "all":
            name = "all"
    return RUNS / name


def write_run(directory: Path, config: TrainConfig, prepared: Path, fitted: dict[str, Fitted]) -> None:
    """Write config.json and run.json.

    prepared: where the data set lies, kept relative when it lies in the run. fitted: by the name of the model.
    """
    inside = prepared.is_relative_to(directory)
    facts = {
        **describe_environment(),
        "seeds": {"classifier": config.fit.seed, "two_tower": config.two_tower_fit.seed},
        "prepared": prepared.relative_to(directory).as_posix() if inside else str(prepared),
        "parameters": {name: one.parameters for name, one in fitted.items()},
        "epochs": {name: len(one.history["loss"]) for name, one in fitted.items()},
        "history": {name: one.history for name, one in fitted.items()},
    }
    _write_json(directory / "config.json", to_json(config))
    _write_json(directory / "run.json", facts)


def open_run(directory: Path) -> Run:
    """Open what `run.py train` wrote. Raises InputError when it is missing or damaged."""
    config = from_json(TrainConfig, _read_json(directory / "config.json"), directory / "config.json")
    facts = _read_json(directory / "run.json")
    if not isinstance(facts.get("prepared"), str):
        raise InputError("this is not the run record that was written here", file=directory / "run.json")
    prepared = directory / facts["prepared"]  # an absolute path replaces the folder
    return Run(directory, config, facts, open_prepared(prepared))


def load_classifier(run: Run) -> tf.keras.Sequential:
    """Build the run's classifier, answering for the last event of a history, with its best weights."""
    model = new_classifier(run.data, run.config.classifier, every_position=False)
    _load_weights(model, run.directory / "classifier" / "weights.h5")
    return model


def load_two_tower(run: Run, static_shapes: bool = False) -> Retrieval:
    """Build the run's two-tower model with its best weights, and the mixture on top of it where there is one."""
    model = new_two_tower(run.data, run.config.two_tower, static_shapes=static_shapes)
    _load_weights(model, run.directory / "two_tower" / "weights.h5")
    path = run.directory / "two_tower" / "mixture.npz"
    mixture = Mixture(*load_mixture(path)) if path.is_file() else None
    return Retrieval(model, run.data.space, mixture)


def _load_weights(model: tf.keras.Model, path: Path) -> None:
    if not path.is_file():
        raise InputError("the weights are missing; train again", file=path)
    try:
        model.load_weights(str(path))
    except (OSError, ValueError) as error:
        raise InputError(f"these weights do not fit the run's configuration ({error})", file=path) from error


def _write_json(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _read_json(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise InputError("no finished run here; `python run.py train` makes one", file=path)
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise InputError(f"this is not the JSON that was written here ({error})", file=path) from error
    if not isinstance(value, dict):
        raise InputError("this is not the JSON object that was written here", file=path)
    return value
