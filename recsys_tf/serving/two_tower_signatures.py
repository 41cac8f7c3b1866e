"""The two-tower model's signatures: a raw history in, items of the whole catalogue out."""

from typing import Any

import tensorflow as tf

from recsys_tf.models.index import top_items
from recsys_tf.models.query_tower import ANY_BEHAVIOR
from recsys_tf.models.retrieval import Retrieval
from recsys_tf.sequences.feature_space import FeatureSpace
from recsys_tf.serving.history import CONTEXT, HISTORY, HistoryIds, K, largest, shown

Tensors = dict[str, Any]


class TwoTowerSignatures(tf.Module):  # type: ignore[misc]
    """What a server is asked: the items that come next, for a history or for a history that ends in a search."""

    def __init__(self, retrieval: Retrieval, space: FeatureSpace, table: Any, max_k: int) -> None:
        super().__init__()
        self._retrieval, self._history, self._max_k = retrieval, HistoryIds(space), max_k
        self._table = tf.constant(table, tf.float32)
        self._item_ids = tf.constant(space.catalogue.item_ids, tf.string)
        self._titles = tf.constant(space.catalogue.titles, tf.string)

    def signatures(self) -> dict[str, Any]:
        """Return the functions to export, by signature name."""
        return {
            "serving_default": self.next_items.get_concrete_function(),
            "recommend": self.recommend.get_concrete_function(),
        }

    @tf.function(input_signature=[*HISTORY, K], autograph=False)
    def next_items(self, item_id: Any, behavior: Any, k: Any) -> Tensors:
        """History [batch, length] and k [batch] → the k best items: item_id, title, score [batch, max(k)]."""
        empty = tf.zeros_like(item_id)
        return self._best(item_id, behavior, empty, empty, tf.zeros(tf.shape(item_id), tf.int64), k)

    @tf.function(input_signature=[*HISTORY, *CONTEXT, K], autograph=False)
    def recommend(self, item_id: Any, behavior: Any, query: Any, device: Any, timestamp: Any, k: Any) -> Tensors:
        """The same from all that is known of each event, searches included; "" and 0 stand for what is not."""
        return self._best(item_id, behavior, query, device, timestamp, k)

    def _best(self, item_id: Any, behavior: Any, query: Any, device: Any, timestamp: Any, k: Any) -> Tensors:
        ids = self._history(item_id, behavior, query, device, timestamp)
        asked = tf.fill([tf.shape(item_id)[0]], ANY_BEHAVIOR)
        score, index = top_items(self._retrieval(ids, asked, self._table), largest(k, self._max_k))
        there = shown(k, score)
        return {
            "item_id": tf.where(there, tf.gather(self._item_ids, index), ""),
            "title": tf.where(there, tf.gather(self._titles, index), ""),
            "score": tf.where(there, score, 0.0),
        }
