"""Figures of probabilities by hand, and look-alike audiences whose interest is known."""

import gzip
from pathlib import Path

import numpy as np
import pytest

from recsys_tf.config import AdsConfig
from recsys_tf.evaluation.ads_evaluation import equal_bins
from recsys_tf.evaluation.look_alike_evaluation import ANYBODY, measure_look_alike, true_interests

CONFIG = AdsConfig(seeds=2, bootstrap_samples=50)


def test_bins_hold_equal_numbers_in_order_of_probability() -> None:
    probability = np.array([0.9, 0.1, 0.2, 0.8])
    answer = np.array([True, False, True, True])
    found = equal_bins(probability, answer, 2)
    assert found.confidence == pytest.approx([0.15, 0.85])
    assert found.accuracy == pytest.approx([0.5, 1.0])
    assert found.count.tolist() == [2, 2]
    assert found.expected_calibration_error == pytest.approx((0.35 * 2 + 0.15 * 2) / 4)


def test_an_audience_by_the_interest_itself_is_perfect_and_by_nothing_is_chance() -> None:
    interest = np.repeat([0, 1, 2, -1], 30)
    itself = np.eye(4)[np.repeat([0, 1, 2, 3], 30)]
    noise = np.random.default_rng(0).normal(size=(120, 8))
    found = measure_look_alike({"itself": itself, "noise": noise}, interest, CONFIG)
    assert found is not None
    assert found.interests == 3
    assert found.precision["itself"].mean == 1.0
    # 28 others share the interest among 118.
    assert found.precision[ANYBODY].mean == pytest.approx(28 / 118)
    assert found.precision["noise"].mean == pytest.approx(28 / 118, abs=0.12)


def test_an_interest_that_few_share_is_not_looked_for() -> None:
    interest = np.array([0] * 6 + [1] * 7)
    found = measure_look_alike({"any": np.ones((13, 2))}, interest, CONFIG)
    assert found is not None
    assert found.interests == 1
    assert measure_look_alike({"any": np.ones((6, 2))}, interest[:6], CONFIG) is None


def test_interests_are_those_in_force_at_the_moment(tmp_path: Path) -> None:
    rows = ["user_id,timestamp,mission,weight", "a,0,1,0.6", "a,0,2,0.4", "a,10,2,0.6", "a,10,3,0.4", "b,5,4,1.0"]
    (tmp_path / "interests.csv.gz").write_bytes(gzip.compress("\n".join([*rows, ""]).encode()))
    assert true_interests(tmp_path, ["b", "a", "c"], 9).tolist() == [4, 1, -1]
    assert true_interests(tmp_path, ["b", "a", "c"], 10).tolist() == [4, 2, -1]
    assert true_interests(tmp_path, ["b", "a"], 4).tolist() == [-1, 1]
