"""How well a classifier of the next event does: the article's two lines, accuracy and recall, and what they leave out.

Weighted recall of single-label classes is accuracy, always; macro recall, which gives every class the same weight, is
the figure that can tell a second story. Averages run over the classes that occur in the truth.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from sklearn.metrics import accuracy_score, f1_score, recall_score

from recsys_tf.evaluation.ranking_metrics import Floats, Ints, Scores, target_ranks


def classification_metrics(truth: Ints, predicted: Ints) -> dict[str, float]:
    """Return accuracy, weighted and macro recall and F1; truth and predicted [examples] int64 class ids.

    A class that occurs in the truth and is never predicted counts with 0. Raises ValueError without examples.
    """
    if truth.size == 0 or truth.shape != predicted.shape:
        raise ValueError(f"{truth.shape} true and {predicted.shape} predicted classes")
    labels = np.unique(truth)
    metrics = {"accuracy": float(accuracy_score(truth, predicted))}
    for name, score in (("recall", recall_score), ("f1", f1_score)):
        for average in ("weighted", "macro"):
            value = score(truth, predicted, labels=labels, average=average, zero_division=0)
            metrics[f"{average}_{name}"] = float(value)
    return metrics


def correct(truth: Ints, predicted: Ints) -> Floats:
    """Return 1 for each right answer, else 0; [examples] float64, its mean is accuracy."""
    right: Floats = (truth == predicted).astype(np.float64)
    return right


def top_k_correct(scores: Scores, truth: Ints, k: int) -> Floats:
    """Return 1 where the true class is among the k best, ties counted against it, else 0; [examples] float64.

    scores [examples, classes]; truth [examples] int64, -1 for a class that the model does not know: a miss.
    """
    ranks = target_ranks(scores, truth)
    return ((ranks >= 1) & (ranks <= k)).astype(np.float64)


def log_losses(probabilities: npt.NDArray[np.floating], truth: Ints) -> Floats:
    """Return minus the natural logarithm of the true class' probability; [examples] float64, in nats.

    probabilities [examples, classes] with rows that sum to 1; a probability below the type's epsilon, and that of a
    class the model does not know (truth -1), counts as that epsilon, so the loss stays finite.
    """
    own = probabilities[np.arange(len(truth)), truth]
    floor = float(np.finfo(probabilities.dtype).eps)
    return -np.log(np.clip(np.where(truth >= 0, own, 0.0).astype(np.float64), floor, 1.0))


@dataclass(frozen=True)
class Confusion:
    """Counts of true class (rows) by predicted class (columns); the last row and column are all other classes.

    classes [n] int64, most frequent in the truth first; counts [n + 1, n + 1] int64.
    """

    classes: Ints
    counts: Ints


def confusion(truth: Ints, predicted: Ints, most_frequent: int) -> Confusion:
    """Count true against predicted class among the most frequent true classes, everything else under "other"."""
    labels, support = np.unique(truth, return_counts=True)
    shown = labels[np.argsort(-support, kind="stable")][:most_frequent]
    size = len(shown) + 1
    counts = np.bincount(_place(truth, shown) * size + _place(predicted, shown), minlength=size * size)
    return Confusion(shown, counts.reshape(size, size))


@dataclass(frozen=True)
class Reliability:
    """Stated confidence against measured accuracy in equal-width bins; the three arrays are [bins], NaN when empty."""

    confidence: Floats
    accuracy: Floats
    count: Ints
    # Mean distance between confidence and accuracy, weighted by the examples of each bin.
    expected_calibration_error: float


def reliability(confidence: npt.NDArray[np.floating], right: Floats, bins: int = 10) -> Reliability:
    """Compare the probability of the predicted class, [examples] in 0…1, with how often it was right, [examples]."""
    bin_of = np.minimum((confidence * bins).astype(np.int64), bins - 1)
    count = np.bincount(bin_of, minlength=bins)
    divisor = np.where(count > 0, count, np.nan)
    stated = np.bincount(bin_of, weights=confidence, minlength=bins) / divisor
    measured = np.bincount(bin_of, weights=right, minlength=bins) / divisor
    gap = np.nansum(np.abs(stated - measured) * count) / max(len(right), 1)
    return Reliability(stated, measured, count, float(gap))


def _place(values: Ints, shown: Ints) -> Ints:
    """Return the position of each value in `shown`, or len(shown) when it is not there."""
    order = np.argsort(shown)
    place: Ints = np.append(order, len(shown))[np.searchsorted(shown[order], values)]
    # A value beyond the largest one shown has the last place already, whatever the appended 0 says.
    return np.where(np.append(shown, 0)[place] == values, place, len(shown))
