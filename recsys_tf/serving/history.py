"""From the raw histories of requests to ids as training saw them: what every signature begins with."""

from typing import Any

import tensorflow as tf

from recsys_tf.models.query_tower import ANY_BEHAVIOR
from recsys_tf.sequences.feature_space import FeatureSpace
from recsys_tf.sequences.features import EventIds, start_ids
from recsys_tf.sequences.vocabularies import FIRST

Tensors = dict[str, Any]

# Inputs of the signatures, by name; every one has the batch as its first dimension.
HISTORY = [tf.TensorSpec([None, None], tf.string, name) for name in ("item_id", "behavior")]
CONTEXT = [
    *(tf.TensorSpec([None, None], tf.string, name) for name in ("query", "device")),
    tf.TensorSpec([None, None], tf.int64, "timestamp"),
]
QUESTION = [
    tf.TensorSpec([None], tf.string, "target_behavior"),
    tf.TensorSpec([None, None], tf.string, "exclude"),
    tf.TensorSpec([None], tf.string, "category"),
]
K = tf.TensorSpec([None], tf.int32, "k")
# Under this name: the column of the request in which each event of a history stood, -1 for none.
COLUMN = "column"


class HistoryIds(tf.Module):  # type: ignore[misc]
    """Vocabulary look-ups, the newest events, the start token and padding."""

    def __init__(self, space: FeatureSpace) -> None:
        super().__init__()
        self._ids = EventIds(space)
        self._max_length, self._words = space.max_length, space.words

    def rows(self, item_id: Any) -> Any:
        """Item ids of any shape → int64 catalogue rows."""
        return self._ids.rows(item_id)

    def behaviors(self, behavior: Any) -> Any:
        """Behaviours of any shape → int64 behaviour ids."""
        return self._ids.behaviors(behavior)

    def __call__(self, item_id: Any, behavior: Any, query: Any, device: Any, timestamp: Any) -> Tensors:
        """Turn raw histories into ids as training saw them: start token, newest max_length events, padding.

        Text [batch, length] each, timestamp int64 ms [batch, length]; an event without a behaviour is a search if
        it has words, a view if it has an item, and else padding, wherever it stands. Returns int64 [batch, 1 + length];
        under COLUMN, where in the request each event stood.
        """
        guessed = tf.where(query != "", "search", tf.where(item_id != "", "view", ""))
        behavior = tf.where(behavior != "", behavior, guessed)
        ids = {**self._ids(item_id, behavior, query, device), "timestamp": timestamp}
        there = behavior != ""
        length = tf.reduce_sum(tf.cast(there, tf.int32), axis=1)
        front = tf.argsort(tf.cast(~there, tf.int32), axis=1, stable=True)
        # An empty batch has no longest history.
        kept = tf.minimum(tf.reduce_max(tf.concat([length, [0]], axis=0)), self._max_length)
        first = tf.maximum(length - self._max_length, 0)[:, tf.newaxis]
        place = first + tf.range(kept)
        valid = place < length[:, tf.newaxis]
        at = tf.gather(front, tf.where(valid, place, 0), batch_dims=1)
        start = start_ids(tf.shape(item_id)[0], self._words)
        history = {}
        for name, values in ids.items():
            newest = tf.gather(values, at, batch_dims=1)
            mask = valid[..., tf.newaxis] if name == "words" else valid
            history[name] = tf.concat([start[name], tf.where(mask, newest, 0)], axis=1)
        history[COLUMN] = tf.pad(tf.cast(tf.where(valid, at, -1), tf.int64), [[0, 0], [1, 0]], constant_values=-1)
        return history


def parse_histories(serialized: Any) -> Tensors:
    """Serialized tf.Examples [batch], one history each → text item_id, behavior, query, device and int64 timestamp.

    Each is a feature with one value for each event, oldest first; a feature that is missing or too short is padded.
    Returns [batch, length] under each name.
    """
    inputs = [*HISTORY, *CONTEXT]
    features = {spec.name: tf.io.RaggedFeature(spec.dtype, row_splits_dtype=tf.int64) for spec in inputs}
    parsed = tf.io.parse_example(serialized, features)
    lengths = [values.bounding_shape()[1] for values in parsed.values()]
    shape = tf.stack([tf.size(serialized, tf.int64), tf.reduce_max(lengths)])
    return {name: values.to_tensor(shape=shape) for name, values in parsed.items()}


def asked_behavior(behavior: Any) -> Any:
    """Behaviour ids of any shape → int32, what the query tower is asked; one that nobody knows asks for anything."""
    return tf.where(behavior >= FIRST, tf.cast(behavior, tf.int32), ANY_BEHAVIOR)


def largest(k: Any, max_k: int) -> Any:
    """Return the largest k of a batch int32 [batch], within 1 and max_k; an empty batch has none and counts as 1."""
    return tf.clip_by_value(tf.reduce_max(tf.concat([k, [1]], axis=0)), 1, max_k)


def shown(k: Any, answers: Any) -> Any:
    """Say which columns of answers [batch, largest k] a row asked for: bool [batch, largest k]."""
    return tf.range(tf.shape(answers)[1]) < k[:, tf.newaxis]
