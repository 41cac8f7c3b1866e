"""Times of every spelling become milliseconds; what is no time stays unknown."""

import numpy as np
import pandas as pd
import pytest

from recsys_tf.events.timestamps import UNKNOWN, interpolate_missing, parse_timestamps

MOMENT = 1_609_459_200_000  # 2021-01-01T00:00:00Z


@pytest.mark.parametrize(
    "text",
    [
        "2021-01-01", "2021-01-01 00:00:00", "2021-01-01T00:00:00Z", "2021-01-01T01:00:00+01:00",
        "2021-01-01 00:00:00.0", "2021-01-01 00:00:00.000", "1609459200", "1609459200000", "1609459200000000",
        "1609459200.0", " 1609459200 ",
    ],
)  # fmt: skip
def test_one_moment_in_many_spellings(text: str) -> None:
    assert parse_timestamps(pd.Series([text], dtype="str")).tolist() == [MOMENT]
    assert parse_timestamps(pd.Series([text], dtype="str").astype("category")).tolist() == [MOMENT]


@pytest.mark.parametrize("text", ["", "yesterday", "2021-13-01", "nan", "inf", "1e400", "12:00"])
def test_what_is_no_time_is_unknown(text: str) -> None:
    times = parse_timestamps(pd.Series([text, "1609459200"], dtype="str"))
    assert times.tolist() == [UNKNOWN, MOMENT]


def test_milliseconds_of_fractional_seconds_survive() -> None:
    values = pd.Series(["1396437466.94", "1396437466.94", "2011-08-11 03:59:04.27"], dtype="str")
    assert parse_timestamps(values, "s").tolist() == [1396437466940, 1396437466940, 1313035144270]


def test_interpolation_stays_within_a_user() -> None:
    time = np.array([0, UNKNOWN, UNKNOWN, 300, UNKNOWN, 50, UNKNOWN, 70])
    user = np.array([1, 1, 1, 1, 1, 2, 2, 2])
    filled = interpolate_missing(time, time == UNKNOWN, user)
    assert filled.tolist() == [0, 100, 200, 300, UNKNOWN, 50, 60, 70]
