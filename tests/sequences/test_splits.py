"""The split comes first, and nothing of the future is on the training side."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys_tf.config import SplitConfig
from recsys_tf.errors import InputError
from recsys_tf.events.cleaning import CleanLog
from recsys_tf.sequences.splits import (
    TEST,
    TRAINING,
    VALIDATION,
    leave_new_item_out_split,
    leave_one_out_split,
    split_events,
)


def events_of(times: dict[str, list[int]]) -> pd.DataFrame:
    rows = [(user, time) for user, all_times in times.items() for time in sorted(all_times)]
    return pd.DataFrame(
        {
            "user_id": [user for user, _ in rows],
            "item_id": "i",
            "timestamp": np.array([time for _, time in rows], np.int64),
        }
    )


@given(
    st.dictionaries(st.sampled_from("abcdef"), st.lists(st.integers(1, 40), min_size=1, max_size=15), min_size=2),
    st.sampled_from([0.0, 0.1, 0.3]),
    st.sampled_from([0.1, 0.3]),
)
def test_a_temporal_split_has_one_past_for_everybody(
    times: dict[str, list[int]], validation: float, test: float
) -> None:
    events = events_of(times)
    try:
        split = split_events(events, SplitConfig("temporal", validation, test))
    except InputError as error:
        assert "empty" in str(error)
        return
    side, time = split.side, events["timestamp"].to_numpy()
    assert time[side == TRAINING].max() < time[side != TRAINING].min()
    if (side == VALIDATION).any():
        assert time[side == VALIDATION].max() < time[side == TEST].min()
    for _, sides in pd.Series(side).groupby(events["user_id"]):
        assert sides.is_monotonic_increasing


def test_the_shares_are_shares_of_events(clean_log: CleanLog) -> None:
    side = split_events(clean_log.events, SplitConfig("temporal", 0.10, 0.15)).side
    assert np.bincount(side, minlength=3) / len(side) == pytest.approx([0.75, 0.10, 0.15], abs=0.001)


def test_leave_one_out_by_hand() -> None:
    events = pd.DataFrame(
        {
            "user_id": list("aaaaaabbcccc"),
            "item_id": ["1", "2", "", "3", "", "4", "1", "2", "1", "2", "3", ""],
        }
    )
    # a: the search before item 4 belongs to it; b has too few item events; c's last search follows its last item.
    assert leave_one_out_split(events).side.tolist() == [0, 0, 1, 1, 2, 2, 0, 0, 0, 1, 2, 2]


def test_leave_new_item_out_by_hand() -> None:
    users = {
        # Item 2 is for validation, its repeat too; item 3 for test; what comes after item 3 is on no side.
        "a": (["1", "1", "2", "1", "", "3", "3", "2"], [0, 0, 1, 1, 1, 2, 3, 3]),
        "b": (["1", "1"], [0, 0]),
        "c": (["1", "1", "2"], [0, 0, 2]),
        "d": (["1", "", "2", "3"], [0, 0, 1, 2]),
        "e": (["", ""], [0, 0]),
    }
    events = pd.DataFrame(
        {
            "user_id": [user for user, (items, _) in users.items() for _ in items],
            "item_id": [item for items, _ in users.values() for item in items],
        }
    )
    expected = [side for _, sides in users.values() for side in sides]
    assert leave_new_item_out_split(events).side.tolist() == expected


@given(st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from(["", "1", "2", "3", "4"])), max_size=30))
def test_a_new_item_is_new_to_its_user(rows: list[tuple[str, str]]) -> None:
    events = pd.DataFrame(sorted(rows, key=lambda row: row[0]), columns=["user_id", "item_id"], dtype=object)
    side = leave_new_item_out_split(events).side
    for _, group in events.assign(side=side).groupby("user_id"):
        assert group["side"].is_monotonic_increasing
        items = group["item_id"].tolist()
        for number in (VALIDATION, TEST):
            at = group["side"].tolist().index(number) if (group["side"] == number).any() else None
            assert at is None or items[at] not in items[:at]
        different = len(set(items) - {""})
        assert (group["side"] == TEST).sum() == (different > 1)
        assert (group["side"] == VALIDATION).any() == (different > 2)


def test_a_test_side_can_begin_at_a_given_time() -> None:
    day = 24 * 60 * 60 * 1000
    events = events_of({"a": [1 * day, 2 * day, 4 * day], "b": [3 * day, 5 * day]})
    split = split_events(events, SplitConfig(validation_share=0.2, test_from="1970-01-05"))
    assert split.side.tolist() == [0, 0, 2, 1, 2]
    assert (split.validation_from, split.test_from) == (3 * day, 4 * day)
    moved = split_events(events, SplitConfig(validation_share=0.2, test_from="1970-01-05T02:00+02:00"))
    assert moved.side.tolist() == split.side.tolist()
    with pytest.raises(InputError, match="no time such as"):
        split_events(events, SplitConfig(test_from="soon"))
    with pytest.raises(InputError, match="leave nothing"):
        split_events(events, SplitConfig(test_from="2000-01-01"))


def test_a_log_without_times_is_split_by_leave_one_out() -> None:
    events = pd.DataFrame({"user_id": ["a"] * 4, "item_id": list("1234")})
    split = split_events(events, SplitConfig("temporal"))
    assert split.method == "leave_one_out"
    assert split.side.tolist() == [0, 0, 1, 2]
    assert split.test_from is None


def test_impossible_shares_and_empty_sides_are_refused() -> None:
    with pytest.raises(InputError, match="nothing to train on"):
        split_events(events_of({"a": [1, 2, 3]}), SplitConfig("temporal", 0.5, 0.5))
    with pytest.raises(InputError, match="training side empty"):
        split_events(events_of({"a": [5, 5, 5]}), SplitConfig("temporal"))
