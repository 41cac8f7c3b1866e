"""The exact index: every candidate is scored for every query."""

from typing import Any

import tensorflow as tf

_NEVER = float("-inf")


def scores(queries: Any, candidates: Any) -> Any:
    """Score all items: queries [queries, width] and candidates [items, width] → float32 [queries, items]."""
    return tf.matmul(queries, candidates, transpose_b=True)


def without(everything: Any, items: Any) -> Any:
    """Take items out: in float32 [queries, items] those of int [queries, any] (negative is none) get minus infinity."""
    at = tf.where(items >= 0)
    pairs = tf.stack([at[:, 0], tf.cast(tf.gather_nd(items, at), tf.int64)], axis=1)
    return tf.tensor_scatter_nd_update(everything, pairs, tf.fill([tf.shape(pairs)[0]], _NEVER))


def target_ranks(everything: Any, targets: Any) -> Any:
    """Return the place of each target among all items, 1 is best, 0 is never found: int32 [queries].

    everything: float32 [queries, items]; targets: int [queries], -1 is no item. A tie counts against the target.
    """
    own = tf.gather(everything, tf.maximum(targets, 0), batch_dims=1)
    # Summed as int32: counting as TensorFlow's count_nonzero does, in int64, takes twice the time.
    ranks = tf.reduce_sum(tf.cast(everything >= own[:, tf.newaxis], tf.int32), axis=1)
    return tf.where((targets >= 0) & (own > _NEVER), ranks, 0)


def top_items(everything: Any, k: Any) -> tuple[Any, Any]:
    """Return the k best items of each query, best first: scores [queries, k] and item indices int32 [queries, k].

    The article's `np.argsort(scores)[0][-n:]` has them worst first, and only for the first user.
    """
    best = tf.math.top_k(everything, k=tf.minimum(k, tf.shape(everything)[-1]), sorted=True)
    return best.values, best.indices
