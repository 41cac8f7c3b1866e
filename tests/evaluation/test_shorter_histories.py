"""What is cut from a history is the right end of it, and the question's own event was never in it."""

import dataclasses

import numpy as np
import pytest

from recsys_tf.config import EvaluateConfig
from recsys_tf.evaluation.queries import Queries, read_queries
from recsys_tf.evaluation.shorter_histories import as_it_stood, newest_events, without_newest_event
from recsys_tf.sequences.dataset import PreparedData
from recsys_tf.sequences.vocabularies import START


@pytest.fixture(scope="module")
def queries(prepared: PreparedData) -> Queries:
    return read_queries(prepared, "next_item", 1, EvaluateConfig(max_queries=0))


def by_hand() -> Queries:
    """Two questions at time 100: three events and one."""
    rows = np.array([[START, 5, 6, 7, 0], [START, 8, 0, 0, 0]])
    ids = {
        "row": rows,
        "behavior": np.array([[START, 3, 4, 5, 0], [START, 3, 0, 0, 0]]),
        "device": np.array([[0, 3, 3, 4, 0], [0, 4, 0, 0, 0]]),
        "timestamp": np.array([[0, 40, 90, 99, 0], [0, 100 - 10, 0, 0, 0]]),
        "words": np.array([[[0, 0], [0, 0], [9, 3], [0, 0], [0, 0]], [[0, 0], [4, 0], [0, 0], [0, 0], [0, 0]]]),
    }
    two = np.zeros(2, np.int64)
    return Queries(ids, np.array([4, 2]), two, np.array(["a", "b"]), two + 9, two + 3, two + 100, 2)


def test_the_newest_events_are_kept() -> None:
    got = newest_events(by_hand(), 2)
    assert got.held.tolist() == [3, 2]
    assert got.ids["row"].tolist() == [[START, 6, 7, 0, 0], [START, 8, 0, 0, 0]]
    assert got.ids["behavior"].tolist() == [[START, 4, 5, 0, 0], [START, 3, 0, 0, 0]]
    assert got.ids["timestamp"].tolist() == [[0, 90, 99, 0, 0], [0, 90, 0, 0, 0]]
    assert got.ids["words"][0].tolist() == [[0, 0], [9, 3], [0, 0], [0, 0], [0, 0]]
    nothing = newest_events(by_hand(), 0)
    assert nothing.held.tolist() == [1, 1]
    assert nothing.ids["row"].tolist() == [[START, 0, 0, 0, 0]] * 2
    assert not nothing.ids["words"].any()
    assert (nothing.target_row == by_hand().target_row).all()


def test_the_newest_event_is_left_out() -> None:
    got = without_newest_event(by_hand())
    assert got.ids["row"].tolist() == [[START, 5, 6, 0, 0], [START, 0, 0, 0, 0]]
    assert without_newest_event(got).ids["row"].tolist() == [[START, 5, 0, 0, 0], [START, 0, 0, 0, 0]]


def test_a_history_as_it_stood_ends_at_that_moment() -> None:
    # An event at the very moment was known then.
    assert as_it_stood(by_hand(), 10).ids["row"].tolist() == [[START, 5, 6, 0, 0], [START, 8, 0, 0, 0]]
    assert as_it_stood(by_hand(), 11).ids["row"].tolist() == [[START, 5, 0, 0, 0], [START, 0, 0, 0, 0]]
    assert as_it_stood(by_hand(), 1000).held.tolist() == [1, 1]


def test_what_is_cut_to_more_than_there_is_stays_as_it_is(queries: Queries) -> None:
    for same in (newest_events(queries, 100), as_it_stood(queries, 0)):
        assert (same.held == queries.held).all()
        assert all((same.ids[name] == values).all() for name, values in queries.ids.items())


def test_no_cut_knows_the_event_that_is_asked_for(queries: Queries) -> None:
    for cut in (newest_events(queries, 3), without_newest_event(queries), as_it_stood(queries, 60_000)):
        assert (cut.last_timestamp < cut.target_timestamp).all()
    late = as_it_stood(queries, 60_000)
    assert (late.last_timestamp <= queries.target_timestamp - 60_000).all()
    assert (late.held < queries.held).any()


def test_some_questions_keep_what_is_theirs() -> None:
    queries = dataclasses.replace(by_hand(), earlier=np.array([[0, 11], [1, 12], [1, 13]]))
    one = queries.chosen(np.array([1]))
    assert one.user.tolist() == ["b"]
    assert one.ids["row"].tolist() == [[START, 8, 0, 0, 0]]
    assert one.earlier is not None
    assert one.earlier.tolist() == [[0, 12], [0, 13]]
    assert (len(one), one.possible) == (1, 2)
