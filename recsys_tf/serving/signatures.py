"""The classifier's signatures: raw values in, answers out; vocabularies, padding, features and catalogue are inside.

Every input has the batch as its first dimension, `k` too, so that REST's row form and request batching work; shorter
histories of a batch are padded with "". A SavedModel of these holds core TensorFlow ops only and no user.
"""

from typing import Any

import tensorflow as tf

from recsys_tf.config import Inputs
from recsys_tf.models.classifier import representation
from recsys_tf.models.cosine_recommender import cosine_scores, top_items
from recsys_tf.sequences.feature_space import FeatureSpace
from recsys_tf.sequences.features import EventFeatures, EventIds, start_ids

Tensors = dict[str, Any]

_HISTORY = [tf.TensorSpec([None, None], tf.string, name) for name in ("item_id", "behavior")]
_CONTEXT = [
    *(tf.TensorSpec([None, None], tf.string, name) for name in ("query", "device")),
    tf.TensorSpec([None, None], tf.int64, "timestamp"),
]
_K = tf.TensorSpec([None], tf.int32, "k")


class ClassifierSignatures(tf.Module):  # type: ignore[misc]
    """What a server is asked: the class of the next event, and items by cosine similarity (article section 3.2.3)."""

    def __init__(
        self,
        model: tf.keras.Sequential,
        space: FeatureSpace,
        inputs: Inputs,
        classes: tuple[str, ...],
        item_vectors: Any,
        max_k: int,
    ) -> None:
        super().__init__()
        self._model = model
        self._ids, self._features = EventIds(space), EventFeatures(space)
        self._inputs: Inputs = inputs
        self._max_length, self._words, self._max_k = space.max_length, space.words, max_k
        self._classes = tf.constant(classes, tf.string)
        self._item_ids = tf.constant(space.catalogue.item_ids, tf.string)
        self._titles = tf.constant(space.catalogue.titles, tf.string)
        self._item_vectors = tf.constant(item_vectors, tf.float32)

    def signatures(self) -> dict[str, Any]:
        """Return the functions to export, by signature name."""
        return {
            "serving_default": self.next_class.get_concrete_function(),
            "next_class_full": self.next_class_full.get_concrete_function(),
            "recommend": self.recommend.get_concrete_function(),
        }

    @tf.function(input_signature=[*_HISTORY, _K], autograph=False)
    def next_class(self, item_id: Any, behavior: Any, k: Any) -> Tensors:
        """History [batch, length] and k [batch] → the k likeliest classes: label and probability [batch, max(k)]."""
        empty = tf.zeros_like(item_id)
        return self._likeliest(item_id, behavior, empty, empty, tf.zeros(tf.shape(item_id), tf.int64), k)

    @tf.function(input_signature=[*_HISTORY, *_CONTEXT, _K], autograph=False)
    def next_class_full(self, item_id: Any, behavior: Any, query: Any, device: Any, timestamp: Any, k: Any) -> Tensors:
        """The same from all that is known of each event; "" and 0 stand for what is not."""
        return self._likeliest(item_id, behavior, query, device, timestamp, k)

    @tf.function(input_signature=[*_HISTORY, _K], autograph=False)
    def recommend(self, item_id: Any, behavior: Any, k: Any) -> Tensors:
        """History [batch, length] and k [batch] → the k most similar items: item_id, title, score [batch, max(k)]."""
        empty = tf.zeros_like(item_id)
        ids = self.history(item_id, behavior, empty, empty, tf.zeros(tf.shape(item_id), tf.int64))
        users = representation(self._model, self._features.inputs(ids, self._inputs))
        score, index = top_items(cosine_scores(users, self._item_vectors), self._largest(k))
        shown = self._within(k, score)
        return {
            "item_id": tf.where(shown, tf.gather(self._item_ids, index), ""),
            "title": tf.where(shown, tf.gather(self._titles, index), ""),
            "score": tf.where(shown, score, 0.0),
        }

    def history(self, item_id: Any, behavior: Any, query: Any, device: Any, timestamp: Any) -> Tensors:
        """Turn raw histories into ids as training saw them: start token, newest max_length events, padding.

        Text [batch, length] each, timestamp int64 ms [batch, length]; an event without a behaviour is a search if
        it has words, a view if it has an item, and else padding, wherever it stands. Returns int64 [batch, 1 + length].
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
        return history

    def _likeliest(self, item_id: Any, behavior: Any, query: Any, device: Any, timestamp: Any, k: Any) -> Tensors:
        ids = self.history(item_id, behavior, query, device, timestamp)
        probabilities = self._model(self._features.inputs(ids, self._inputs))
        probability, index = top_items(probabilities, self._largest(k))
        shown = self._within(k, probability)
        return {
            "label": tf.where(shown, tf.gather(self._classes, index), ""),
            "probability": tf.where(shown, probability, 0.0),
        }

    def _largest(self, k: Any) -> Any:
        # An empty batch has no largest k.
        return tf.clip_by_value(tf.reduce_max(tf.concat([k, [1]], axis=0)), 1, self._max_k)

    def _within(self, k: Any, scores: Any) -> Any:
        return tf.range(tf.shape(scores)[1]) < k[:, tf.newaxis]
