"""A mixture of six voices over the catalogue: the two towers, and five that are plain counting.

    towers       softmax of the scores
    transitions  what followed the user's last items in training (a Markov chain that looks a little further)
    recent       the user's own last items
    frequent     the user's own items, as often as they were there
    searched     what followed the same words in training, where the newest event is a search
    newest       the user's very last item: what is viewed is put into the cart next

Learned vectors know what is alike; counts know what is exact: that this cable was bought with this printer, that this
user buys this milk, that these words mean this game. The weights are chosen on the validation side, so that a voice
that does not help is not heard. Made of core operations: it is exported inside the SavedModel.
"""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from recsys_tf.sequences.vocabularies import FIRST, PADDING

VOICES: Final = ("towers", "transitions", "recent", "frequent", "searched", "newest")

_LAST_ITEMS = 3  # whose followers are counted
_LAST_DECAY = 0.5  # from one of them to the one before
_RECENT_DECAY = 0.7  # from one own item to the one before
_BASE = 6364136223846793005  # of the fingerprint: odd, with its bits well mixed (Knuth)


@dataclass(frozen=True)
class Followers:
    """What followed each of some things in training: items int32 [things, most], catalogue indices, -1 is none; shares
    float32 of the same shape, the most frequent first."""

    items: npt.NDArray[np.int32]
    shares: npt.NDArray[np.float32]


@dataclass(frozen=True)
class Counts:
    """Everything that was counted: transitions by catalogue row, searches by search_keys int64 [searches], ascending
    fingerprints of their words."""

    transitions: Followers
    searches: Followers
    search_keys: npt.NDArray[np.int64]


def fingerprint(words: Any) -> Any:
    """Word ids int64 [..., words], padded with 0 on the right → one number int64 [...], 0 where there is no word."""
    powers = tf.math.cumprod(tf.fill([tf.shape(words)[-1]], tf.constant(_BASE, tf.int64)), exclusive=True)
    return tf.reduce_sum(words * powers, axis=-1)  # wraps around, as a fingerprint may


class Mixture(tf.Module):  # type: ignore[misc]
    """Weights float32 [6] in the order of VOICES, and the counts.

    tuned: the weights are a variable, for a search that changes them; otherwise they are constants, and what is not
    heard costs nothing.
    """

    def __init__(self, weights: npt.NDArray[np.float32], counts: Counts, tuned: bool = False) -> None:
        super().__init__()
        self.weights = tf.Variable(weights, trainable=False) if tuned else None
        self._fixed = [float(weight) for weight in weights]
        self._followers = tf.constant(counts.transitions.items, tf.int32)
        self._shares = tf.constant(counts.transitions.shares, tf.float32)
        self._keys = tf.constant(counts.search_keys, tf.int64)
        self._found = tf.constant(counts.searches.items, tf.int32)
        self._found_shares = tf.constant(counts.searches.shares, tf.float32)

    def __call__(self, scores: Any, ids: dict[str, Any]) -> Any:
        """Scores float32 [queries, items] of the towers and the ids of the histories → probabilities.

        ids: row int64 [queries, length], catalogue rows, oldest first, padding and searches 0; behavior int64 [queries,
        length]; words int64 [queries, length, words].
        """
        weights = self._fixed if self.weights is None else tf.unstack(self.weights)
        mixed = weights[0] * tf.nn.softmax(scores)
        voices = (self.add_transitions, add_recent, add_frequent, self.add_searched, add_newest)
        for voice, add in enumerate(voices, start=1):
            if self.weights is not None or self._fixed[voice] > 0:
                mixed = add(mixed, ids, weights[voice])
        return mixed

    def add_transitions(self, mixed: Any, ids: dict[str, Any], weight: Any) -> Any:
        """Add weight × the shares of what followed the last items to float32 [queries, items]."""
        rows = ids["row"]
        decayed = _decayed(rows, _LAST_DECAY)
        best = tf.math.top_k(decayed, k=tf.minimum(_LAST_ITEMS, tf.shape(rows)[1]))
        share = tf.math.divide_no_nan(best.values, tf.reduce_sum(best.values, axis=1, keepdims=True))
        last = tf.gather(rows, best.indices, batch_dims=1)  # [queries, last items]
        followers = tf.gather(self._followers, last)  # [queries, last items, most]
        added = weight * share[..., tf.newaxis] * tf.gather(self._shares, last)
        number = tf.shape(rows)[0]
        return _added(mixed, tf.reshape(followers, [number, -1]), tf.reshape(added, [number, -1]))

    def add_searched(self, mixed: Any, ids: dict[str, Any], weight: Any) -> Any:
        """Add weight × the shares of what followed the same search to float32 [queries, items]."""
        if self._keys.shape[0] == 0:
            return mixed
        newest = tf.math.count_nonzero(ids["behavior"] != PADDING, axis=1) - 1
        words = tf.gather(ids["words"], tf.maximum(newest, 0), batch_dims=1)
        key = fingerprint(words)
        at = tf.minimum(tf.searchsorted(self._keys, key), self._keys.shape[0] - 1)
        known = (tf.gather(self._keys, at) == key) & tf.reduce_any(words != PADDING, axis=1)
        return _added(
            mixed,
            tf.where(known[:, tf.newaxis], tf.gather(self._found, at), -1),
            weight * tf.gather(self._found_shares, at),
        )


def add_recent(mixed: Any, ids: dict[str, Any], weight: Any) -> Any:
    """Add weight × the user's own last items to float32 [queries, items]."""
    return _add_own(mixed, ids["row"], _decayed(ids["row"], _RECENT_DECAY), weight)


def add_frequent(mixed: Any, ids: dict[str, Any], weight: Any) -> Any:
    """Add weight × the user's own items, each as often as it was there, to float32 [queries, items]."""
    return _add_own(mixed, ids["row"], tf.cast(ids["row"] >= FIRST, tf.float32), weight)


def add_newest(mixed: Any, ids: dict[str, Any], weight: Any) -> Any:
    """Add the weight to the user's newest item in float32 [queries, items]."""
    return _add_own(mixed, ids["row"], _decayed(ids["row"], 0.0), weight)


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
