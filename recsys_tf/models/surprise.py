"""How unlikely what a user did is under the model: the negative log-likelihood of each event given what came before."""

from typing import Any

import tensorflow as tf

from recsys_tf.sequences.vocabularies import FIRST

Tensors = dict[str, Any]

_ITEMS_AT_ONCE = 4096


def surprises(queries: Any, items: Any, ids: Tensors) -> tuple[Any, Any]:
    """Return -log P(item | history) of every event, and which events have one.

    queries: float32 [batch, length, width], the query at every position. items: float32 [items, width], the candidates.
    ids: what the queries were made of. The probability is the softmax of the towers over the whole catalogue, for any
    behaviour; the mixture is left out, since it would have to be counted anew at each position. Returns float32 and
    bool [batch, length]; the start token, padding, searches and items that are not in the catalogue have none: 0.
    """
    queries = queries[:, :-1]
    following = ids["row"][:, 1:] - FIRST
    known = following >= 0
    own = tf.reduce_sum(queries * tf.gather(items, tf.maximum(following, 0)), axis=-1)
    found = _log_normaliser(queries, items) - own
    return tf.pad(tf.where(known, found, 0.0), [[0, 0], [1, 0]]), tf.pad(known, [[0, 0], [1, 0]])


def surprises_to(queries: Any, items: Any, ids: Tensors) -> Any:
    """Return -log P(item | one history) of every event of a sequence: float32 [batch, length], 0 for what is no item.

    queries: [batch, width], one history each, whatever it holds. items: [items, width], the candidates.
    """
    target = ids["row"] - FIRST
    found = tf.reduce_sum(queries[:, tf.newaxis] * tf.gather(items, tf.maximum(target, 0)), axis=-1)
    return tf.where(target >= 0, _log_normaliser(queries[:, tf.newaxis], items) - found, 0.0)


def _log_normaliser(queries: Any, items: Any) -> Any:
    """log Σ exp(query · item) of each query [batch, length], over parts of the catalogue so that memory stays flat."""
    parts = [
        tf.reduce_logsumexp(tf.matmul(queries, items[at : at + _ITEMS_AT_ONCE], transpose_b=True), axis=-1)
        for at in range(0, items.shape[0], _ITEMS_AT_ONCE)
    ]
    return tf.reduce_logsumexp(tf.stack(parts), axis=0)
