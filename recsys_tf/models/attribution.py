"""What each past event did for a recommended item: the item's score with the event less its score without it.

Leaving an event out is the plainest question that one can ask of any model, mixture included, and needs no gradient and
no attention map to be believed; every history without one event is asked in one batch.
"""

from typing import Any

import tensorflow as tf

from recsys_tf.models.query_tower import ANY_BEHAVIOR
from recsys_tf.models.retrieval import Retrieval
from recsys_tf.sequences.vocabularies import PADDING, START

Tensors = dict[str, Any]


def leave_out(ids: Tensors, left_out: Any) -> Tensors:
    """Take events out of histories; what follows moves up, and padding fills the end.

    ids: int64 [histories, length], words [histories, length, words]; left_out: bool [histories, length].
    """
    order = tf.argsort(tf.cast(left_out, tf.int32), axis=1, stable=True)
    gone = tf.gather(left_out, order, batch_dims=1)
    moved = {name: tf.gather(values, order, batch_dims=1) for name, values in ids.items()}
    hidden = {name: gone[..., tf.newaxis] if name == "words" else gone for name in ids}
    return {name: tf.where(hidden[name], tf.zeros_like(values), values) for name, values in moved.items()}


def contributions(retrieval: Retrieval, ids: Tensors, items: Any, table: Any) -> Any:
    """Score of each item with all events less its score without one of them: float32 [batch, k, length].

    ids: as `Retrieval` takes them; the start token and padding contribute nothing. items: int32 [batch, k], catalogue
    indices. table: [rows, width] of `TwoTower.table`.
    """

    @tf.autograph.experimental.do_not_convert
    def of_one(history: tuple[Tensors, Any]) -> Any:
        of_events, wanted = history
        length = tf.shape(of_events["row"])[0]
        # One history for each position: all of it for the start token and for padding, without the event for the rest.
        position = tf.range(length)
        event = (position > 0) & (of_events["behavior"] != PADDING)
        left_out = (position[:, tf.newaxis] == position) & event
        copies = {name: tf.repeat(values[tf.newaxis], length, axis=0) for name, values in of_events.items()}
        everything = retrieval(leave_out(copies, left_out), tf.fill([length], ANY_BEHAVIOR), table)
        scores = tf.gather(everything, wanted, axis=1)  # [length, k]
        return tf.transpose(scores[:1] - scores)

    # What is stacked of no histories at all would have no shape: there is always one, of start tokens.
    number = tf.shape(items)[0]
    histories = {name: _at_least_one(values, START) for name, values in ids.items()}
    return tf.map_fn(of_one, (histories, _at_least_one(items, 0)), fn_output_signature=tf.float32)[:number]


def _at_least_one(values: Any, fill: int) -> Any:
    missing = tf.cast(tf.shape(values)[:1] == 0, tf.int32)
    more = tf.fill(tf.concat([missing, tf.shape(values)[1:]], axis=0), tf.constant(fill, values.dtype))
    return tf.concat([values, more], axis=0)
