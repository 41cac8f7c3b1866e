"""The classifier's figures: worked by hand, and against scikit-learn."""

import math

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import log_loss, precision_recall_fscore_support, top_k_accuracy_score

from recsys_tf.evaluation.classification_metrics import (
    classification_metrics,
    confusion,
    correct,
    log_losses,
    reliability,
    top_k_correct,
)

Ints = npt.NDArray[np.int64]

classes = st.lists(st.tuples(st.integers(-2, 4), st.integers(0, 4)), min_size=1, max_size=40)


def ints(*values: int) -> Ints:
    return np.array(values, np.int64)


def split(pairs: list[tuple[int, int]]) -> tuple[Ints, Ints]:
    return ints(*(pair[0] for pair in pairs)), ints(*(pair[1] for pair in pairs))


def test_metrics_by_hand() -> None:
    # Class 0: 2 of 3 found, 2 of 2 guesses right: F1 4/5. Class 1: 1 of 1 found, 1 of 2 guesses right: F1 2/3.
    metrics = classification_metrics(ints(0, 0, 0, 1), ints(0, 0, 1, 1))
    assert metrics == pytest.approx(
        {
            "accuracy": 3 / 4,
            "weighted_recall": 3 / 4,
            "macro_recall": (2 / 3 + 1) / 2,
            "weighted_f1": (3 * 4 / 5 + 2 / 3) / 4,
            "macro_f1": (4 / 5 + 2 / 3) / 2,
        }
    )


def test_a_class_never_predicted_counts_as_zero_and_one_never_true_not_at_all() -> None:
    metrics = classification_metrics(ints(0, 0, 1), ints(0, 0, 7))
    assert metrics["macro_recall"] == pytest.approx(1 / 2)
    assert metrics["macro_f1"] == pytest.approx(1 / 2)


@settings(max_examples=60, deadline=None)
@given(classes)
def test_weighted_recall_is_accuracy(pairs: list[tuple[int, int]]) -> None:
    truth, predicted = split(pairs)
    metrics = classification_metrics(truth, predicted)
    assert metrics["weighted_recall"] == pytest.approx(metrics["accuracy"])
    assert metrics["accuracy"] == pytest.approx(correct(truth, predicted).mean())


@settings(max_examples=60, deadline=None)
@given(classes)
def test_averages_equal_the_plain_mean_of_scikit_learns_classes(pairs: list[tuple[int, int]]) -> None:
    truth, predicted = split(pairs)
    _, recall, f1, support = precision_recall_fscore_support(
        truth, predicted, labels=np.unique(truth), average=None, zero_division=0
    )
    metrics = classification_metrics(truth, predicted)
    assert metrics["macro_recall"] == pytest.approx(recall.mean())
    assert metrics["macro_f1"] == pytest.approx(f1.mean())
    assert metrics["weighted_f1"] == pytest.approx(np.average(f1, weights=support))


@pytest.mark.parametrize(("truth", "predicted"), [([], []), ([1], [1, 2])])
def test_no_examples_and_unequal_lengths_are_refused(truth: list[int], predicted: list[int]) -> None:
    with pytest.raises(ValueError, match="true and"):
        classification_metrics(ints(*truth), ints(*predicted))


def test_top_k_counts_ties_against_the_truth() -> None:
    scores = np.array([[0.4, 0.4, 0.2]] * 3, np.float32)
    assert top_k_correct(scores, ints(0, 1, 2), 1).tolist() == [0, 0, 0]
    assert top_k_correct(scores, ints(0, 1, 2), 2).tolist() == [1, 1, 0]
    assert top_k_correct(scores, ints(0, 1, 2), 3).tolist() == [1, 1, 1]
    assert top_k_correct(scores, ints(-1, -1, 0), 3).tolist() == [0, 0, 1]


@pytest.mark.parametrize("k", [1, 2, 4])
def test_top_k_equals_scikit_learn_without_ties(k: int) -> None:
    random = np.random.default_rng(5)
    scores = random.random((60, 5)).astype(np.float32)
    truth = random.integers(5, size=60)
    expected = top_k_accuracy_score(truth, scores, k=k, labels=np.arange(5))
    assert top_k_correct(scores, truth, k).mean() == pytest.approx(expected)


def test_log_loss_by_hand_and_its_floor() -> None:
    probabilities = np.array([[0.5, 0.5, 0.0], [0.25, 0.75, 0.0], [0.5, 0.5, 0.0], [0.0, 0.0, 1.0]], np.float32)
    floor = -math.log(np.finfo(np.float32).eps)
    # The last two: a probability of zero, and a class that the model does not know, whose column is not the last one.
    assert log_losses(probabilities, ints(0, 1, 2, -1)).tolist() == pytest.approx(
        [math.log(2), -math.log(0.75), floor, floor]
    )
    assert log_losses(np.array([[0.0, 1.0]]), ints(1)).tolist() == [0.0]


def test_log_loss_equals_scikit_learn() -> None:
    random = np.random.default_rng(6)
    probabilities = random.dirichlet(np.ones(4), size=50)
    truth = random.integers(4, size=50)
    assert log_losses(probabilities, truth).mean() == pytest.approx(log_loss(truth, probabilities, labels=range(4)))


def test_confusion_by_hand() -> None:
    shown = confusion(ints(3, 3, 3, 1, 1, 9, -2), ints(3, 3, 1, 1, 9, 3, 0), most_frequent=2)
    assert shown.classes.tolist() == [3, 1]
    # Rows: true 3, true 1, all others; columns alike.
    assert shown.counts.tolist() == [[2, 1, 0], [0, 1, 1], [1, 0, 1]]


@settings(max_examples=60, deadline=None)
@given(classes, st.integers(0, 8))
def test_confusion_equals_a_plain_count_with_the_rest_summed_up(pairs: list[tuple[int, int]], n: int) -> None:
    truth, predicted = split(pairs)
    shown = confusion(truth, predicted, n)
    support = [int((truth == one).sum()) for one in shown.classes]
    assert support == sorted(support, reverse=True)
    other = 99
    merged = [np.where(np.isin(values, shown.classes), values, other) for values in (truth, predicted)]
    labels = [*shown.classes.tolist(), other]
    joint = list(zip(merged[0].tolist(), merged[1].tolist(), strict=True))
    assert shown.counts.tolist() == [[joint.count((row, column)) for column in labels] for row in labels]


def test_reliability_by_hand() -> None:
    bins = reliability(np.array([0.1, 0.2, 0.9, 1.0], np.float32), np.array([0.0, 1.0, 1.0, 1.0]), bins=2)
    assert bins.count.tolist() == [2, 2]
    assert bins.confidence.tolist() == pytest.approx([0.15, 0.95])
    assert bins.accuracy.tolist() == [0.5, 1.0]
    assert bins.expected_calibration_error == pytest.approx((2 * 0.35 + 2 * 0.05) / 4)


def test_an_empty_bin_is_nan_and_weighs_nothing() -> None:
    bins = reliability(np.array([0.05]), np.array([0.0]), bins=10)
    assert bins.count.tolist() == [1] + [0] * 9
    assert np.isnan(bins.accuracy[1:]).all()
    assert np.isnan(bins.confidence[1:]).all()
    assert bins.expected_calibration_error == pytest.approx(0.05)


def test_honest_confidence_has_little_calibration_error() -> None:
    random = np.random.default_rng(7)
    confidence = random.random(20_000)
    right = (random.random(20_000) < confidence).astype(np.float64)
    assert reliability(confidence, right).expected_calibration_error < 0.02
    assert reliability(confidence, 1.0 - right).expected_calibration_error > 0.3
