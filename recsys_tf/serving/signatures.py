"""The classifier's signatures: raw values in, answers out; vocabularies, padding, features and catalogue are inside.

Every input has the batch as its first dimension, `k` too, so that REST's row form and request batching work; shorter
histories of a batch are padded with "". A SavedModel of these holds core TensorFlow ops only and no user.
"""

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from recsys_tf.config import Inputs
from recsys_tf.models.classifier import representation
from recsys_tf.models.cosine_recommender import cosine_scores
from recsys_tf.models.index import top_items
from recsys_tf.sequences.feature_space import FeatureSpace
from recsys_tf.sequences.features import EventFeatures
from recsys_tf.serving.history import CONTEXT, HISTORY, HistoryIds, K, largest, parse_histories, shown

Tensors = dict[str, Any]


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
        # A Keras model that a module holds is saved with functions for each of its layers, which nobody ever calls and
        # which take most of the time; what answers needs its weights only.
        self._model: Callable[[], tf.keras.Sequential] = lambda: model
        self._weights = model.variables
        self._history, self._features = HistoryIds(space), EventFeatures(space)
        self._inputs: Inputs = inputs
        self._max_k = max_k
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
            "classify": self.classify.get_concrete_function(),
        }

    @tf.function(input_signature=[*HISTORY, K], autograph=False)
    def next_class(self, item_id: Any, behavior: Any, k: Any) -> Tensors:
        """History [batch, length] and k [batch] → the k likeliest classes: label and probability [batch, max(k)]."""
        empty = tf.zeros_like(item_id)
        return self._likeliest(item_id, behavior, empty, empty, tf.zeros(tf.shape(item_id), tf.int64), k)

    @tf.function(input_signature=[*HISTORY, *CONTEXT, K], autograph=False)
    def next_class_full(self, item_id: Any, behavior: Any, query: Any, device: Any, timestamp: Any, k: Any) -> Tensors:
        """The same from all that is known of each event; "" and 0 stand for what is not."""
        return self._likeliest(item_id, behavior, query, device, timestamp, k)

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "inputs")], autograph=False)
    def classify(self, inputs: Any) -> Tensors:
        """Histories as serialized tf.Examples [batch] → classes and scores [batch, classes], the likeliest first."""
        history = parse_histories(inputs)
        answer = self._likeliest(**history, k=tf.fill([tf.size(inputs)], self._max_k))
        return {"classes": answer["label"], "scores": answer["probability"]}

    @tf.function(input_signature=[*HISTORY, K], autograph=False)
    def recommend(self, item_id: Any, behavior: Any, k: Any) -> Tensors:
        """History [batch, length] and k [batch] → the k most similar items: item_id, title, score [batch, max(k)]."""
        empty = tf.zeros_like(item_id)
        ids = self._history(item_id, behavior, empty, empty, tf.zeros(tf.shape(item_id), tf.int64))
        users = representation(self._model(), self._features.inputs(ids, self._inputs))
        score, index = top_items(cosine_scores(users, self._item_vectors), largest(k, self._max_k))
        there = shown(k, score)
        return {
            "item_id": tf.where(there, tf.gather(self._item_ids, index), ""),
            "title": tf.where(there, tf.gather(self._titles, index), ""),
            "score": tf.where(there, score, 0.0),
        }

    def _likeliest(self, item_id: Any, behavior: Any, query: Any, device: Any, timestamp: Any, k: Any) -> Tensors:
        ids = self._history(item_id, behavior, query, device, timestamp)
        probabilities = self._model()(self._features.inputs(ids, self._inputs))
        probability, index = top_items(probabilities, largest(k, self._max_k))
        there = shown(k, probability)
        return {
            "label": tf.where(there, tf.gather(self._classes, index), ""),
            "probability": tf.where(there, probability, 0.0),
        }
