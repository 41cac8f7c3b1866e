"""Contacts with customer service, as a shop keeps them: who, when, why, and what they said first (article section 6.3).

One row each: user_id, timestamp (as in a log), reason (any short name), words ("" where none are known).
"""

from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd

from recsys_tf.errors import InputError
from recsys_tf.events.reading import read_raw_file
from recsys_tf.events.timestamps import UNKNOWN, parse_timestamps

CONTACT_COLUMNS: Final = ("user_id", "timestamp", "reason", "words")


def read_contacts(path: Path) -> pd.DataFrame:
    """Read a table of contacts (CSV, CSV.GZ, Parquet, JSON lines).

    Returns text user_id, reason and words, and int64 timestamp in ms, in the file's order. Raises InputError, naming
    file, row and column, for the first row that cannot be used: a label that is wrong in silence would be learnt.
    """
    raw = read_raw_file(path)
    if len(raw.rejects):
        first = raw.rejects.sort_values("line").iloc[0]
        raise InputError(str(first["reason"]), file=path, row=int(first["line"]))
    missing = [name for name in CONTACT_COLUMNS if name not in raw.rows]
    if missing:
        raise InputError(
            f"this column is missing; contacts have {', '.join(CONTACT_COLUMNS)}", file=path, row=1, column=missing[0]
        )
    text = {name: raw.rows[name].astype("str").str.strip().reset_index(drop=True) for name in CONTACT_COLUMNS}
    timestamp = parse_timestamps(text["timestamp"])
    wrong = {
        "user_id": ("missing user_id", text["user_id"] == ""),
        "timestamp": ("no time: {}", pd.Series(timestamp == UNKNOWN)),
        "reason": ("missing reason", text["reason"] == ""),
    }
    rows = {column: int(np.argmax(mask)) for column, (_, mask) in wrong.items() if mask.any()}
    if rows:
        column = min(rows, key=lambda name: raw.line[rows[name]])
        reason = wrong[column][0].format(repr(text[column][rows[column]]))
        raise InputError(reason, file=path, row=int(raw.line[rows[column]]), column=column)
    return pd.DataFrame({**text, "timestamp": timestamp})[list(CONTACT_COLUMNS)]
