"""From the ids of histories to scores of all items: the one way that validation, evaluation and serving go."""

from typing import Any

import tensorflow as tf

from recsys_tf.models.index import scores
from recsys_tf.models.mixture import Mixture
from recsys_tf.models.query_tower import ANY_BEHAVIOR
from recsys_tf.models.two_tower import TwoTower
from recsys_tf.sequences.feature_space import FeatureSpace
from recsys_tf.sequences.features import EventFeatures
from recsys_tf.sequences.vocabularies import PADDING

Tensors = dict[str, Any]


class Retrieval(tf.Module):  # type: ignore[misc]
    """A two-tower model, the features that it eats, and the mixture on top, where there is one."""

    def __init__(self, model: TwoTower, space: FeatureSpace, mixture: Mixture | None = None) -> None:
        super().__init__()
        self.model, self.mixture = model, mixture
        self._features = EventFeatures(space)

    def queries(self, ids: Tensors, target_behavior: Any, table: Any) -> Any:
        """Ids of histories → query vectors float32 [batch, width].

        ids: int64 row, behavior, device, timestamp [batch, length], words [batch, length, words], from the start token
        on, padded on the right. target_behavior: int32 [batch], the behaviour asked for, ANY_BEHAVIOR for any. table:
        [rows, width] as the model has it.
        """
        return self.model.query(self._inputs(ids), target_behavior, table)

    def representation(self, ids: Tensors, table: Any) -> Any:
        """Return what the heads build on: the query after the last event, for any next behaviour [batch, width]."""
        return self.queries(ids, tf.fill([tf.shape(ids["row"])[0]], ANY_BEHAVIOR), table)

    def every_query(self, ids: Tensors) -> Any:
        """Return the query at every position, for any next behaviour: float32 [batch, length, width].

        Position p knows the events up to p; of an encoder that looks both ways only the last one means anything.
        """
        return self.model(self._inputs(ids))

    def attention(self, ids: Tensors, table: Any) -> Any:
        """How much each event takes from each, of a Transformer: float32 [blocks, batch, heads, length, length]."""
        inputs = self._inputs(ids)
        return self.model.query_tower.attention(inputs, tf.gather(table, inputs["row"]))

    def __call__(self, ids: Tensors, target_behavior: Any, table: Any) -> Any:
        """Score all items: float32 [batch, items]; table [rows, width] as the model has it."""
        return self.score(self.queries(ids, target_behavior, table), ids, table)

    def score(self, queries: Any, ids: Tensors, table: Any) -> Any:
        """Score all items for query vectors [batch, width] that are there already: float32 [batch, items]."""
        everything = scores(queries, self.model.candidates(table))
        return everything if self.mixture is None else self.mixture(everything, ids)

    def _inputs(self, ids: Tensors) -> Tensors:
        held = tf.math.count_nonzero(ids["behavior"] != PADDING, axis=1, dtype=tf.int32)
        inputs: Tensors = self._features.inputs(ids, "events")
        return inputs | {"row": tf.cast(ids["row"], tf.int32), "held": held}
