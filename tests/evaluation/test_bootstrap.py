"""Bootstrap intervals over users: what is known beforehand, and statistics with room to spare under fixed seeds."""

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import f1_score, recall_score

from recsys_tf.evaluation import bootstrap
from recsys_tf.evaluation.bootstrap import (
    Interval,
    class_average_intervals,
    clustered_interval,
    clustered_intervals,
    paired_difference,
    paired_differences,
)

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

SAMPLES = 400


def ints(*values: int) -> Ints:
    return np.array(values, np.int64)


def width(interval: Interval) -> float:
    return interval.high - interval.low


def guesses(seed: int, users: int = 40, events: int = 300) -> tuple[Ints, Ints, Ints]:
    """Three classes, right three times out of four, and the user of each event."""
    random = np.random.default_rng(seed)
    truth = random.choice(3, size=events, p=[0.6, 0.3, 0.1])
    predicted = np.where(random.random(events) < 0.75, truth, random.integers(4, size=events))
    return truth, predicted, random.integers(users, size=events)


def test_the_interval_of_a_constant_is_that_constant() -> None:
    interval = clustered_interval(np.full(6, 0.25), ints(1, 1, 2, 3, 3, 3), SAMPLES, seed=0)
    assert interval == Interval(0.25, 0.25, 0.25)


def test_the_figure_is_the_mean_over_events_not_over_users() -> None:
    interval = clustered_interval(np.array([1.0, 1.0, 1.0, 0.0]), ints(7, 7, 7, 9), SAMPLES, seed=0)
    assert interval.mean == 0.75
    # Two users: a resample holds the first twice, the second twice, or both.
    assert (interval.low, interval.high) == (0.0, 1.0)


def test_a_single_user_leaves_nothing_to_resample() -> None:
    one = ints(5, 5, 5)
    interval = clustered_interval(np.array([1.0, 0.0, 0.0]), one, SAMPLES, seed=0)
    assert interval.mean == pytest.approx(1 / 3)
    assert np.isnan([interval.low, interval.high]).all()
    difference = paired_difference(np.ones(3), np.zeros(3), one, SAMPLES, seed=0)
    assert difference.interval.mean == 1.0
    assert np.isnan([difference.interval.low, difference.interval.high, difference.p_value]).all()
    averages = class_average_intervals(ints(0, 1, 1), ints(0, 0, 1), one, SAMPLES, seed=0)
    assert averages["macro_recall"].mean == 0.75
    assert all(np.isnan([interval.low, interval.high]).all() for interval in averages.values())


def test_no_values_are_refused() -> None:
    with pytest.raises(ValueError, match="no values"):
        clustered_interval(np.empty(0), ints(), SAMPLES, seed=0)


def test_events_that_go_together_make_a_wider_interval_than_independent_ones() -> None:
    # 50 users with 20 equal events each hold the information of 50 events, not of 1,000: sqrt(20) times as wide.
    users = np.repeat(np.arange(50), 20)
    values = np.random.default_rng(1).normal(size=50)[users]
    clustered = clustered_interval(values, users, SAMPLES, seed=2)
    apart = clustered_interval(values, np.arange(1000), SAMPLES, seed=2)
    assert clustered.mean == apart.mean
    assert width(clustered) / width(apart) == pytest.approx(np.sqrt(20), rel=0.3)


def test_the_interval_has_the_width_that_theory_gives_independent_values() -> None:
    values = np.random.default_rng(3).normal(5.0, 2.0, size=2000)
    interval = clustered_interval(values, np.arange(2000), 2000, seed=4)
    assert width(interval) == pytest.approx(2 * 1.96 * values.std() / np.sqrt(2000), rel=0.1)
    assert interval.low < interval.mean < interval.high


def test_intervals_cover_the_truth_about_as_often_as_they_say() -> None:
    random = np.random.default_rng(11)
    covered = 0
    for trial in range(200):
        size = random.integers(1, 6, size=60)
        users = np.repeat(np.arange(60), size)
        values = random.normal(size=60)[users] + random.normal(size=users.size)
        interval = clustered_interval(values, users, 300, seed=trial)
        covered += interval.low <= 0.0 <= interval.high
    # 95 % of 200 is 190; a percentile interval of 60 users is a little short, and 200 trials scatter by 3.
    assert 175 <= covered <= 199


def test_one_seed_gives_one_answer_and_another_seed_another() -> None:
    values, users = np.random.default_rng(0).random(100), np.repeat(np.arange(20), 5)
    first = clustered_interval(values, users, SAMPLES, seed=1)
    assert clustered_interval(values, users, SAMPLES, seed=1) == first
    assert clustered_interval(values, users, SAMPLES, seed=2) != first


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_neither_the_order_of_events_nor_the_number_of_metrics_matters(seed: int) -> None:
    random = np.random.default_rng(seed)
    users = random.integers(8, size=30)
    values = {"a": random.random(30), "b": random.random(30)}
    together = clustered_intervals(values, users, 50, seed=3)
    order = random.permutation(30)
    for name, array in values.items():
        alone = clustered_interval(array[order], users[order], 50, seed=3)
        assert (alone.mean, alone.low, alone.high) == pytest.approx(
            (together[name].mean, together[name].low, together[name].high)
        )


def test_the_size_of_a_block_in_memory_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    values, users = np.random.default_rng(0).random(60), np.repeat(np.arange(20), 3)
    truth, predicted, others = guesses(0)
    whole = clustered_interval(values, users, 100, seed=5), class_average_intervals(truth, predicted, others, 100, 5)
    monkeypatch.setattr(bootstrap, "BLOCK_ENTRIES", 130)
    parts = clustered_interval(values, users, 100, seed=5), class_average_intervals(truth, predicted, others, 100, 5)
    assert parts[0] == whole[0]
    assert parts[1] == whole[1]


def test_a_real_difference_is_found_although_the_users_differ_far_more() -> None:
    random = np.random.default_rng(8)
    users = np.repeat(np.arange(100), 5)
    level = random.normal(scale=3.0, size=100)[users]
    better, worse = level + 0.3 + random.normal(scale=0.5, size=500), level + random.normal(scale=0.5, size=500)
    difference = paired_difference(better, worse, users, SAMPLES, seed=9)
    assert difference.interval.low > 0.0
    assert difference.p_value == pytest.approx(2 / (SAMPLES + 1))
    assert width(clustered_interval(better, users, SAMPLES, seed=9)) > 5 * width(difference.interval)
    turned = paired_difference(worse, better, users, SAMPLES, seed=9)
    assert turned.interval.mean == pytest.approx(-difference.interval.mean)
    assert turned.p_value == difference.p_value


def test_no_difference_is_rarely_taken_for_one() -> None:
    random = np.random.default_rng(10)
    users = np.repeat(np.arange(50), 4)
    p_values = np.array(
        [
            paired_difference(random.random(200), random.random(200), users, 200, seed=trial).p_value
            for trial in range(100)
        ]
    )
    # Without a difference p-values spread evenly over 0…1.
    assert np.count_nonzero(p_values < 0.05) <= 15
    assert 0.35 < p_values.mean() < 0.65


def test_equal_models_have_a_p_value_of_one() -> None:
    values = np.random.default_rng(0).random(30)
    difference = paired_difference(values, values, np.repeat(np.arange(10), 3), SAMPLES, seed=0)
    assert difference.interval == Interval(0.0, 0.0, 0.0)
    assert difference.p_value == 1.0


def test_every_pair_is_compared_and_the_matrix_is_antisymmetric() -> None:
    random = np.random.default_rng(5)
    users = np.repeat(np.arange(30), 4)
    values = {name: random.random(120) + shift for name, shift in (("a", 0.0), ("b", 0.4), ("c", 0.4))}
    found = paired_differences(values, users, SAMPLES, seed=1)
    assert {first: set(row) for first, row in found.items()} == {"a": {"b", "c"}, "b": {"a", "c"}, "c": {"a", "b"}}
    for first, row in found.items():
        for second, difference in row.items():
            assert difference.interval.mean == pytest.approx((values[first] - values[second]).mean())
            back = found[second][first]
            assert (back.interval.mean, back.interval.low, back.interval.high, back.p_value) == (
                -difference.interval.mean,
                -difference.interval.high,
                -difference.interval.low,
                difference.p_value,
            )
    alone = paired_difference(values["b"], values["a"], users, SAMPLES, seed=1)
    assert found["b"]["a"].interval.low == pytest.approx(alone.interval.low)
    assert found["b"]["a"].p_value == alone.p_value
    assert found["b"]["a"].p_value == pytest.approx(2 / (SAMPLES + 1))
    assert found["b"]["c"].p_value > 0.05


def test_one_model_has_nothing_to_be_compared_with_and_no_difference_has_no_sign() -> None:
    users = np.arange(4)
    assert paired_differences({"a": np.ones(4)}, users, SAMPLES, seed=0) == {"a": {}}
    same = paired_differences({"a": np.ones(4), "b": np.ones(4)}, users, SAMPLES, seed=0)
    assert str(same["b"]["a"].interval.mean) == str(same["a"]["b"].interval.mean) == "0.0"


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_class_averages_equal_scikit_learn(seed: int) -> None:
    truth, predicted, users = guesses(seed, events=30)
    labels = np.unique(truth)
    intervals = class_average_intervals(truth, predicted, users, 20, seed=0)
    expected = {
        "macro_recall": recall_score(truth, predicted, labels=labels, average="macro", zero_division=0),
        "macro_f1": f1_score(truth, predicted, labels=labels, average="macro", zero_division=0),
        "weighted_f1": f1_score(truth, predicted, labels=labels, average="weighted", zero_division=0),
    }
    assert {name: interval.mean for name, interval in intervals.items()} == pytest.approx(expected)


def test_class_average_intervals_equal_a_slow_resampling_of_whole_users() -> None:
    truth, predicted, users = guesses(12)
    intervals = class_average_intervals(truth, predicted, users, 1000, seed=0)
    random = np.random.default_rng(99)
    rows_of = [np.flatnonzero(users == user) for user in np.unique(users)]
    slow = []
    for _ in range(300):
        rows = np.concatenate([rows_of[user] for user in random.integers(len(rows_of), size=len(rows_of))])
        slow.append(recall_score(truth[rows], predicted[rows], labels=range(3), average="macro", zero_division=0))
    low, high = np.percentile(slow, [2.5, 97.5])
    assert width(intervals["macro_recall"]) == pytest.approx(high - low, rel=0.25)
    assert intervals["macro_recall"].low == pytest.approx(low, abs=0.03)
    assert intervals["macro_recall"].high == pytest.approx(high, abs=0.03)


def test_a_perfect_classifier_has_class_averages_of_exactly_one() -> None:
    truth, _, users = guesses(13)
    for interval in class_average_intervals(truth, truth, users, SAMPLES, seed=0).values():
        assert interval == Interval(1.0, 1.0, 1.0)


def test_a_class_of_a_single_user_does_not_push_the_interval_away_from_the_figure() -> None:
    # 30 users of class 0, always right; one user of class 1, always wrong. A third of the resamples lack that user and
    # their macro recall is 1; all others have exactly the figure.
    users = np.arange(31)
    truth = (users == 30).astype(np.int64)
    interval = class_average_intervals(truth, np.zeros(31, np.int64), users, SAMPLES, seed=0)["macro_recall"]
    assert interval.mean == 0.5
    # On average the resamples are 0.5 × (1 - 1/31)^31 = 0.18 above the figure; that much is taken off.
    assert interval.low == pytest.approx(0.5 - 0.18, abs=0.03)
    assert interval.high == pytest.approx(1.0 - 0.18, abs=0.03)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(2, 6))
def test_class_average_intervals_stay_within_zero_and_one(seed: int, users: int) -> None:
    random = np.random.default_rng(seed)
    truth, predicted = random.integers(5, size=12), random.integers(5, size=12)
    predicted = np.where(random.random(12) < random.random(), truth, predicted)
    clusters = np.concatenate([np.arange(users), random.integers(users, size=12 - users)])
    for interval in class_average_intervals(truth, predicted, clusters, 50, seed=0).values():
        assert 0.0 <= interval.low <= interval.high <= 1.0
