"""Fit the risk head on ordinary users: the forest on the training side, what is usual on the validation side."""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf
from sklearn.ensemble import IsolationForest

from recsys_tf.config import RiskConfig
from recsys_tf.errors import InputError
from recsys_tf.heads.isolation_forest import ForestGraph
from recsys_tf.heads.risk import MEASURES, RiskHead, quantiles_of
from recsys_tf.models.retrieval import Retrieval
from recsys_tf.sequences.newest_windows import newest_windows
from recsys_tf.sequences.shards import UserSequences

Array = npt.NDArray[Any]

_AT_ONCE = 64
_FEWEST_USERS = 20


def fit_risk(retrieval: Retrieval, table: Any, sequences: UserSequences, length: int, config: RiskConfig) -> RiskHead:
    """Fit on users who are taken to be ordinary.

    length: events of a window. The forest sees their vectors at the end of training; how surprising ordinary events are
    is read off the validation side, since the model knows those of its training. Raises InputError for too few users.
    """
    first = np.flatnonzero(sequences.training_end > 0)
    later = np.flatnonzero(sequences.validation_end > sequences.training_end)
    if min(len(first), len(later)) < _FEWEST_USERS:
        raise InputError(
            f"{len(first)} users on the training side and {len(later)} on the validation side: "
            f"at least {_FEWEST_USERS} are needed to say what is ordinary"
        )
    windows = newest_windows(sequences, first, sequences.training_end[first], length)
    vectors = in_batches(lambda ids: {"vector": retrieval.representation(ids, table)}, windows)["vector"]
    forest = IsolationForest(n_estimators=config.trees, random_state=config.seed).fit(vectors)
    measuring = RiskHead(ForestGraph.of(forest), config.recent)
    windows = newest_windows(sequences, later, sequences.validation_end[later], length)
    found = in_batches(lambda ids: measuring(retrieval, ids, table), windows)
    return RiskHead(measuring.forest, config.recent, {name: quantiles_of(found[name]) for name in MEASURES})


def in_batches(ask: Callable[[dict[str, Any]], dict[str, Any]], windows: dict[str, Array]) -> dict[str, Array]:
    """Ask for some windows at a time and put the answers together, as NumPy arrays [windows, …]."""
    number = len(windows["row"])
    asked = tf.function(ask, autograph=False, reduce_retracing=True)
    parts = [
        {name: value.numpy() for name, value in asked(_part(windows, slice(at, at + _AT_ONCE))).items()}
        for at in range(0, number, _AT_ONCE)
    ]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _part(windows: dict[str, Array], rows: slice) -> dict[str, Any]:
    # Neither padding that no window of these needs, nor words where nobody searched.
    longest = int(np.count_nonzero(windows["behavior"][rows], axis=1).max(initial=1))
    return {name: tf.constant(values[rows, :longest]) for name, values in windows.items()}
