"""Ads (article section 6.2): how likely a user clicks on, or buys, an item that they are shown.

A logistic regression on what the frozen two-tower model thinks of the pair and on plain counts, then a calibration that
was fitted on later exposures, so that 3 % means 3 in a hundred.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from recsys_tf.heads.look_alike import mean_query
from recsys_tf.models.index import scores
from recsys_tf.models.retrieval import Retrieval
from recsys_tf.sequences.catalogue import Catalogue
from recsys_tf.sequences.vocabularies import FIRST, PADDING

Tensors = dict[str, Any]
Floats = npt.NDArray[np.float32]

# What the model says of a pair of user and item, and what anybody could count.
LEARNED: Final = (
    "log-probability by the towers",
    "log-probability by the mixture",
    "likeness to the whole history",
)
COUNTED: Final = (
    "log-popularity of the item",
    "events with the item",
    "events with its category",
    "the last item has its category",
    "events at all",
    "the item's price bucket less the user's",
)
FEATURES: Final = (*LEARNED, *COUNTED)
_SMALLEST = 1e-12


class PairFeatures(tf.Module):  # type: ignore[misc]
    """Features of a history and an item; popularity: float32 [items], training events of each."""

    def __init__(self, catalogue: Catalogue, popularity: Floats) -> None:
        super().__init__()
        self.popularity = popularity
        self._log_popularity = tf.constant(np.log1p(popularity), tf.float32)
        self._category = tf.constant(catalogue.category, tf.int32)
        self._price = tf.constant(catalogue.price_bucket, tf.int32)

    def __call__(self, retrieval: Retrieval, ids: Tensors, candidate: Any, table: Any) -> Any:
        """Return float32 [batch, candidates, FEATURES].

        ids: as `Retrieval.queries` takes them, [batch, length]. candidate: int64 [batch, candidates], catalogue rows of
        items. table: [rows, width] as the model has it.
        """
        query = retrieval.representation(ids, table)
        item = candidate - FIRST
        towers = scores(query, retrieval.model.candidates(table))
        likely = tf.nn.log_softmax(towers)
        mixed = retrieval.mixture(towers, ids) if retrieval.mixture is not None else tf.exp(likely)
        learned = [likely, tf.math.log(mixed + _SMALLEST)]
        own = [tf.gather(values, item, batch_dims=1) for values in learned]
        item_direction = tf.math.l2_normalize(tf.gather(retrieval.model.candidates(table), item), axis=-1)
        own.append(tf.linalg.matvec(item_direction, mean_query(retrieval, ids)))
        return tf.stack([*own, *self._counted(ids["row"], candidate)], axis=-1)

    def _counted(self, row: Any, candidate: Any) -> list[Any]:
        happened = row >= FIRST
        category, price = tf.gather(self._category, row), tf.gather(self._price, row)
        own_category, own_price = tf.gather(self._category, candidate), tf.gather(self._price, candidate)
        same = happened[:, tf.newaxis] & (row[:, tf.newaxis] == candidate[..., tf.newaxis])
        alike = happened[:, tf.newaxis] & (category[:, tf.newaxis] == own_category[..., tf.newaxis])
        number = tf.reduce_sum(tf.cast(happened, tf.int32), axis=1)
        position = tf.range(tf.shape(row)[1])
        newest = tf.reduce_max(tf.where(happened, position, 0), axis=1)
        last = tf.gather(category, newest, batch_dims=1)[:, tf.newaxis] == own_category
        priced = tf.cast(happened & (price > PADDING), tf.float32)
        usual = tf.math.divide_no_nan(tf.reduce_sum(priced * tf.cast(price, tf.float32), 1), tf.reduce_sum(priced, 1))
        cheap = tf.where(usual[:, tf.newaxis] > 0, tf.cast(own_price, tf.float32) - usual[:, tf.newaxis], 0.0)
        counted = tf.broadcast_to(tf.math.log1p(tf.cast(number, tf.float32))[:, tf.newaxis], tf.shape(candidate))
        return [
            tf.gather(self._log_popularity, candidate - FIRST),
            tf.math.log1p(tf.reduce_sum(tf.cast(same, tf.float32), axis=2)),
            tf.math.log1p(tf.reduce_sum(tf.cast(alike, tf.float32), axis=2)),
            tf.cast(last & (number > 0)[:, tf.newaxis], tf.float32),
            counted,
            cheap,
        ]


@dataclass(frozen=True)
class Calibration:
    """A growing curve from a model's logit to a probability, float32 [points] each; straight between its points."""

    logit: Floats
    probability: Floats


class AdsHead(tf.Module):  # type: ignore[misc]
    """Weights float32 [FEATURES], bias, and the calibration."""

    def __init__(self, features: PairFeatures, weights: Floats, bias: float, calibration: Calibration) -> None:
        super().__init__()
        self.features, self.weights, self.bias, self.calibration = features, weights, bias, calibration
        self._weights = tf.constant(weights, tf.float32)
        self._logit, self._probability = tf.constant(calibration.logit), tf.constant(calibration.probability)

    def __call__(self, retrieval: Retrieval, ids: Tensors, candidate: Any, table: Any) -> Any:
        """Return the probability of each candidate, float32 [batch, candidates]; arguments as `PairFeatures` has."""
        pairs = self.features(retrieval, ids, candidate, table)
        return self.calibrated(tf.linalg.matvec(pairs, self._weights) + self.bias)

    def calibrated(self, logit: Any) -> Any:
        """Logits of any shape → probabilities float32 of the same shape."""
        flat = tf.clip_by_value(tf.reshape(logit, [-1]), self._logit[0], self._logit[-1])
        above = tf.clip_by_value(tf.searchsorted(self._logit, flat, side="right"), 1, tf.size(self._logit) - 1)
        low, high = tf.gather(self._logit, above - 1), tf.gather(self._logit, above)
        share = tf.math.divide_no_nan(flat - low, high - low)
        start, end = tf.gather(self._probability, above - 1), tf.gather(self._probability, above)
        return tf.reshape(start + share * (end - start), tf.shape(logit))

    def save(self, directory: Path) -> None:
        """Write ads.npz into a folder."""
        np.savez_compressed(
            directory / "ads.npz",
            weights=self.weights,
            bias=np.array(self.bias),
            popularity=self.features.popularity,
            logit=self.calibration.logit,
            probability=self.calibration.probability,
        )

    @classmethod
    def load(cls, directory: Path, catalogue: Catalogue) -> "AdsHead":
        """Read what `save` wrote for a run's catalogue."""
        with np.load(directory / "ads.npz", allow_pickle=False) as found:
            curve = Calibration(found["logit"], found["probability"])
            features = PairFeatures(catalogue, found["popularity"])
            return cls(features, found["weights"], float(found["bias"]), curve)
