"""The same questions with less of the history: its newest events only, or as it stood some time ago."""

import dataclasses

import numpy as np
import numpy.typing as npt

from recsys_tf.evaluation.queries import Ints, Queries


def newest_events(queries: Queries, number: int) -> Queries:
    """Keep the newest `number` events of each history, or all where there are fewer."""
    position = np.arange(queries.ids["row"].shape[1])
    return _only(queries, position >= (queries.held - number)[:, None])


def without_newest_event(queries: Queries) -> Queries:
    """Leave out the newest event of each history."""
    position = np.arange(queries.ids["row"].shape[1])
    return _only(queries, position < (queries.held - 1)[:, None])


def as_it_stood(queries: Queries, milliseconds: int) -> Queries:
    """Leave out every event that is newer than so many milliseconds before the question's own time."""
    moment: Ints = queries.target_timestamp - milliseconds
    return _only(queries, queries.ids["timestamp"] <= moment[:, None])


def _only(queries: Queries, wanted: npt.NDArray[np.bool_]) -> Queries:
    """Keep the start token and the wanted events, bool [queries, 1 + max_length]; what is left moves to the front."""
    position = np.arange(wanted.shape[1])
    kept = (position == 0) | (wanted & (position < queries.held[:, None]))
    order = np.argsort(~kept, axis=1, kind="stable")
    there = position < kept.sum(axis=1)[:, None]
    ids = {}
    for name, values in queries.ids.items():
        deep = name == "words"
        moved = np.take_along_axis(values, order[..., None] if deep else order, axis=1)
        ids[name] = np.where(there[..., None] if deep else there, moved, 0)
    return dataclasses.replace(queries, ids=ids, held=kept.sum(axis=1).astype(np.int64))
