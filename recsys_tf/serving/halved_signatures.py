"""The query tower in two halves, for hosts with an accelerator that compiles ahead and knows no text.

look_up    raw histories → integers; vocabularies and everything else that reads text stay on the host
embed_ids  these integers, in a shape that is fixed → query vectors, one program compiled by XLA

A client of such a host asks the one and then the other; what the vectors are compared with comes from
`embed_candidate`. We compile the second half for the CPU; it has not been run on a TPU.
"""

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from recsys_tf.models.retrieval import Retrieval
from recsys_tf.sequences.feature_space import FeatureSpace
from recsys_tf.sequences.features import EventFeatures
from recsys_tf.sequences.vocabularies import PADDING
from recsys_tf.serving.history import COLUMN, CONTEXT, HISTORY, QUESTION, HistoryIds, asked_behavior

Tensors = dict[str, Any]

# What the query tower reads of every event.
_OF_EVENTS = ("row", "behavior", "device", "gap", "hour", "weekday", "words")


class HalvedSignatures(tf.Module):  # type: ignore[misc]
    """`look_up` and `embed_ids`, which together are `embed_query`.

    retrieval: its model built with static shapes. table: float32 [catalogue rows, width] as the model has it. rows: the
    histories that `embed_ids` takes, neither more nor fewer; whoever has fewer asks for empty ones as well.
    """

    def __init__(self, retrieval: Retrieval, space: FeatureSpace, history: HistoryIds, table: Any, rows: int) -> None:
        super().__init__()
        self._retrieval: Callable[[], Retrieval] = lambda: retrieval
        self._weights = retrieval.model.variables
        self._history, self._features, self._table = history, EventFeatures(space), table
        self._shape, self._words = (rows, 1 + space.max_length), space.words

    def signatures(self) -> dict[str, Any]:
        """Return the functions to export, by signature name."""
        look_up = tf.function(self._look_up, input_signature=[*HISTORY, *CONTEXT, QUESTION[0]], autograph=False)
        embed_ids = tf.function(self._embed_ids, input_signature=self._specs(), autograph=False, jit_compile=True)
        return {"look_up": look_up.get_concrete_function(), "embed_ids": embed_ids.get_concrete_function()}

    def _look_up(
        self, item_id: Any, behavior: Any, query: Any, device: Any, timestamp: Any, target_behavior: Any
    ) -> Tensors:
        """Histories [batch, length] → what `embed_ids` takes, int32, padded to the longest history that is read."""
        ids = self._history(item_id, behavior, query, device, timestamp)
        ids.pop(COLUMN)
        features = self._features(ids) | {"row": tf.cast(ids["row"], tf.int32)}
        missing = self._shape[1] - tf.shape(ids["row"])[1]
        padded = {}
        for name in _OF_EVENTS:
            paddings = [[0, 0], [0, missing], [0, 0]] if name == "words" else [[0, 0], [0, missing]]
            padded[name] = tf.pad(features[name], paddings)
        held = tf.math.count_nonzero(ids["behavior"] != PADDING, axis=1, dtype=tf.int32)
        return padded | {"held": held, "target_behavior": asked_behavior(self._history.behaviors(target_behavior))}

    def _embed_ids(
        self,
        row: Any,
        behavior: Any,
        device: Any,
        gap: Any,
        hour: Any,
        weekday: Any,
        words: Any,
        held: Any,
        target_behavior: Any,
    ) -> Tensors:
        """Integers of `look_up` for exactly `rows` histories → vector float32 [rows, width]."""
        events = (row, behavior, device, gap, hour, weekday, words)
        features = dict(zip(_OF_EVENTS, events, strict=True)) | {"held": held}
        return {"vector": self._retrieval().model.query(features, target_behavior, self._table)}

    def _specs(self) -> list[Any]:
        shapes = [(*self._shape, self._words) if name == "words" else self._shape for name in _OF_EVENTS]
        events = [tf.TensorSpec(shape, tf.int32, name) for name, shape in zip(_OF_EVENTS, shapes, strict=True)]
        return [*events, *(tf.TensorSpec(self._shape[:1], tf.int32, name) for name in ("held", "target_behavior"))]
