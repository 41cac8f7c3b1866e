"""The split comes first, and nothing of the future is on the training side."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys_tf.config import SplitConfig
from recsys_tf.errors import InputError
from recsys_tf.events.cleaning import CleanLog
from recsys_tf.sequences.splits import TEST, TRAINING, VALIDATION, leave_one_out_split, split_events


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
