"""Publish a run's model as the next numeric version of a SavedModel, so that a server never sees half of one.

<output>/<name>/<version>/
    saved_model.pb, variables/            what is served
    assets.extra/                         warm-up requests, model card; clients do not see them

A version is complete, checked and warmed up under a temporary name before it is renamed; nothing is ever overwritten.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from recsys_tf.config import ExportConfig
from recsys_tf.disk_errors import as_os_errors
from recsys_tf.errors import InputError
from recsys_tf.evaluation.predictions import item_representations
from recsys_tf.heads.ads import AdsHead
from recsys_tf.heads.risk import RiskHead
from recsys_tf.heads.service import ServiceHead
from recsys_tf.publishing import published_directory
from recsys_tf.sequences.dataset import read_users
from recsys_tf.sequences.feature_space import FeatureSpace
from recsys_tf.sequences.labels import class_names
from recsys_tf.serving.ads_signatures import AdsSignatures
from recsys_tf.serving.check_export import check_export
from recsys_tf.serving.example_requests import Request, example_requests
from recsys_tf.serving.halved_signatures import HalvedSignatures
from recsys_tf.serving.history import HistoryIds
from recsys_tf.serving.model_card import write_model_card
from recsys_tf.serving.model_folders import version_folders
from recsys_tf.serving.origins import origin_of_run, origin_of_version
from recsys_tf.serving.requirements import check_requirements
from recsys_tf.serving.risk_signatures import RiskSignatures
from recsys_tf.serving.service_signatures import ServiceSignatures
from recsys_tf.serving.signatures import ClassifierSignatures
from recsys_tf.serving.two_tower_signatures import SignatureSource, TwoTowerSignatures
from recsys_tf.serving.warm_up_requests import write_warm_up
from recsys_tf.training.forgotten import read_run_facts, refuse_forgotten
from recsys_tf.training.runs import Run, head_folder, load_classifier, load_two_tower

_ROLLED_BACK = "rolled-back-"


def export_models(run: Run, config: ExportConfig) -> list[Path]:
    """Publish every model of a run and return the folders of the versions.

    Raises InputError, with nothing published, when a figure that is required is not reached, and for a run that learned
    from a user who was forgotten since.
    """
    refuse_forgotten(run)
    check_requirements(run, config.require)
    return [export_model(run, name, config) for name in run.models]


def export_model(run: Run, name: str, config: ExportConfig) -> Path:
    """Write <output>/<name>/<version>/ under a temporary name, check it, rename it, and return the folder.

    Traced on the CPU whatever the machine has: an LSTM traced on a GPU does not load without one. Raises InputError for
    a SavedModel that does not answer as the training code does; it is not published then.
    """
    with tf.device("/CPU:0"):
        build = classifier_signatures if name == "classifier" else two_tower_signatures
        module: ClassifierSignatures | TwoTowerSignatures = build(run, config)
        signatures = module.signatures()
        requests = example_requests(run.data, name, optional=signatures)
        if "embed_ids" in signatures:
            requests.append(embed_ids_request(signatures["look_up"], requests, config.static_rows))
        target = config.output / name / str(_next_version(config.output / name))
        with published_directory(target) as temporary:
            with as_os_errors(target):
                tf.saved_model.save(module, str(temporary), signatures=signatures)
                write_warm_up(temporary, name, requests)
                write_model_card(temporary, run, name, config.terms)
            expected = [_answer(signatures[one.signature], one.inputs) for one in requests]
            check_export(temporary, requests, expected, _users(run), _known_text(run.data.space))
    return target


def roll_back_run(run: Run, output: Path) -> list[str]:
    """Take the newest version of each model of a run out of service; return a line for each.

    Raises InputError, with nothing changed, when a model has no other version, or the newest is another run's.
    """
    folders = [output / name for name in run.models]
    for folder in folders:
        _check_not_the_only_one(folder)
        _check_exported_from(run, newest_version(folder))
    lines = []
    for folder in folders:
        kept, left = roll_back(folder)
        gone = kept.name.removeprefix(_ROLLED_BACK)
        lines.append(
            f"{folder.name}: version {gone} is out of service, it stays as {kept.name}; version {left} serves again"
        )
    return lines


def roll_back(folder: Path) -> tuple[Path, int]:
    """Take the newest version in a model's folder out of service; return where it is kept, and what serves then.

    It is kept beside the others under a name that servers ignore. Raises InputError when there is no other version.
    """
    _check_not_the_only_one(folder)
    newest = newest_version(folder)
    kept = newest.rename(folder / f"{_ROLLED_BACK}{newest.name}")
    return kept, max(version_folders(folder))


def _check_not_the_only_one(folder: Path) -> None:
    newest = newest_version(folder)
    if len(version_folders(folder)) == 1:
        raise InputError(f"version {newest.name} is the only one: nothing would be served", file=folder)


def _check_exported_from(run: Run, version: Path) -> None:
    """Raise InputError for a version of another run beside this one; runs that are gone can be named by nobody."""
    origin = origin_of_version(version)
    if origin in (None, origin_of_run(run.facts)):
        return
    for other in sorted(path.parent for path in run.directory.absolute().parent.glob("*/run.json")):
        facts = read_run_facts(other)
        if facts is not None and origin == origin_of_run(facts):
            named = run.directory.parent / other.name
            raise InputError(
                f"version {version.name} was exported from {named}, not from {run.directory}", file=version.parent
            )


def classifier_signatures(run: Run, config: ExportConfig) -> ClassifierSignatures:
    """Put a run's model, features, classes and item vectors together."""
    model, settings, space = load_classifier(run), run.config.classifier, run.data.space
    vectors = item_representations(model, space, settings.inputs)
    classes = class_names(space, settings.target)
    return ClassifierSignatures(model, space, settings.inputs, classes, vectors, config.max_k)


def two_tower_signatures(run: Run, config: ExportConfig) -> TwoTowerSignatures:
    """Put a run's retrieval model and its table of item vectors together."""
    rows, space = config.static_rows, run.data.space
    retrieval = load_two_tower(run, static_shapes=rows > 0)
    table, history = retrieval.model.table(), HistoryIds(space)
    more: list[SignatureSource] = []
    if rows > 0:
        more.append(HalvedSignatures(retrieval, space, history, table, rows))
    if head_folder(run, "risk").is_dir():
        more.append(RiskSignatures(RiskHead.load(head_folder(run, "risk")), retrieval, history, table))
    if head_folder(run, "service").is_dir():
        service = ServiceHead.load(head_folder(run, "service"), space)
        more.append(ServiceSignatures(service, retrieval, history, table))
    if head_folder(run, "ads").is_dir():
        ads = AdsHead.load(head_folder(run, "ads"), space.catalogue)
        more.append(AdsSignatures(ads, retrieval, history, table))
    return TwoTowerSignatures(retrieval, space, table, config.max_k, more, history)


def embed_ids_request(look_up: Any, requests: Sequence[Request], rows: int) -> Request:
    """Return a request to `embed_ids`: what `look_up` answers to the last request to it, its rows over and over."""
    asked = [request for request in requests if request.signature == "look_up"]
    found = _answer(look_up, asked[-1].inputs)
    return Request("embed_ids", {name: values[np.arange(rows) % len(values)] for name, values in found.items()})


def newest_version(folder: Path) -> Path:
    """Return the folder of the largest version. Raises InputError when there is none."""
    found = version_folders(folder) if folder.is_dir() else {}
    if not found:
        raise InputError("no exported version here; `python run.py export` makes one", file=folder)
    return found[max(found)]


def _next_version(folder: Path) -> int:
    # A number that was rolled back is never used again: servers and logs know it as what it was.
    gone = [int(path.name.removeprefix(_ROLLED_BACK)) for path in folder.glob(f"{_ROLLED_BACK}*")]
    return 1 + max([*(version_folders(folder) if folder.is_dir() else ()), *gone], default=0)


def _answer(signature: Any, inputs: dict[str, Any]) -> dict[str, Any]:
    tensors = {
        name: tf.constant(values, tf.string) if values.dtype == np.object_ else tf.constant(values)
        for name, values in inputs.items()
    }
    return {name: value.numpy() for name, value in signature(**tensors).items()}


def _users(run: Run) -> Iterator[str]:
    return (user.decode("utf-8") for batch in read_users(run.data).as_numpy_iterator() for user in batch["user"])


def _known_text(space: FeatureSpace) -> str:
    vocabularies = (space.items, space.categories, space.behaviors, space.devices, space.word_vocabulary)
    texts = [*space.catalogue.item_ids, *space.catalogue.titles, *space.catalogue.categories]
    return "\n".join([*texts, *(token for vocabulary in vocabularies for token in vocabulary.tokens)])
