"""How well a score finds what is wrong: ROC AUC and precision among the few that can be looked at, with intervals."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.metrics import roc_auc_score

from recsys_tf.evaluation.bootstrap import Interval

Bools = npt.NDArray[np.bool_]
Array = npt.NDArray[Any]

FLAGGED = 0.01


@dataclass(frozen=True)
class Detection:
    """One detector's row; precision is that among the one per cent with the highest scores."""

    auc: Interval
    precision: Interval


def measure_detector(wrong: Bools, score: Array, clusters: Array, samples: int, seed: int) -> Detection:
    """Measure a score [cases] against the truth [cases]; clusters [cases] names the user of each case, for resampling.

    Resamples without a case of both kinds are drawn again.
    """
    users, user = np.unique(clusters, return_inverse=True)
    order = np.argsort(user, kind="stable")
    bounds = np.searchsorted(user[order], np.arange(len(users) + 1))
    random = np.random.default_rng(seed)
    aucs: list[float] = []
    precisions: list[float] = []
    while len(aucs) < samples:
        drawn = random.integers(len(users), size=len(users))
        cases = np.concatenate([order[bounds[one] : bounds[one + 1]] for one in drawn])
        if wrong[cases].any() and not wrong[cases].all():
            aucs.append(roc_auc_score(wrong[cases], score[cases]))
            precisions.append(precision_of_flagged(wrong[cases], score[cases]))
    return Detection(
        _interval(float(roc_auc_score(wrong, score)), aucs),
        _interval(precision_of_flagged(wrong, score), precisions),
    )


def precision_of_flagged(wrong: Bools, score: Array, share: float = FLAGGED) -> float:
    """Share that is wrong among the highest scores, `share` of the cases, at least one; ties count by their average."""
    number = max(round(share * len(score)), 1)
    edge = np.sort(score)[-number]
    above, at_edge = score > edge, score == edge
    places = number - above.sum()
    return float((wrong[above].sum() + places * wrong[at_edge].mean()) / number)


def _interval(figure: float, resampled: list[float]) -> Interval:
    low, high = np.percentile(resampled, [2.5, 97.5])
    return Interval(figure, float(low), float(high))
