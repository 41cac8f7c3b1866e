"""The ads head's signature: `ads`, a history and the items that may be shown → how likely each is answered."""

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from recsys_tf.heads.ads import AdsHead
from recsys_tf.models.retrieval import Retrieval
from recsys_tf.sequences.vocabularies import FIRST
from recsys_tf.serving.history import COLUMN, CONTEXT, HISTORY, HistoryIds

Tensors = dict[str, Any]

_ITEMS = tf.TensorSpec([None, None], tf.string, "candidate")


class AdsSignatures(tf.Module):  # type: ignore[misc]
    """`ads`; retrieval, history and table are those of the model's own signatures."""

    def __init__(self, head: AdsHead, retrieval: Retrieval, history: HistoryIds, table: Any) -> None:
        super().__init__()
        self._retrieval: Callable[[], Retrieval] = lambda: retrieval
        self._weights = retrieval.model.variables
        self._head, self._history, self._table = head, history, table

    def signatures(self) -> dict[str, Any]:
        """Return the functions to export, by signature name."""
        return {"ads": self.ads.get_concrete_function()}

    @tf.function(input_signature=[*HISTORY, *CONTEXT, _ITEMS], autograph=False)
    def ads(self, item_id: Any, behavior: Any, query: Any, device: Any, timestamp: Any, candidate: Any) -> Tensors:
        """History [batch, length], candidate [batch, any] → probability, 0 where not known, and known [batch, any]."""
        ids = self._history(item_id, behavior, query, device, timestamp)
        ids.pop(COLUMN)
        rows = self._history.rows(candidate)
        known = rows >= FIRST
        found = self._head(self._retrieval(), ids, tf.maximum(rows, FIRST), self._table)
        return {"probability": tf.where(known, found, 0.0), "known": known}
