"""Publish a run's model as the next numeric version of a SavedModel, so that a server never sees half of one."""

from pathlib import Path

import tensorflow as tf

from recsys_tf.config import ExportConfig
from recsys_tf.disk_errors import as_os_errors
from recsys_tf.errors import InputError
from recsys_tf.evaluation.predictions import item_representations
from recsys_tf.publishing import published_directory
from recsys_tf.sequences.labels import class_names
from recsys_tf.serving.model_folders import version_folders
from recsys_tf.serving.signatures import ClassifierSignatures
from recsys_tf.serving.two_tower_signatures import TwoTowerSignatures
from recsys_tf.training.runs import Run, load_classifier, load_two_tower


def export_model(run: Run, name: str, config: ExportConfig) -> Path:
    """Write <output>/<name>/<version>/ under a temporary name and rename it; return the folder.

    Traced on the CPU whatever the machine has: an LSTM traced on a GPU does not load without one.
    """
    with tf.device("/CPU:0"):
        build = classifier_signatures if name == "classifier" else two_tower_signatures
        signatures: ClassifierSignatures | TwoTowerSignatures = build(run, config.max_k)
        folder = config.output / name
        target = folder / str(1 + max(version_folders(folder) if folder.is_dir() else (), default=0))
        with published_directory(target) as temporary, as_os_errors(target):
            tf.saved_model.save(signatures, str(temporary), signatures=signatures.signatures())
    return target


def classifier_signatures(run: Run, max_k: int) -> ClassifierSignatures:
    """Put a run's model, features, classes and item vectors together."""
    model, settings, space = load_classifier(run), run.config.classifier, run.data.space
    vectors = item_representations(model, space, settings.inputs)
    classes = class_names(space, settings.target)
    return ClassifierSignatures(model, space, settings.inputs, classes, vectors, max_k)


def two_tower_signatures(run: Run, max_k: int) -> TwoTowerSignatures:
    """Put a run's retrieval model and its candidate vectors together."""
    retrieval = load_two_tower(run)
    return TwoTowerSignatures(retrieval, run.data.space, retrieval.model.table(), max_k)


def newest_version(folder: Path) -> Path:
    """Return the folder of the largest version. Raises InputError when there is none."""
    found = version_folders(folder) if folder.is_dir() else {}
    if not found:
        raise InputError("no exported version here; `python run.py export` makes one", file=folder)
    return found[max(found)]
