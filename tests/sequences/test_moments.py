"""What was known at a moment: every event before it, none at it or after it."""

import dataclasses

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys_tf.sequences.moments import events_before, places_of, side_of
from recsys_tf.sequences.shards import UserSequences


def sequences(*times: list[int]) -> UserSequences:
    flat = np.array([time for own in times for time in own], np.int64)
    counts = np.array([len(own) for own in times], np.int64)
    return UserSequences(
        users=[f"u{9 - at}" for at in range(len(times))],
        first=np.concatenate([[0], np.cumsum(counts)]),
        training_end=counts,
        validation_end=counts,
        row=np.zeros(len(flat), np.int64),
        behavior=np.zeros(len(flat), np.int64),
        device=np.zeros(len(flat), np.int64),
        timestamp=flat,
        words=np.zeros(0, np.int64),
        words_held=np.zeros(len(flat), np.int64),
    )


_times = st.lists(st.integers(1, 50), max_size=6).map(sorted)


@given(st.lists(_times, min_size=1, max_size=4), st.lists(st.integers(0, 55), min_size=1, max_size=8), st.data())
@settings(max_examples=80, deadline=None)
def test_events_before_are_those_that_a_loop_counts(
    times: list[list[int]], moments: list[int], data: st.DataObject
) -> None:
    users = np.array([data.draw(st.integers(-1, len(times) - 1)) for _ in moments], np.int64)
    found = events_before(sequences(*times), users, np.array(moments, np.int64))
    expected = [
        sum(time < moment for time in times[user]) if user >= 0 else 0
        for user, moment in zip(users.tolist(), moments, strict=True)
    ]
    assert found.tolist() == expected


def test_an_event_at_the_moment_or_after_it_changes_nothing() -> None:
    log = sequences([5, 10, 20], [10, 30])
    users, moments = np.array([0, 1, 0]), np.array([10, 10, 21])
    assert events_before(log, users, moments).tolist() == [1, 0, 3]
    later = dataclasses.replace(log, timestamp=np.array([5, 11, 20, 10, 99]))
    assert events_before(later, users, moments).tolist() == [1, 0, 3]


def test_users_are_found_by_their_ids() -> None:
    assert places_of(sequences([1], [2], [3]), ["u8", "u9", "nobody", "u7", "zz", ""]).tolist() == [1, 0, -1, 2, -1, -1]


def test_sides_begin_at_the_cuts() -> None:
    assert side_of(np.array([9, 10, 19, 20, 21]), 10, 20).tolist() == [0, 1, 1, 2, 2]
