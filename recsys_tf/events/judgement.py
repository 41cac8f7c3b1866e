"""Rows and the reasons they are rejected for; the account says that none got lost."""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd

from recsys_tf.events.raw_file import REJECT_COLUMNS, reject_rows
from recsys_tf.events.text_columns import Bools, Ints

_LONGEST_VALUE: Final = 40  # characters of a value in a message


@dataclass(frozen=True)
class Account:
    """What became of the rows: read = kept + rejected, the latter by reason.

    forgotten: events of the kept rows that were taken out since, because their users asked for it.
    """

    read: int
    kept: int
    reasons: dict[str, int]
    forgotten: int = 0

    @property
    def rejected(self) -> int:
        """Rows that are not kept."""
        return sum(self.reasons.values())


class Judgement:
    """The reason, if any, for which each event is rejected; the first one stays."""

    def __init__(self, events: int) -> None:
        self.rejected = np.zeros(events, bool)
        self.tables: list[tuple[Ints, str, Any, str]] = []

    def reject(self, rows: Bools, column: str, values: Any, reason: str) -> None:
        """Reject the events of a mask that still stand; values gives the text to show for chosen rows."""
        chosen = np.flatnonzero(rows & ~self.rejected)
        if len(chosen):
            self.rejected[chosen] = True
            self.tables.append((chosen, column, values(chosen), reason))

    def spread(self, row: Ints) -> None:
        """Reject whatever else was made of the rows of rejected events; row: int64 [events], each event's row."""
        bad = np.zeros(int(row.max(initial=-1)) + 1, bool)
        bad[row[self.rejected]] = True
        self.rejected = bad[row]

    def keep_one_per_row(self, row: Ints, kept: Ints) -> None:
        """Let every row without a kept event stand once, with its first reason, and no other row.

        row: int64 [events], each event's row; kept: the events that stay.
        """
        told = np.zeros(int(row.max(initial=-1)) + 1, bool)
        told[row[kept]] = True
        tables = []
        for events, column, values, reason in self.tables:
            first = np.zeros(len(events), bool)
            first[np.unique(row[events], return_index=True)[1]] = True
            new = first & ~told[row[events]]
            told[row[events]] = True
            if new.any():
                tables.append((events[new], column, values if isinstance(values, str) else values[new], reason))
        self.tables = tables


def judged_table(raw: pd.DataFrame, judged: Judgement) -> pd.DataFrame:
    """Write down every rejected row of a table that has `file` and `line`, with the columns of REJECT_COLUMNS."""
    parts = [reject_rows("", [], "", "", "")]
    for rows, column, values, reason in judged.tables:
        part = reject_rows("", raw["line"].to_numpy()[rows], column, values, reason)
        parts.append(part.assign(file=raw["file"].iloc[rows].astype("str").to_numpy()))
    return pd.concat(parts, ignore_index=True)[list(REJECT_COLUMNS)]


def shown(raw: pd.DataFrame, name: str) -> Any:
    """Return a function that gives the raw text of chosen rows, "" where the log has no such column."""

    def values(rows: Ints) -> Any:
        return raw[name].iloc[rows].astype("str").to_numpy() if name in raw else ""

    return values


def reasons_of(judged: Judgement, set_aside: pd.DataFrame) -> dict[str, int]:
    """Count the rejected rows by reason, unreadable ones first."""
    kinds = {r"^\d+ fields instead of \d+$": "wrong number of fields", r"^no JSON .*": "no JSON"}
    unreadable = set_aside["reason"].replace(kinds, regex=True).value_counts()
    reasons = {str(reason): int(rows) for reason, rows in unreadable.items()}
    for rows, _, _, reason in judged.tables:
        reasons[reason] = reasons.get(reason, 0) + len(rows)
    return reasons


def frequent_values(rejects: pd.DataFrame, reason: str, most: int = 5) -> list[str]:
    """Return the values that were rejected for a reason, the most frequent first, long ones cut."""
    counts = rejects.loc[rejects["reason"] == reason, "value"].str.strip().value_counts()
    order = counts.sort_index().sort_values(ascending=False, kind="stable").index[:most]
    return [value if len(value) <= _LONGEST_VALUE else value[: _LONGEST_VALUE - 1] + "…" for value in map(str, order)]


def balance(account: Account) -> None:
    """Raise AssertionError unless read = kept + rejected."""
    if account.read != account.kept + account.rejected:
        raise AssertionError(f"rows got lost: {account}")
