"""The service head's signature: `intent`, a history and the contact's first words → likeliest reasons and answers."""

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from recsys_tf.heads.service import ServiceHead
from recsys_tf.models.index import top_items
from recsys_tf.models.retrieval import Retrieval
from recsys_tf.serving.history import COLUMN, CONTEXT, HISTORY, HistoryIds, K, largest, shown

Tensors = dict[str, Any]

_CONTACT = [tf.TensorSpec([None], tf.int64, "contacted"), tf.TensorSpec([None], tf.string, "words")]


class ServiceSignatures(tf.Module):  # type: ignore[misc]
    """`intent`; retrieval, history and table are those of the model's own signatures."""

    def __init__(self, head: ServiceHead, retrieval: Retrieval, history: HistoryIds, table: Any) -> None:
        super().__init__()
        self._retrieval: Callable[[], Retrieval] = lambda: retrieval
        self._weights = retrieval.model.variables
        self._head, self._history, self._table = head, history, table
        self._reasons = tf.constant(head.reasons, tf.string)
        english, chinese = zip(*(head.answers[reason] for reason in head.reasons), strict=True)
        self._answers, self._chinese = tf.constant(english, tf.string), tf.constant(chinese, tf.string)

    def signatures(self) -> dict[str, Any]:
        """Return the functions to export, by signature name."""
        return {"intent": self.intent.get_concrete_function()}

    @tf.function(input_signature=[*HISTORY, *CONTEXT, *_CONTACT, K], autograph=False)
    def intent(
        self,
        item_id: Any,
        behavior: Any,
        query: Any,
        device: Any,
        timestamp: Any,
        contacted: Any,
        words: Any,
        k: Any,
    ) -> Tensors:
        """History before the contact [batch, length] → the k likeliest reasons, [batch, max(k) or all there are].

        contacted [batch]: when the user gets in touch, ms, 0 for right after the newest event. words [batch]: what was
        said first, "" for nothing yet. k [batch]. Returns text reason, answer (English) and answer_zh (Chinese), and
        float32 probability; places beyond a row's k are "" and 0.
        """
        ids = self._history(item_id, behavior, query, device, timestamp)
        ids.pop(COLUMN)
        everything = self._head(self._retrieval(), ids, contacted[:, tf.newaxis], words, self._table)
        probability, index = top_items(everything, largest(k, len(self._head.reasons)))
        there = shown(k, probability)
        texts = {"reason": self._reasons, "answer": self._answers, "answer_zh": self._chinese}
        listed = {name: tf.where(there, tf.gather(values, index), "") for name, values in texts.items()}
        return {**listed, "probability": tf.where(there, probability, 0.0)}
