"""Where negatives come from: drawn items, the other targets of a batch, and those of other replicas."""

from typing import Any

import tensorflow as tf


def draw_items(shares: Any, number: int) -> Any:
    """Draw items with replacement, each as likely as its share float32 [items] says: int32 [number]."""
    ends = tf.cumsum(shares)
    places = tf.random.uniform([number]) * ends[-1]
    return tf.minimum(tf.searchsorted(ends, places, side="right"), tf.size(ends) - 1)


def draw_positions(answerable: Any, most: int) -> tuple[Any, Any]:
    """Draw up to `most` positions of every sequence from those that are answerable, bool [batch, length].

    Returns positions int32 [batch, most] and bool [batch, most], false where a sequence has no more of them. A sequence
    shorter than `most` has as many columns as it has positions.
    """
    order = tf.where(answerable, tf.random.uniform(tf.shape(answerable)), -1.0)
    best = tf.math.top_k(order, k=tf.minimum(most, tf.shape(answerable)[1]))
    return best.indices, best.values >= 0.0


def owns(items: Any, candidates: Any) -> Any:
    """Say which candidates int32 [n] are among each user's items int32 [users, length]: bool [users, n].

    One column of items at a time, so that [users, length, candidates] never stands in memory.
    """

    def with_column(at: Any, found: Any) -> Any:
        return at + 1, found | (items[:, at, tf.newaxis] == candidates)

    none = tf.zeros([tf.shape(items)[0], tf.shape(candidates)[0]], tf.bool)
    return tf.while_loop(lambda at, _: at < tf.shape(items)[1], with_column, (0, none))[1]


def across_replicas(values: Any) -> Any:
    """Join the values [n, …] of all replicas along the first axis, this replica's own first.

    TFRS takes the first candidates for the queries' own targets. All replicas must bring equally many.
    """
    replicas = tf.distribute.get_strategy().num_replicas_in_sync
    if replicas == 1:
        return values
    if values.dtype == tf.bool:
        # Collectives know numbers only.
        return across_replicas(tf.cast(values, tf.int32)) > 0
    context = tf.distribute.get_replica_context()
    everyone = context.all_gather(values, axis=0)
    return tf.roll(everyone, -context.replica_id_in_sync_group * tf.shape(values)[0], axis=0)
