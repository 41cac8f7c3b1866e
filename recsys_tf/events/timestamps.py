"""Times as they stand in logs, to int64 milliseconds since 1970 in UTC."""

from typing import Final, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

Unit = Literal["auto", "s", "ms", "us"]

UNKNOWN: Final = np.iinfo(np.int64).min  # missing or unreadable
_SECONDS_BELOW: Final = 1e11  # as milliseconds this is 1973, as seconds the year 5138
_PER_UNIT: Final = {"s": 1000.0, "ms": 1.0, "us": 0.001}


def parse_timestamps(values: pd.Series, unit: Unit = "auto", spelling: str = "") -> npt.NDArray[np.int64]:
    """Read numbers since 1970 or ISO 8601 text (UTC where no zone is given): int64 ms [rows], UNKNOWN where unreadable.

    unit: of plain numbers; "auto" tells each one's by its size. spelling: a strptime format for text that is
    not ISO 8601.
    """
    if isinstance(values.dtype, pd.CategoricalDtype):
        distinct = parse_timestamps(pd.Series(values.cat.categories), unit, spelling)
        return distinct[values.cat.codes.to_numpy()] if len(distinct) else np.zeros(0, np.int64)
    whole = _whole_numbers(values)
    if whole is not None:
        return whole if _are_milliseconds(whole, unit) else np.rint(whole * _scale(whole, unit)).astype(np.int64)
    text = values.str.strip()
    number = pd.to_numeric(text, errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan, copy=True)
    number[~np.isfinite(number)] = np.nan
    parsed = np.full(len(text), UNKNOWN)
    is_number = ~np.isnan(number)
    scaled = np.rint(np.where(is_number, number, 0.0) * _scale(number, unit))
    # Beyond the year 5000 or so there is nothing to be told apart; int64 must not overflow.
    usable = is_number & (np.abs(scaled) < _SECONDS_BELOW * 1000)
    parsed[usable] = scaled[usable].astype(np.int64)
    rest = ~is_number & (text != "").to_numpy()
    if rest.any():
        moments = pd.to_datetime(text[rest], format="ISO8601", errors="coerce", utc=True)
        if spelling:
            moments = moments.fillna(pd.to_datetime(text[rest], format=spelling, errors="coerce", utc=True))
        parsed[rest] = np.where(moments.isna(), UNKNOWN, moments.dt.as_unit("ms").astype(np.int64).to_numpy())
    return parsed


def _whole_numbers(values: pd.Series) -> npt.NDArray[np.int64] | None:
    """Read a column that holds believable whole numbers only, the fast way; None when it holds anything else."""
    try:
        numbers: npt.NDArray[np.int64] = pa.array(values, pa.large_string()).cast(pa.int64()).to_numpy()
    except pa.ArrowInvalid:
        return None
    return numbers if len(numbers) and np.abs(numbers).max() < _SECONDS_BELOW * 1000 else None


def _are_milliseconds(numbers: npt.NDArray[np.int64], unit: Unit) -> bool:
    return unit == "ms" or (unit == "auto" and np.abs(numbers).min() >= _SECONDS_BELOW)


def _scale(numbers: npt.NDArray[np.float64] | npt.NDArray[np.int64], unit: Unit) -> npt.NDArray[np.float64] | float:
    if unit != "auto":
        return _PER_UNIT[unit]
    size = np.abs(numbers)
    return np.where(size < _SECONDS_BELOW, 1000.0, np.where(size < _SECONDS_BELOW * 1000, 1.0, 0.001))


def interpolate_missing(
    timestamp: npt.NDArray[np.int64], missing: npt.NDArray[np.bool_], user: npt.NDArray[np.int64]
) -> npt.NDArray[np.int64]:
    """Place events without a time evenly between the same user's known neighbours (article section 10.3).

    All [rows], each user's rows in their order. An event without a known neighbour on both sides keeps UNKNOWN.
    """
    order = np.argsort(user, kind="stable")
    time, gap, owner = timestamp[order], missing[order], user[order]
    known = ~gap & (time != UNKNOWN)
    place = np.arange(len(time))
    before = np.maximum.accumulate(np.where(known, place, -1))
    after = np.minimum.accumulate(np.where(known, place, len(time))[::-1])[::-1]
    inside = gap & (before >= 0) & (after < len(time))
    inside[inside] = (owner[before[inside]] == owner[inside]) & (owner[after[inside]] == owner[inside])
    low, high = before[inside], after[inside]
    share = (place[inside] - low) / (high - low)
    filled = time.copy()
    filled[inside] = np.rint(time[low] + share * (time[high] - time[low])).astype(np.int64)
    result = np.empty_like(filled)
    result[order] = filled
    return result
