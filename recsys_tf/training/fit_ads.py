"""Fit the ads head: weights on exposures of the training window, strength and calibration on the validation window."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import tensorflow as tf
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.preprocessing import StandardScaler

from recsys_tf.config import AdsConfig
from recsys_tf.errors import InputError
from recsys_tf.heads.ads import FEATURES, AdsHead, Calibration, PairFeatures
from recsys_tf.models.retrieval import Retrieval
from recsys_tf.sequences.moments import events_before, places_of
from recsys_tf.sequences.newest_windows import newest_windows
from recsys_tf.sequences.shards import UserSequences
from recsys_tf.sequences.splits import TRAINING, VALIDATION
from recsys_tf.sequences.vocabularies import FIRST
from recsys_tf.training.fit_risk import in_batches

Array = npt.NDArray[Any]

# Strengths of the L2 penalty that are tried, strongest first.
_STRENGTHS = (1e-3, 1e-2, 1e-1, 1.0, 10.0)
_FEWEST_ANSWERS = 5


@dataclass(frozen=True)
class Pairs:
    """Exposures that the model can be asked about: who [n], on which side [n], what came of it bool [n], FEATURES
    float32 [n, FEATURES], and the row of each in the ad log."""

    user: Array
    side: Array
    answer: Array
    features: Array
    at: Array

    def on(self, side: int) -> "Pairs":
        """Return those of one side."""
        one = self.side == side
        return Pairs(self.user[one], self.side[one], self.answer[one], self.features[one], self.at[one])


def pairs_of(
    exposures: pd.DataFrame,
    side: Array,
    event: str,
    sequences: UserSequences,
    features: PairFeatures,
    retrieval: Retrieval,
    table: Any,
    rows: Array,
    length: int,
) -> Pairs:
    """Ask for the features of every exposure of an item of the catalogue, given the events before it.

    exposures: as `read_exposures` returns them; side: int [exposures]; event: "clicked" or "purchased"; rows: int64
    [exposures], the items' catalogue rows; length: events of a window. Users whose events are not known have an empty
    history. Raises InputError when no item is known.
    """
    known = np.flatnonzero(rows >= FIRST)
    if not len(known):
        raise InputError("the ad log shows no item of the catalogue")
    asked = exposures.iloc[known]
    user = places_of(sequences, asked["user_id"])
    end = events_before(sequences, user, asked["timestamp"].to_numpy(np.int64))
    windows = newest_windows(sequences, np.maximum(user, 0), end, length) | {"candidate": rows[known][:, None]}

    def ask(batch: dict[str, Any]) -> dict[str, Any]:
        ids = {name: values for name, values in batch.items() if name != "candidate"}
        return {"pairs": features(retrieval, ids, batch["candidate"], table)[:, 0]}

    found = in_batches(ask, windows)["pairs"]
    return Pairs(asked["user_id"].to_numpy(str), side[known], asked[event].to_numpy(bool), found, known)


def fit_ads(pairs: Pairs, features: PairFeatures, config: AdsConfig) -> AdsHead:
    """Fit on the training exposures and calibrate on the validation ones. Raises InputError for too few answers."""
    weights, bias = fit_logistic(pairs, range(len(FEATURES)))
    validation = pairs.on(VALIDATION)
    logit = validation.features @ weights + bias
    return AdsHead(features, weights.astype(np.float32), bias, calibrate(logit, validation.answer, config.calibration))


def fit_logistic(pairs: Pairs, columns: Any) -> tuple[Array, float]:
    """Fit a logistic regression on some features, its penalty chosen on the validation side.

    Returns weights float64 [FEATURES], 0 for features that are not used, and the bias.
    """
    columns = list(columns)
    training, validation = pairs.on(TRAINING), pairs.on(VALIDATION)
    for part, name in ((training, "training"), (validation, "validation")):
        if min(part.answer.sum(), (~part.answer).sum()) < _FEWEST_ANSWERS:
            raise InputError(
                f"the {name} side of the ad log holds {int(part.answer.sum())} answers: too few to learn from"
            )
    scaler = StandardScaler().fit(training.features[:, columns])
    best: tuple[float, Any] | None = None
    for strength in _STRENGTHS:
        model = LogisticRegression(C=strength, max_iter=1000)
        model.fit(scaler.transform(training.features[:, columns]), training.answer)
        found = model.predict_proba(scaler.transform(validation.features[:, columns]))[:, 1]
        loss = log_loss(validation.answer, found)
        if best is None or loss < best[0]:
            best = loss, model
    assert best is not None
    weights = np.zeros(len(FEATURES))
    weights[columns] = best[1].coef_[0] / scaler.scale_
    bias = float(best[1].intercept_[0] - (best[1].coef_[0] * scaler.mean_ / scaler.scale_).sum())
    return weights, bias


def calibrate(logit: Array, answer: Array, method: str) -> Calibration:
    """Fit the curve from logits [n] to the share of answers bool [n]: "platt" (a logistic one) or "isotonic" (any)."""
    if method == "isotonic":
        fitted = IsotonicRegression(out_of_bounds="clip").fit(logit, answer)
        points, shares = fitted.X_thresholds_, fitted.y_thresholds_
    else:
        model = LogisticRegression(C=1e6).fit(logit[:, None], answer)
        # Growing, and fine enough that straight lines between the points are the curve.
        slope, shift = max(float(model.coef_[0, 0]), 1e-6), float(model.intercept_[0])
        points = np.linspace(-15, 15, 2001)
        shares, points = 1 / (1 + np.exp(-points)), (points - shift) / slope
    if len(points) < 2:
        points, shares = np.array([-1.0, 1.0]), np.repeat(shares, 2)
    return Calibration(points.astype(np.float32), shares.astype(np.float32))


def graph_probabilities(head: AdsHead, pairs: Pairs) -> Array:
    """The head's probability of each pair, by its own graph: float32 [n]."""
    found: Array = head.calibrated(tf.linalg.matvec(pairs.features, head.weights) + head.bias).numpy()
    return found
