"""Do explanations tell the truth? An item must fall further without the events that are said to have put it there.

For each question, the item that comes first is explained; then its three top events are left out together, or three of
the user's events at random, and the item is ranked again.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from recsys_tf.config import EvaluateConfig
from recsys_tf.evaluation.bootstrap import Interval, clustered_intervals
from recsys_tf.evaluation.queries import Ints, Queries
from recsys_tf.models.attribution import contributions, leave_out
from recsys_tf.models.index import target_ranks
from recsys_tf.models.query_tower import ANY_BEHAVIOR
from recsys_tf.models.retrieval import Retrieval

BoolArray = npt.NDArray[np.bool_]

_LEFT_OUT = 3
_BATCH = 64


@dataclass(frozen=True)
class Faithfulness:
    """Rank of the item that came first, without its three top events and without three at random, and the difference.

    falls_further: share of the questions where it falls further without the top events, less where it falls less far.
    """

    questions: int
    rank_without_top: Interval
    rank_without_random: Interval
    difference: Interval
    falls_further: Interval


def faithfulness(retrieval: Retrieval, table: Any, queries: Queries, config: EvaluateConfig) -> Faithfulness | None:
    """Put the explanations of at most `config.explained` questions to the test, drawn with the seed.

    Only histories with twice as many events as are left out count; without one the answer is None.
    """
    random = np.random.default_rng(config.seed)
    able = np.flatnonzero(queries.held - 1 >= 2 * _LEFT_OUT)
    chosen = np.sort(random.permutation(able)[: config.explained])
    if not len(chosen):
        return None
    parts = [
        _ranks(retrieval, table, queries, chosen[at : at + _BATCH], random) for at in range(0, len(chosen), _BATCH)
    ]
    top, drawn = (np.concatenate(one).astype(np.float64) for one in zip(*parts, strict=True))
    values = {"top": top, "random": drawn, "difference": top - drawn, "further": np.sign(top - drawn)}
    found = clustered_intervals(values, queries.clusters[chosen], config.bootstrap_samples, config.seed)
    return Faithfulness(len(chosen), found["top"], found["random"], found["difference"], found["further"])


def _ranks(
    retrieval: Retrieval, table: Any, queries: Queries, rows: Ints, random: np.random.Generator
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]:
    held = queries.held[rows]
    ids = {name: tf.constant(values[rows, : held.max()]) for name, values in queries.ids.items()}
    asked = tf.fill([len(rows)], ANY_BEHAVIOR)
    first = tf.argmax(retrieval(ids, asked, table), axis=1, output_type=tf.int32)
    worth = contributions(retrieval, ids, first[:, tf.newaxis], table)[:, 0].numpy()
    position = np.arange(worth.shape[1])
    event = (position > 0) & (position < held[:, None])
    ranks = []
    for value in (worth, random.random(worth.shape)):
        left_out = tf.constant(best_events(value, event, _LEFT_OUT))
        everything = retrieval(leave_out(ids, left_out), asked, table)
        ranks.append(target_ranks(everything, first).numpy())
    return ranks[0], ranks[1]


def best_events(worth: npt.NDArray[Any], event: BoolArray, number: int) -> BoolArray:
    """Mark the `number` events of the largest worth in each row: bool [queries, length], as `event` is."""
    order = np.argsort(-np.where(event, worth, -np.inf), axis=1, kind="stable")
    marked = np.zeros(event.shape, bool)
    np.put_along_axis(marked, order[:, :number], True, axis=1)
    return marked & event
