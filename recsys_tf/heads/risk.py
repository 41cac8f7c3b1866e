"""Risk control (article section 6.4): an account that does not behave like its owner, or like any customer at all.

Views of one history by a model that was trained for something else: how unlikely its newest events are given what came
before, and how far its vector lies from those of ordinary users (isolation forest).
"""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from recsys_tf.heads.isolation_forest import ForestGraph
from recsys_tf.models.retrieval import Retrieval
from recsys_tf.models.surprise import surprises, surprises_to
from recsys_tf.sequences.vocabularies import PADDING

Tensors = dict[str, Any]
Floats = npt.NDArray[np.float32]

# Steps of the tables that turn a value into the share of ordinary users below it.
QUANTILES = 1000


# What is measured of a history, and of what ordinary users have quantiles are kept.
MEASURES = ("surprise", "estrangement", "isolation")


class RiskHead(tf.Module):  # type: ignore[misc]
    """Three measures of a history and all of them together."""

    def __init__(self, forest: ForestGraph, recent: int, ordinary: dict[str, Floats] | None = None) -> None:
        """recent: the newest events that are judged. ordinary: ascending quantiles of each measure, float32 [any] each;
        without them there is no risk yet, only measures."""
        super().__init__()
        self.forest, self.recent, self.ordinary = forest, recent, ordinary
        self._quantiles = {name: tf.constant(values) for name, values in (ordinary or {}).items()}

    def __call__(self, retrieval: Retrieval, ids: Tensors, table: Any) -> Tensors:
        """Ids as `Retrieval.queries` takes them, [batch, length] → float32 [batch] under the name of each measure.

        surprise: mean -log P of the newest events, each given all before it, in nats. estrangement: the same given only
        what came before all of them: does the owner's representation explain them? isolation: of the representation
        after the last event, 0..1. risk, once fitted: 0..1, the share of ordinary users in whom the three are less rare
        together (Fisher's method, as if they had nothing to do with each other).
        """
        queries, items = retrieval.every_query(ids), retrieval.model.candidates(table)
        surprise, counts = surprises(queries, items, ids)
        newest = newest_events(counts, self.recent)
        before = tf.gather(queries, first_of(newest) - 1, batch_dims=1)
        held = tf.math.count_nonzero(ids["behavior"] != PADDING, axis=1, dtype=tf.int32)
        measured = {
            "surprise": _mean(surprise, newest),
            "estrangement": _mean(surprises_to(before, items, ids), newest),
            "isolation": self.forest(tf.gather(queries, held - 1, batch_dims=1)),
        }
        return measured | ({"risk": self.together(measured)} if self._quantiles else {})

    def together(self, measured: Tensors) -> Any:
        """Combine the measures, float32 [batch] each, into the risk float32 [batch]."""
        log = tf.add_n([tf.math.log(1.0 - share_below(self._quantiles[name], measured[name])) for name in MEASURES])
        # The chance that three uniform numbers have a smaller product than these.
        return 1.0 - tf.exp(log) * (1.0 - log + log**2 / 2.0)

    def save(self, directory: Path) -> None:
        """Write forest.npz and ordinary.npz into a folder. Raises ValueError for a head that has not been fitted."""
        if self.ordinary is None:
            raise ValueError("this head does not know what is ordinary")
        self.forest.save(directory / "forest.npz")
        np.savez_compressed(
            directory / "ordinary.npz", allow_pickle=False, recent=np.array(self.recent), **self.ordinary
        )

    @classmethod
    def load(cls, directory: Path) -> "RiskHead":
        """Read what `save` wrote."""
        with np.load(directory / "ordinary.npz", allow_pickle=False) as found:
            ordinary, recent = {name: found[name] for name in MEASURES}, int(found["recent"])
        return cls(ForestGraph.load(directory / "forest.npz"), recent, ordinary)


def newest_events(counts: Any, recent: int) -> Any:
    """Mark the newest `recent` of the events that count: bool [batch, length], as `counts` is."""
    from_the_end = tf.cumsum(tf.cast(counts, tf.int32), axis=1, reverse=True)
    return counts & (from_the_end <= recent)


def first_of(marked: Any) -> Any:
    """Position of the first event that is marked in each row of bool [batch, length], at least 1: int32 [batch]."""
    return tf.maximum(tf.argmax(tf.cast(marked, tf.int32), axis=1, output_type=tf.int32), 1)


def _mean(values: Any, marked: Any) -> Any:
    """Mean of the marked values, [batch, length] → [batch]; a history without any is not surprising: 0."""
    chosen = tf.cast(marked, values.dtype)
    return tf.math.divide_no_nan(tf.reduce_sum(values * chosen, axis=1), tf.reduce_sum(chosen, axis=1))


def share_below(quantiles: Any, values: Any) -> Any:
    """Share of ordinary users below each value: quantiles float32 [n], values float32 [batch] → float32 [batch] < 1."""
    number = tf.shape(quantiles)[0]
    found = tf.searchsorted(quantiles, values, side="left")
    # Nobody is beyond all that could ever come: the share stops short of 1 by half a step.
    return (tf.cast(found, tf.float32)) / (tf.cast(number, tf.float32) + 0.5)


def quantiles_of(values: Floats) -> Floats:
    """Quantiles of what ordinary users have, float32 [QUANTILES + 1], from values [users]."""
    return np.quantile(values, np.linspace(0, 1, QUANTILES + 1)).astype(np.float32)
