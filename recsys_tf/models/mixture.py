"""A mixture of four voices over the catalogue: the two towers, and three that are plain counting.

    towers       softmax of the scores
    transitions  what followed the user's last items in training (a Markov chain that looks a little further)
    recent       the user's own last items
    frequent     the user's own items, as often as they were there

Learned vectors know what is alike; counts know what is exact: that this cable was bought with this printer, that this
user buys this milk. The weights are chosen on the validation side, so that a voice that does not help is not heard.
Made of core operations: it is exported inside the SavedModel.
"""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from recsys_tf.sequences.vocabularies import FIRST

VOICES: Final = ("towers", "transitions", "recent", "frequent")

_LAST_ITEMS = 3  # whose followers are counted
_LAST_DECAY = 0.5  # from one of them to the one before
_RECENT_DECAY = 0.7  # from one own item to the one before


@dataclass(frozen=True)
class Transitions:
    """What followed each item in training: followers int32 [rows, most], item indices, -1 is none; shares float32."""

    followers: npt.NDArray[np.int32]
    shares: npt.NDArray[np.float32]


class Mixture(tf.Module):  # type: ignore[misc]
    """Weights float32 [4] in the order of VOICES, and the transitions.

    tuned: the weights are a variable, for a search that changes them; otherwise they are constants, and what is not
    heard costs nothing.
    """

    def __init__(self, weights: npt.NDArray[np.float32], transitions: Transitions, tuned: bool = False) -> None:
        super().__init__()
        self.weights = tf.Variable(weights, trainable=False) if tuned else None
        self._fixed = [float(weight) for weight in weights]
        self._followers = tf.constant(transitions.followers, tf.int32)
        self._shares = tf.constant(transitions.shares, tf.float32)

    def __call__(self, scores: Any, rows: Any) -> Any:
        """Scores float32 [queries, items] of the towers and histories int [queries, length] → probabilities.

        rows: catalogue rows of the history, oldest first, padding and searches 0.
        """
        weights = self._fixed if self.weights is None else tf.unstack(self.weights)
        mixed = weights[0] * tf.nn.softmax(scores)
        for voice, add in enumerate((self.add_transitions, add_recent, add_frequent), start=1):
            if self.weights is not None or self._fixed[voice] > 0:
                mixed = add(mixed, rows, weights[voice])
        return mixed

    def add_transitions(self, mixed: Any, rows: Any, weight: Any) -> Any:
        """Add weight × the shares of what followed the last items to float32 [queries, items]."""
        decayed = _decayed(rows, _LAST_DECAY)
        best = tf.math.top_k(decayed, k=tf.minimum(_LAST_ITEMS, tf.shape(rows)[1]))
        share = tf.math.divide_no_nan(best.values, tf.reduce_sum(best.values, axis=1, keepdims=True))
        last = tf.gather(rows, best.indices, batch_dims=1)  # [queries, last items]
        followers = tf.gather(self._followers, last)  # [queries, last items, most]
        added = weight * share[..., tf.newaxis] * tf.gather(self._shares, last)
        number = tf.shape(rows)[0]
        return _added(mixed, tf.reshape(followers, [number, -1]), tf.reshape(added, [number, -1]))


def add_recent(mixed: Any, rows: Any, weight: Any) -> Any:
    """Add weight × the user's own last items to float32 [queries, items]."""
    return _add_own(mixed, rows, _decayed(rows, _RECENT_DECAY), weight)


def add_frequent(mixed: Any, rows: Any, weight: Any) -> Any:
    """Add weight × the user's own items, each as often as it was there, to float32 [queries, items]."""
    return _add_own(mixed, rows, tf.cast(rows >= FIRST, tf.float32), weight)


def _add_own(mixed: Any, rows: Any, values: Any, weight: Any) -> Any:
    share = tf.math.divide_no_nan(values, tf.reduce_sum(values, axis=1, keepdims=True))
    return _added(mixed, tf.cast(rows, tf.int32) - FIRST, weight * share)


def _decayed(rows: Any, decay: float) -> Any:
    """decay^age of every known item, age 0 for the newest, and 0 for all else: float32 [queries, length]."""
    known = tf.cast(rows >= FIRST, tf.float32)
    age = tf.cumsum(known, axis=1, reverse=True, exclusive=True)
    return known * decay**age


def _added(mixed: Any, items: Any, values: Any) -> Any:
    """Add values float32 [queries, any] at items int32 [queries, any], negative is none, to [queries, items]."""
    at = tf.where((items >= 0) & (values > 0))
    pairs = tf.stack([at[:, 0], tf.cast(tf.gather_nd(items, at), tf.int64)], axis=1)
    return tf.tensor_scatter_nd_add(mixed, pairs, tf.gather_nd(values, at))
