"""Detectors against scikit-learn, by hand, and where there is nothing to find."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from recsys_tf.evaluation.detection import measure_detector, precision_of_flagged


def test_precision_is_that_of_the_highest_scores() -> None:
    wrong = np.array([True, False, True, False])
    score = np.array([4.0, 3.0, 2.0, 1.0])
    assert [precision_of_flagged(wrong, score, share) for share in (0.25, 0.5, 0.75, 1.0)] == [1, 0.5, 2 / 3, 0.5]
    # At least one is looked at, and ties count by their average.
    assert precision_of_flagged(wrong, score, 0.01) == 1
    assert precision_of_flagged(wrong, np.array([1.0, 1.0, 1.0, 0.0]), 0.5) == pytest.approx(2 / 3)


def test_the_interval_lies_around_scikit_learns_figure() -> None:
    random = np.random.default_rng(0)
    wrong = np.repeat([False, True], 200)
    score = random.normal(size=400) + wrong
    found = measure_detector(wrong, score, np.tile(np.arange(200), 2), 300, 1)
    assert found.auc.mean == roc_auc_score(wrong, score)
    assert found.auc.low < found.auc.mean < found.auc.high
    # For normal scores one deviation apart the AUC is Φ(1/√2) = 0.76.
    assert found.auc.low < 0.76 < found.auc.high
    assert found == measure_detector(wrong, score, np.tile(np.arange(200), 2), 300, 1)


def test_cases_of_a_user_are_drawn_together() -> None:
    # Every user is there once right and once wrong, and always told apart: no resample can say otherwise.
    wrong = np.array([False, True] * 5)
    found = measure_detector(wrong, wrong.astype(float), np.repeat(np.arange(5), 2), 50, 0)
    assert (found.auc.low, found.auc.high) == (1.0, 1.0)
    # As users of their own they leave resamples of another mixture, and the precision varies no less than it should.
    chance = measure_detector(wrong, np.zeros(10), np.arange(10), 200, 0)
    assert chance.precision.low < 0.5 < chance.precision.high
