"""An ad log: who was shown which item, when, and what came of it; checked, and never repaired."""

from pathlib import Path
from typing import Final

import pandas as pd

from recsys_tf.errors import InputError

COLUMNS: Final = ("user_id", "timestamp", "item_id", "clicked", "purchased")
_ANSWERS: Final = ("clicked", "purchased")


def read_exposures(path: Path) -> pd.DataFrame:
    """Read an ad log (CSV or CSV.GZ): user_id, item_id as text, timestamp int64 ms UTC, clicked and purchased bool.

    Returns it in order of user and time. Raises InputError, naming file, row (the first line is the header) and column,
    for what is no such log.
    """
    if not path.is_file():
        raise InputError("no ad log here; `run.py simulate` writes one", file=path)
    try:
        log = pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8")
    except (ValueError, OSError, EOFError) as error:
        raise InputError(f"this cannot be read as CSV ({error})", file=path) from error
    missing = [name for name in COLUMNS if name not in log.columns]
    if missing:
        raise InputError(f"the column {missing[0]} is missing; there must be {', '.join(COLUMNS)}", file=path)
    for name in ("user_id", "item_id"):
        _check(path, log[name] != "", name, log[name], "is empty")
    _check(path, log["timestamp"].str.fullmatch(r"[0-9]{1,15}"), "timestamp", log["timestamp"], "is no time in ms")
    for name in _ANSWERS:
        _check(path, log[name].isin(["0", "1"]), name, log[name], "is neither 0 nor 1")
    typed = log.assign(timestamp=log["timestamp"].astype("int64"), **{name: log[name] == "1" for name in _ANSWERS})
    return typed[list(COLUMNS)].sort_values(["user_id", "timestamp"], kind="stable", ignore_index=True)


def _check(path: Path, good: pd.Series, column: str, values: pd.Series, complaint: str) -> None:
    if not good.all():
        at = int((~good).to_numpy().argmax())
        raise InputError(f"{values.iloc[at]!r} {complaint}", file=path, row=at + 2, column=column)
