"""Ask a trained two-tower model the questions of an evaluation, a slice of them at a time."""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from recsys_tf.evaluation.queries import Queries
from recsys_tf.models.query_tower import ANY_BEHAVIOR
from recsys_tf.models.retrieval import Retrieval

Scores = npt.NDArray[np.float32]


class TwoTowerScores:
    """A trained model with its item table, float32 [rows, width], and the one graph that all questions go through."""

    def __init__(self, retrieval: Retrieval) -> None:
        self.retrieval, self.table = retrieval, retrieval.model.table()
        spec = {name: tf.TensorSpec([None, None], tf.int64) for name in ("row", "behavior", "device", "timestamp")}
        spec["words"] = tf.TensorSpec([None, None, None], tf.int64)

        @tf.function(input_signature=[spec, tf.TensorSpec([None], tf.int32)], autograph=False)  # type: ignore[untyped-decorator, unused-ignore]
        def score(ids: dict[str, Any], behavior: Any) -> Any:
            return retrieval(ids, behavior, self.table)

        self._score = score

    def scorer(self, queries: Queries, told: bool = False) -> Callable[[slice], Scores]:
        """Return the function that scores the whole catalogue for a slice of the queries: float32 [rows, items].

        The question is what comes next, whatever the user does with it, or, told the behaviour of each target, what
        the user will do that with.
        """
        asked = queries.target_behavior if told else np.full(len(queries), ANY_BEHAVIOR)

        def scores(rows: slice) -> Scores:
            longest = int(queries.held[rows].max(initial=1))
            ids = {name: tf.constant(values[rows, :longest]) for name, values in queries.ids.items()}
            return np.asarray(self._score(ids, tf.constant(asked[rows], tf.int32)).numpy(), np.float32)

        return scores
