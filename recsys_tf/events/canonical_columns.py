"""A raw log in canonical columns: what every layout makes, and the small steps that they share."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from recsys_tf.errors import InputError
from recsys_tf.events.raw_file import RawFile
from recsys_tf.events.schema import ITEM_COLUMNS
from recsys_tf.events.timestamps import Unit

Bools = npt.NDArray[np.bool_]

EVENT_TEXT: Final = ("user_id", "item_id", "behavior", "timestamp", "position", "query", "device")


@dataclass(frozen=True)
class Rule:
    """A layout's own reason to reject rows: the column it reads, and the rows [events] it speaks of."""

    column: str
    reason: str
    rows: Bools


@dataclass(frozen=True)
class Layout:
    """A raw log in canonical columns.

    events: text columns of EVENT_TEXT that the log has, item columns (category_id, price, title) that stand on its
    events, and `file` and `line` of the row that each event was made from.
    items: the rows of item files: ITEM_COLUMNS as text, `file`, `line`.
    unread: files with their columns that mean nothing to us, for a log whose columns are not known beforehand.
    spelling: how times are written that are no ISO 8601. events_per_row: how many events a row may make; they share its
    `file` and `line`.
    """

    events: pd.DataFrame
    items: pd.DataFrame
    rules: Sequence[Rule] = ()
    unit: Unit = "auto"
    spelling: str = ""
    events_per_row: int = 1
    simultaneous_order: str = "log"
    zero_price_is_bad: bool = False
    no_products: Sequence[str] = ()
    facts: Mapping[str, int] = field(default_factory=dict)
    unread: Sequence[tuple[str, Sequence[str]]] = ()


def having(files: Sequence[RawFile], columns: tuple[str, ...]) -> list[RawFile]:
    """Return the files that have all of these columns."""
    return [file for file in files if set(columns) <= set(file.rows)]


def named_columns(file: RawFile, named: Mapping[str, str], partly: bool = False) -> pd.DataFrame:
    """Take columns by their names in the file (ours → theirs) and add where each row stands."""
    found = {ours: file.rows[theirs] for ours, theirs in named.items() if not partly or theirs in file.rows}
    table = pd.DataFrame(found)
    return table.assign(file=constant(file.path.name, len(table)), line=file.line)


def joined(tables: Sequence[pd.DataFrame], files: Sequence[RawFile], what: str) -> pd.DataFrame:
    """Put the tables of several files together. Raises InputError when there is none."""
    if not tables:
        seen = "; ".join(f"{file.path.name}: {', '.join(map(str, file.rows))}" for file in files)
        raise InputError(f"no file has the columns of {what} of this layout; there are {seen}", file=files[0].path)
    if len(tables) == 1:
        return tables[0].reset_index(drop=True)
    return pd.concat([table.astype({c: "str" for c in table if c != "line"}) for table in tables], ignore_index=True)


def item_table(tables: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Put the rows of item files together as text; a file without a column leaves it ""."""
    columns = [*ITEM_COLUMNS, "file", "line"]
    filled = [table.reindex(columns=columns) for table in tables] or [pd.DataFrame(columns=columns)]
    joined = pd.concat(
        [table.astype({c: "str" for c in columns if c != "line"}) for table in filled], ignore_index=True
    )
    return joined.fillna("").astype({"line": np.int64})


def per_text(values: pd.Series, change: Callable[[pd.Series], pd.Series]) -> pd.Series:
    """Change each different text of a column once."""
    if not isinstance(values.dtype, pd.CategoricalDtype):
        return change(values)
    codes, distinct = pd.factorize(change(pd.Series(values.cat.categories, dtype="str")))
    return pd.Series(pd.Categorical.from_codes(codes[values.cat.codes.to_numpy()], distinct))


def constant(text: str, rows: int) -> pd.Categorical:
    """A column of one and the same text."""
    return pd.Categorical.from_codes(np.zeros(rows, np.int8), pd.Index([text], dtype="str"))
