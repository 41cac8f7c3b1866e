"""Look-alike audiences (article section 6.2): who is most like the users of a seed set, by their representations."""

from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from recsys_tf.models.retrieval import Retrieval
from recsys_tf.sequences.vocabularies import PADDING

Array = npt.NDArray[Any]


def most_alike(vectors: Array, seeds: Array) -> Array:
    """Order everybody else by the cosine to the seeds' mean direction, most alike first: int64 [users - seeds].

    vectors: float [users, width]; seeds: int64 [seeds], places in it. A user whose vector is zero comes last.
    """
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    directions = np.divide(vectors, length, out=np.zeros_like(vectors, dtype=np.float64), where=length > 0)
    likeness = directions @ directions[seeds].mean(axis=0)
    likeness[(length == 0)[:, 0]] = -np.inf
    others = np.setdiff1d(np.arange(len(vectors)), seeds)
    return others[np.argsort(-likeness[others], kind="stable")]


def mean_query(retrieval: Retrieval, ids: dict[str, Any]) -> Any:
    """The mean direction of the query after every event: what a user is about over a whole history, not just now.

    ids: as `Retrieval.queries` takes them, [batch, length]. Returns float32 [batch, width].
    """
    directions = tf.math.l2_normalize(retrieval.every_query(ids), axis=-1)
    there = tf.cast(ids["behavior"] != PADDING, tf.float32)[..., tf.newaxis]
    return tf.math.divide_no_nan(tf.reduce_sum(directions * there, axis=1), tf.reduce_sum(there, axis=1))
