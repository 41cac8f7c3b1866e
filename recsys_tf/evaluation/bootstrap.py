"""95 % bootstrap intervals that resample users, since the events of one user are not independent of each other.

Percentile bootstrap (Efron 1979) over clusters (Field & Welsh 2007): a resample draws as many users as there are, with
replacement, each with all of their events. Equal seeds draw equal users, so figures made with one seed are paired.
"""

import itertools
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp

from recsys_tf.evaluation.ranking_metrics import Floats, Ints

# Entries of a block of resamples, samples × users, that stand in memory at once (8 bytes each).
BLOCK_ENTRIES = 4_000_000


@dataclass(frozen=True)
class Interval:
    """A figure and its 95 % interval; low and high are NaN when a single user leaves nothing to resample."""

    mean: float
    low: float
    high: float

    def text(self, digits: int = 3) -> str:
        """Write "0.512 [0.498, 0.526]"; only the figure when the interval is not known."""
        if math.isnan(self.low) or math.isnan(self.high):
            return f"{self.mean:.{digits}f}"
        return f"{self.mean:.{digits}f} [{self.low:.{digits}f}, {self.high:.{digits}f}]"


@dataclass(frozen=True)
class Difference:
    """How much larger the first figure is than the second, and the two-sided p-value of "no difference".

    The p-value is NaN where the interval is.
    """

    interval: Interval
    p_value: float

    def reversed(self) -> "Difference":
        """Return how much larger the second figure is than the first."""
        # 0 - x rather than -x: no difference is 0, never "-0".
        mean, low, high = self.interval.mean, self.interval.low, self.interval.high
        return Difference(Interval(0.0 - mean, 0.0 - high, 0.0 - low), self.p_value)


def clustered_interval(values: Floats, clusters: Ints, samples: int, seed: int) -> Interval:
    """Return the mean of values [n] and its interval; clusters [n] int64 names the user of each value."""
    return clustered_intervals({"mean": values}, clusters, samples, seed)["mean"]


def clustered_intervals(values: Mapping[str, Floats], clusters: Ints, samples: int, seed: int) -> dict[str, Interval]:
    """Return an interval for each named array [n], all from the same resamples of the users in clusters [n] int64.

    Raises ValueError when there is no value at all.
    """
    stacked = np.stack(list(values.values()), axis=1)
    means = _resampled_means(stacked, clusters, samples, seed)
    users = np.unique(clusters).size
    return {name: _interval(stacked[:, i].mean(), means[:, i], users) for i, name in enumerate(values)}


def paired_difference(values_a: Floats, values_b: Floats, clusters: Ints, samples: int, seed: int) -> Difference:
    """Compare two models on the same events: mean of values_a minus mean of values_b, both [n], on the same resamples.

    The p-value is as in `paired_differences`.
    """
    return paired_differences({"a": values_a, "b": values_b}, clusters, samples, seed)["a"]["b"]


def paired_differences(
    values: Mapping[str, Floats], clusters: Ints, samples: int, seed: int
) -> dict[str, dict[str, Difference]]:
    """Compare every two models on the same events: first name → second name → mean of the first minus of the second.

    values: one array [n] per model; all pairs see the same resamples of the users in clusters [n] int64.
    The p-value is twice the share of resamples on the far side of zero, one added to both counts so that it is never 0
    (Davison & Hinkley 1997, equation 4.11); it is that of one pair, not corrected for the number of pairs.
    """
    differences: dict[str, dict[str, Difference]] = {name: {} for name in values}
    pairs = list(itertools.combinations(values, 2))
    if not pairs:
        return differences
    stacked = np.stack([values[first] - values[second] for first, second in pairs], axis=1)
    means = _resampled_means(stacked, clusters, samples, seed)
    users = np.unique(clusters).size
    for i, (first, second) in enumerate(pairs):
        far = min(np.count_nonzero(means[:, i] <= 0), np.count_nonzero(means[:, i] >= 0))
        p_value = min(1.0, 2 * (far + 1) / (samples + 1)) if users > 1 else float("nan")
        difference = Difference(_interval(stacked[:, i].mean(), means[:, i], users), p_value)
        differences[first][second], differences[second][first] = difference, difference.reversed()
    return differences


def class_average_intervals(
    truth: Ints, predicted: Ints, clusters: Ints, samples: int, seed: int
) -> dict[str, Interval]:
    """Return intervals of macro_recall, macro_f1 and weighted_f1, which are no means over events.

    truth, predicted, clusters [n] int64. Each user's confusion counts are summed once; a resample then weights users.
    A rare class that a resample misses is left out of that resample's average, which shifts the resamples away from the
    figure: that bias is estimated and taken off the percentiles (Efron & Tibshirani 1993, chapter 10).
    """
    users, user = np.unique(clusters, return_inverse=True)
    classes, known = np.unique(np.concatenate([truth, predicted]), return_inverse=True)
    true, guessed = known[: len(truth)], known[len(truth) :]
    right = true == guessed
    shape = (len(users), len(classes))
    per_user = [
        _counts(user, true, shape),
        _counts(user, guessed, shape),
        _counts(user[right], true[right], shape),
    ]
    # Three dense blocks [samples, classes] stand beside the weights.
    width = len(users) + 3 * len(classes)
    figure = _class_averages(*(np.asarray(counts.sum(axis=0)).reshape(1, -1) for counts in per_user))[0]
    resampled = np.concatenate(
        [
            _class_averages(*((counts.T @ weights.T).T for counts in per_user))
            for weights in _resamples(len(users), samples, seed, width)
        ]
    )
    # Shifted by the bias, a resample can leave the range that an average of shares has.
    centred = np.clip(resampled - resampled.mean(axis=0) + figure, 0.0, 1.0)
    names = ("macro_recall", "macro_f1", "weighted_f1")
    return {name: _interval(figure[i], centred[:, i], len(users)) for i, name in enumerate(names)}


def _resamples(users: int, samples: int, seed: int, width: int) -> Iterator[Floats]:
    """Yield blocks [some samples, users] that say how often each resample drew each user."""
    random = np.random.default_rng(seed)
    block = max(1, BLOCK_ENTRIES // max(width, 1))
    for start in range(0, samples, block):
        size = min(block, samples - start)
        drawn = random.integers(users, size=(size, users))
        drawn += np.arange(size)[:, None] * users
        yield np.bincount(drawn.ravel(), minlength=size * users).reshape(size, users).astype(np.float64)


def _resampled_means(values: Floats, clusters: Ints, samples: int, seed: int) -> Floats:
    """Return the means [samples, metrics] of values [n, metrics] over resampled users."""
    if len(values) == 0:
        raise ValueError("no values to resample")
    users, user = np.unique(clusters, return_inverse=True)
    events = np.bincount(user).astype(np.float64)
    sums = np.stack([np.bincount(user, weights=column) for column in values.T], axis=1)
    blocks = _resamples(len(users), samples, seed, len(users))
    return np.concatenate([(weights @ sums) / (weights @ events)[:, None] for weights in blocks])


def _counts(user: Ints, classes: Ints, shape: tuple[int, int]) -> sp.csr_matrix:
    return sp.csr_matrix((np.ones(len(user)), (user, classes)), shape=shape)


def _class_averages(true: Floats, guessed: Floats, right: Floats) -> Floats:
    """Return macro recall, macro F1 and weighted F1, [samples, 3], from counts [samples, classes]."""
    present = true > 0
    recall = np.divide(right, true, out=np.zeros_like(right), where=present)
    f1 = np.divide(2 * right, true + guessed, out=np.zeros_like(right), where=present)
    classes = present.sum(axis=1)
    averages = recall.sum(axis=1) / classes, f1.sum(axis=1) / classes, (f1 * true).sum(axis=1) / true.sum(axis=1)
    return np.stack(averages, axis=1)


def _interval(figure: float, resampled: Floats, users: int) -> Interval:
    if users < 2:
        return Interval(float(figure), float("nan"), float("nan"))
    low, high = np.percentile(resampled, [2.5, 97.5])
    return Interval(float(figure), float(low), float(high))
