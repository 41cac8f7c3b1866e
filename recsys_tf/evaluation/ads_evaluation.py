"""How good the ads head's probabilities are, on exposures of the test window: sharp, and true to their word."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from recsys_tf.config import AdsConfig
from recsys_tf.evaluation.bootstrap import Difference, Interval, clustered_interval, paired_difference
from recsys_tf.evaluation.classification_metrics import Reliability
from recsys_tf.evaluation.detection import auc_interval
from recsys_tf.heads.ads import COUNTED, FEATURES, AdsHead
from recsys_tf.sequences.splits import TEST, TRAINING, VALIDATION
from recsys_tf.training.fit_ads import Pairs, calibrate, fit_logistic, graph_probabilities

Array = npt.NDArray[Any]

HEAD, COUNTS, POPULARITY, RATE = (
    "ads head",
    "logistic regression on counts",
    "popularity of the item",
    "the average rate",
)
TRUTH = "the truth (simulated)"
_POPULARITY = FEATURES.index("log-popularity of the item")
_BINS = 10
_SMALLEST = 1e-6


@dataclass(frozen=True)
class AdsFigures:
    """One row: mean log loss, ROC AUC, and stated against measured probability in bins of equal numbers."""

    log_loss: Interval
    auc: Interval
    reliability: Reliability


@dataclass(frozen=True)
class AdsEvaluation:
    """All rows, how much smaller the head's log loss is than each other's, and what was asked."""

    rows: dict[str, AdsFigures]
    ahead: dict[str, Difference]
    exposures: int
    answers: int
    users: int


def evaluate_ads(head: AdsHead, pairs: Pairs, truth: Array | None, config: AdsConfig) -> AdsEvaluation:
    """Measure the head beside simpler ones, each fitted and calibrated as the head is.

    truth: the true probability of every row of the ad log float64, where it is known.
    """
    test = pairs.on(TEST)
    found: dict[str, Array] = {
        HEAD: graph_probabilities(head, test).astype(np.float64),
        COUNTS: _logistic(pairs, [FEATURES.index(name) for name in COUNTED], config),
        POPULARITY: _logistic(pairs, [_POPULARITY], config),
        RATE: np.full(len(test.answer), pairs.answer[pairs.side == TRAINING].mean()),
    }
    if truth is not None:
        found[TRUTH] = truth[test.at]
    clusters = np.unique(test.user, return_inverse=True)[1].astype(np.int64)
    losses = {name: _losses(one, test.answer) for name, one in found.items()}
    ahead = {
        name: paired_difference(loss, losses[HEAD], clusters, config.bootstrap_samples, config.seed)
        for name, loss in losses.items()
        if name != HEAD
    }
    rows = {name: _figures(one, losses[name], test.answer, clusters, config) for name, one in found.items()}
    return AdsEvaluation(rows, ahead, len(test.answer), int(test.answer.sum()), len(np.unique(clusters)))


def _logistic(pairs: Pairs, columns: list[int], config: AdsConfig) -> Array:
    weights, bias = fit_logistic(pairs, columns)
    validation, test = pairs.on(VALIDATION), pairs.on(TEST)
    curve = calibrate(validation.features @ weights + bias, validation.answer, config.calibration)
    found: Array = np.interp(test.features @ weights + bias, curve.logit, curve.probability)
    return found


def _losses(probability: Array, answer: Array) -> Array:
    clipped = np.clip(probability, _SMALLEST, 1 - _SMALLEST)
    losses: Array = np.where(answer, -np.log(clipped), -np.log1p(-clipped))
    return losses


def _figures(probability: Array, loss: Array, answer: Array, clusters: Array, config: AdsConfig) -> AdsFigures:
    return AdsFigures(
        clustered_interval(loss, clusters, config.bootstrap_samples, config.seed),
        auc_interval(answer, probability, clusters, config.bootstrap_samples, config.seed),
        equal_bins(probability, answer),
    )


def equal_bins(probability: Array, answer: Array, bins: int = _BINS) -> Reliability:
    """Stated against measured probability in bins of equal numbers, lowest first: rates are too small for equal widths.

    probability float64, answer bool [n] → confidence, accuracy, count [bins].
    """
    parts = np.array_split(np.argsort(probability, kind="stable"), min(bins, len(probability)))
    stated, measured = (np.array([values[part].mean() for part in parts]) for values in (probability, answer))
    count = np.array([len(part) for part in parts])
    return Reliability(stated, measured, count, float((np.abs(stated - measured) * count).sum() / len(probability)))
