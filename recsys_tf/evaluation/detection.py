"""How well a score finds what is wrong: ROC AUC and precision among the few that can be looked at, with intervals."""

from collections.abc import Iterator
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
    resamples = [(wrong[cases], score[cases]) for cases in _resamples(wrong, clusters, samples, seed)]
    return Detection(
        _interval(float(roc_auc_score(wrong, score)), [float(roc_auc_score(*one)) for one in resamples]),
        _interval(precision_of_flagged(wrong, score), [precision_of_flagged(*one) for one in resamples]),
    )


def auc_interval(positive: Bools, score: Array, clusters: Array, samples: int, seed: int) -> Interval:
    """Return the ROC AUC of a score [cases] and its interval, resampling as `measure_detector` does."""
    resamples = _resamples(positive, clusters, samples, seed)
    aucs = [float(roc_auc_score(positive[cases], score[cases])) for cases in resamples]
    return _interval(float(roc_auc_score(positive, score)), aucs)


def _resamples(positive: Bools, clusters: Array, samples: int, seed: int) -> Iterator[Array]:
    """Yield the cases of each resample of the users, with cases of both kinds in it."""
    users, user = np.unique(clusters, return_inverse=True)
    order = np.argsort(user, kind="stable")
    bounds = np.searchsorted(user[order], np.arange(len(users) + 1))
    random = np.random.default_rng(seed)
    drawn = 0
    while drawn < samples:
        chosen = random.integers(len(users), size=len(users))
        cases = np.concatenate([order[bounds[one] : bounds[one + 1]] for one in chosen])
        if positive[cases].any() and not positive[cases].all():
            drawn += 1
            yield cases


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
