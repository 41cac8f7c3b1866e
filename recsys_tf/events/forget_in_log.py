"""Take users out of a folder that `write_clean_log` wrote: tables, rejected rows, report and pictures."""

import json
import re
from collections.abc import Collection
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
import pyarrow as pa

from recsys_tf.errors import InputError
from recsys_tf.events.cleaning import CleanLog, log_facts
from recsys_tf.events.judgement import Account
from recsys_tf.events.raw_file import REJECT_COLUMNS
from recsys_tf.events.report import write_clean_log
from recsys_tf.events.tables import read_clean_log
from recsys_tf.events.text_columns import text_column

FORGOTTEN: Final = "(forgotten)"
_WRITTEN: Final = ("events.parquet", "items.parquet", "rejects.csv", "quality.json", "quality.html")


def is_clean_log(directory: Path) -> bool:
    """Tell whether the folder was written by `write_clean_log`; tables without its report are somebody else's."""
    return all((directory / name).is_file() for name in ("events.parquet", "rejects.csv", "quality.json"))


def is_written_here(path: Path) -> bool:
    """Tell whether `forget_in_log` writes this file of a clean log's folder."""
    return is_clean_log(path.parent) and (path.name in _WRITTEN or path.suffix == ".png")


def events_of(directory: Path, users: Collection[str]) -> int:
    """Count the users' events. Raises InputError for a damaged table."""
    path = directory / "events.parquet"
    try:
        return int(pd.read_parquet(path, columns=["user_id"])["user_id"].isin(users).sum())
    except (pa.ArrowException, OSError, KeyError) as error:
        raise InputError(f"this is no readable Parquet ({error})", file=path) from error


def rejects_naming(directory: Path, users: Collection[str]) -> int:
    """Count the rejected rows whose value names one of the users."""
    return int(_naming(_rejects(directory), users).sum())


def forget_in_log(directory: Path, users: Collection[str], target: Path) -> None:
    """Write the folder again without the users to the empty folder `target`.

    Rejected rows stay, with file, line and reason; a value that names a user does not. Raises InputError when nobody
    else is left, and for a folder that is damaged.
    """
    events, items = read_clean_log(directory)
    left = events[~events["user_id"].isin(users)].reset_index(drop=True)
    if left.empty:
        raise InputError("nobody else is in this log: delete the folder", file=directory)
    rejects = _rejects(directory)
    rejects = rejects.assign(value=rejects["value"].mask(_naming(rejects, users), FORGOTTEN))
    path = directory / "quality.json"
    try:
        written = json.loads(path.read_text(encoding="utf-8"))
        account, facts = written["account"], written["facts"]
        # A row of some layouts makes several events; their number then stands among the facts.
        kept_events = int(facts.get("events kept", account["kept"]))
        log = CleanLog(
            left,
            items,
            rejects,
            Account(account["read"], account["kept"], written["reasons"], kept_events - len(left)),
            Account(written["items"]["read"], written["items"]["kept"], written["items"]["reasons"]),
            facts | _facts(left, items, facts),
        )
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"this is not the report that was written here ({error!r})", file=path) from error
    write_clean_log(log, target)


def _facts(events: pd.DataFrame, items: pd.DataFrame, before: dict[str, Any]) -> dict[str, int | float | str]:
    columns = {name: text_column(events, name) for name in ("user_id", "item_id", "device")}
    timestamp = events["timestamp"].to_numpy(np.int64) if "timestamp" in events else None
    filled = int(before.get("times filled in by interpolation", 0))
    return log_facts(np.arange(len(events)), columns, timestamp, items, filled)


def _rejects(directory: Path) -> pd.DataFrame:
    path = directory / "rejects.csv"
    try:
        # A carriage return inside a value is no end of its row.
        rows = pd.read_csv(path, dtype="str", keep_default_na=False, lineterminator="\n")
        return rows[list(REJECT_COLUMNS)].astype({"line": np.int64})
    except (ValueError, KeyError) as error:
        raise InputError(f"these are not the rows that were written here ({error!r})", file=path) from error


def _naming(rejects: pd.DataFrame, users: Collection[str]) -> pd.Series:
    """Tell which values hold a user's id as a word of its own."""
    names = "|".join(re.escape(user) for user in users)
    return rejects["value"].str.contains(rf"(?:^|\W)(?:{names})(?:\W|$)", regex=True).astype(bool)
