"""Simple rules for the class of the next event: what all of them keep, and each one's answers by hand."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys_tf.errors import InputError
from recsys_tf.evaluation import class_rules
from recsys_tf.evaluation.class_rules import (
    ClassTransitions,
    LastClass,
    MajorityClass,
    MarkovClass,
    MostFrequentClass,
    last_class,
)

Ints = npt.NDArray[np.int64]

RULES: list[Any] = [MajorityClass, LastClass, MostFrequentClass, MarkovClass]
CLASSES = 6

every_rule = pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)


def ints(*values: int) -> Ints:
    return np.array(values, np.int64)


def transitions_of(*users: list[int], classes: int = CLASSES) -> ClassTransitions:
    """The training pairs of users whose events have the given classes."""
    previous = [before for user in users for before in [0, *user[:-1]]]
    following = [after for user in users for after in user]
    return ClassTransitions(ints(*previous), ints(*following), classes)


def histories_of(*rows: list[int], width: int = 0) -> tuple[Ints, Ints]:
    width = max([width, *(len(row) for row in rows)])
    padded = np.array([row + [0] * (width - len(row)) for row in rows], np.int64).reshape(len(rows), width)
    return padded, ints(*(len(row) for row in rows))


# Shares of the classes: 3 most, then 1, 2, 4; class 5 never occurs. 1 is followed by 2, 2 by 4 twice and 1 once.
TRAIN = transitions_of([3, 3, 3, 3, 3], [1, 2, 4], [1, 2, 4], [1, 2, 1])

histories = st.lists(st.lists(st.integers(0, CLASSES - 1), max_size=7), min_size=1, max_size=6)


@every_rule
@settings(max_examples=40, deadline=None)
@given(rows=histories)
def test_scores_are_shares_that_add_up_to_one_and_give_class_zero_nothing(rule: Any, rows: list[list[int]]) -> None:
    scores = rule.fit(TRAIN).scores(*histories_of(*rows))
    assert scores.shape == (len(rows), CLASSES)
    assert scores.dtype == np.float32
    assert (scores >= 0.0).all()
    assert scores.sum(axis=1) == pytest.approx(np.ones(len(rows)), abs=1e-5)
    assert (scores[:, 0] == 0.0).all()


@every_rule
@settings(max_examples=40, deadline=None)
@given(rows=histories)
def test_the_prediction_is_the_best_score_and_never_class_zero(rule: Any, rows: list[list[int]]) -> None:
    fitted = rule.fit(TRAIN)
    predicted = fitted.predict(*histories_of(*rows))
    assert predicted.dtype == np.int64
    assert predicted.tolist() == fitted.scores(*histories_of(*rows)).argmax(axis=1).tolist()
    assert (predicted > 0).all()


@every_rule
@settings(max_examples=40, deadline=None)
@given(rows=histories, padding=st.integers(1, 5))
def test_padding_changes_nothing(rule: Any, rows: list[list[int]], padding: int) -> None:
    fitted = rule.fit(TRAIN)
    narrow, lengths = histories_of(*rows)
    wide, _ = histories_of(*rows, width=narrow.shape[1] + padding)
    assert fitted.scores(wide, lengths).tolist() == fitted.scores(narrow, lengths).tolist()
    # Whatever stands behind the real positions is padding, even if it looks like a class.
    wide[np.arange(wide.shape[1]) >= lengths[:, None]] = 5
    assert fitted.scores(wide, lengths).tolist() == fitted.scores(narrow, lengths).tolist()


@every_rule
@settings(max_examples=20, deadline=None)
@given(rows=histories)
def test_a_history_is_answered_alone_as_among_others(rule: Any, rows: list[list[int]]) -> None:
    fitted = rule.fit(TRAIN)
    together = fitted.scores(*histories_of(*rows)).tolist()
    assert [fitted.scores(*histories_of(row)).tolist()[0] for row in rows] == together
    assert rule.fit(TRAIN).scores(*histories_of(*rows)).tolist() == together


@every_rule
def test_a_history_without_classes_is_answered_with_the_majority(rule: Any) -> None:
    fitted = rule.fit(TRAIN)
    assert fitted.predict(*histories_of([], [0], [0, 0, 0])).tolist() == [3, 3, 3]
    assert fitted.predict(np.empty((2, 0), np.int64), ints(0, 0)).tolist() == [3, 3]


@every_rule
def test_no_queries_give_no_answers(rule: Any) -> None:
    assert rule.fit(TRAIN).predict(np.empty((0, 4), np.int64), ints()).shape == (0,)


@every_rule
def test_a_log_without_classes_is_refused(rule: Any) -> None:
    with pytest.raises(InputError, match="no training event has a class"):
        rule.fit(ClassTransitions(ints(0, 0), ints(0, 0), CLASSES))


@every_rule
def test_blocks_of_any_size_give_the_same_predictions(rule: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [[1], [2, 1], [], [4, 0, 4], [5], [3, 2, 2], [1, 2]]
    fitted = rule.fit(TRAIN)
    whole = fitted.predict(*histories_of(*rows)).tolist()
    monkeypatch.setattr(class_rules, "BLOCK", 3)
    assert fitted.predict(*histories_of(*rows)).tolist() == whole


def test_last_class_by_hand() -> None:
    history, lengths = histories_of([1, 2], [4, 0, 0], [0], [], [5])
    assert last_class(history, lengths).tolist() == [2, 4, 0, 0, 5]


def test_majority_by_hand() -> None:
    scores = MajorityClass.fit(TRAIN).scores(*histories_of([1], [2, 2]))
    assert scores.tolist() == [pytest.approx([0, 4 / 14, 3 / 14, 5 / 14, 2 / 14, 0])] * 2


def test_an_event_without_a_class_is_no_share_of_the_majority() -> None:
    train = ClassTransitions(ints(0, 0, 0, 1), ints(0, 0, 0, 2), 3)
    assert MajorityClass.fit(train).shares.tolist() == [0, 0, 1]


def test_last_by_hand() -> None:
    rule = LastClass.fit(TRAIN)
    assert rule.predict(*histories_of([1, 4], [4, 1, 0], [5])).tolist() == [4, 1, 5]
    # Behind the last class, the others by frequency.
    assert np.argsort(-rule.scores(*histories_of([4]))[0])[:4].tolist() == [4, 3, 1, 2]


def test_most_frequent_by_hand() -> None:
    rule = MostFrequentClass.fit(TRAIN)
    assert rule.predict(*histories_of([1, 1, 2], [2, 4, 4, 2, 4])).tolist() == [1, 4]
    # Equally frequent: the latest, whatever training says; then the classes the user never had, by frequency.
    order = np.argsort(-rule.scores(*histories_of([3, 4, 1, 3, 4, 5]))[0]).tolist()
    assert order == [4, 3, 5, 1, 2, 0]


def test_most_frequent_counts_before_recency_in_a_long_history() -> None:
    rule = MostFrequentClass.fit(TRAIN)
    rows = [2, 2] + [1, 3, 4, 5] * 12 + [2] * 11
    assert rule.predict(*histories_of(rows)).tolist() == [2]


def test_markov_by_hand() -> None:
    rule = MarkovClass.fit(TRAIN)
    assert rule.predict(*histories_of([3, 1], [1, 2], [4, 2, 0], [3])).tolist() == [2, 4, 4, 3]
    # Nothing ever followed 4 or 5: the majority answers.
    assert rule.predict(*histories_of([4], [1, 5])).tolist() == [3, 3]
    # After 2: 4 twice, 1 once, and one pseudo-count spread like the shares.
    expected = np.array([0, 1 + 4 / 14, 3 / 14, 5 / 14, 2 + 2 / 14, 0]) / 4
    assert rule.scores(*histories_of([2]))[0].tolist() == pytest.approx(expected.tolist())


def test_markov_learns_no_transition_from_the_start_or_to_an_event_without_a_class() -> None:
    rule = MarkovClass.fit(ClassTransitions(ints(0, 1, 0, 2), ints(1, 0, 2, 1), 3))
    assert rule.transitions.toarray().tolist() == [[0, 0, 0], [0, 0, 0], [0, 1, 0]]


def test_markov_is_always_right_about_a_cycle_and_last_never() -> None:
    cycle = [1, 2, 3, 4, 5]
    train = transitions_of(*[(cycle * 3)[start : start + 8] for start in range(5)])
    asked = histories_of(*[[one] for one in cycle])
    assert MarkovClass.fit(train).predict(*asked).tolist() == [2, 3, 4, 5, 1]
    assert LastClass.fit(train).predict(*asked).tolist() == cycle
