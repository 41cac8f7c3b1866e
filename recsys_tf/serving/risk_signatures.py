"""The risk head's signature: `risk`, a history → how little it looks like its owner's, or any customer's."""

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from recsys_tf.heads.risk import RiskHead
from recsys_tf.models.retrieval import Retrieval
from recsys_tf.serving.history import COLUMN, CONTEXT, HISTORY, HistoryIds

Tensors = dict[str, Any]


class RiskSignatures(tf.Module):  # type: ignore[misc]
    """`risk`; retrieval, history and table are those of the model's own signatures."""

    def __init__(self, head: RiskHead, retrieval: Retrieval, history: HistoryIds, table: Any) -> None:
        super().__init__()
        self._retrieval: Callable[[], Retrieval] = lambda: retrieval
        self._weights = retrieval.model.variables
        self._head, self._history, self._table = head, history, table

    def signatures(self) -> dict[str, Any]:
        """Return the functions to export, by signature name."""
        return {"risk": self.risk.get_concrete_function()}

    @tf.function(input_signature=[*HISTORY, *CONTEXT], autograph=False)
    def risk(self, item_id: Any, behavior: Any, query: Any, device: Any, timestamp: Any) -> Tensors:
        """History [batch, length] → risk and the measures behind it (see `RiskHead`): float32 [batch] each."""
        ids = self._history(item_id, behavior, query, device, timestamp)
        ids.pop(COLUMN)
        answer: Tensors = self._head(self._retrieval(), ids, self._table)
        return answer
