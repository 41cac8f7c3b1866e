"""Ask a trained classifier the questions of an evaluation, batch by batch."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from recsys_tf.config import Inputs
from recsys_tf.evaluation.queries import Queries
from recsys_tf.models.classifier import representation
from recsys_tf.progress import Progress
from recsys_tf.sequences.feature_space import FeatureSpace
from recsys_tf.sequences.features import EventFeatures, start_ids
from recsys_tf.sequences.vocabularies import FIRST

Floats = npt.NDArray[np.float32]

_BATCH = 512
# An item by itself is encoded as the history of somebody who has viewed it and nothing else.
_VIEW = FIRST


@dataclass(frozen=True)
class Predictions:
    """What the classifier says: class probabilities [queries, classes] and representations [queries, width]."""

    probabilities: Floats
    representations: Floats


def make_predictor(model: tf.keras.Sequential, space: FeatureSpace, inputs: Inputs) -> Callable[[Queries], Predictions]:
    """Return the function that runs a classifier over queries; its graph is traced once, for every length."""
    features = EventFeatures(space)
    spec = {name: tf.TensorSpec([None, None], tf.int64) for name in ("row", "behavior", "device", "timestamp")}
    spec["words"] = tf.TensorSpec([None, None, None], tf.int64)

    @tf.function(input_signature=[spec], autograph=False)  # type: ignore[untyped-decorator, unused-ignore]
    def answer(ids: dict[str, Any]) -> tuple[Any, Any]:
        hidden = representation(model, features.inputs(ids, inputs))
        return model.layers[-1](hidden), hidden

    return lambda queries: _predict(answer, queries)


def _predict(answer: Callable[[dict[str, Any]], tuple[Any, Any]], queries: Queries) -> Predictions:
    # Histories of similar length share a batch, so that little is padding.
    order = np.argsort(queries.held, kind="stable")
    progress = Progress("predicting", "histories", len(queries))
    parts = []
    for start in range(0, len(order), _BATCH):
        chosen = order[start : start + _BATCH]
        length = int(queries.held[chosen].max())
        parts.append(answer({name: tf.constant(ids[chosen, :length]) for name, ids in queries.ids.items()}))
        progress.add(len(chosen))
    progress.close()
    back = np.argsort(order)
    probabilities, representations = (np.concatenate([part[i].numpy() for part in parts])[back] for i in (0, 1))
    return Predictions(probabilities, representations)


def item_representations(model: tf.keras.Sequential, space: FeatureSpace, inputs: Inputs) -> Floats:
    """Encode every item of the catalogue by the encoder that encodes users: [items, width]."""
    features = EventFeatures(space)
    rows = tf.range(FIRST, FIRST + len(space.catalogue), dtype=tf.int64)
    batches = [single_view_ids(rows[start : start + _BATCH], space.words) for start in range(0, len(rows), _BATCH)]
    return np.concatenate([representation(model, features.inputs(ids, inputs)).numpy() for ids in batches])


def single_view_ids(rows: Any, words: int) -> dict[str, Any]:
    """Histories of one view each: catalogue rows int64 [items] → ids [items, 2], the start token and the view."""
    start = start_ids(tf.size(rows), words)
    view = {**start, "row": rows[:, tf.newaxis], "behavior": tf.fill([tf.size(rows), 1], tf.constant(_VIEW, tf.int64))}
    return {name: tf.concat([start[name], view[name]], axis=1) for name in start}
