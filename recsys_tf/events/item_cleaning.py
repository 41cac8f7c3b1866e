"""The item table: item files by rule, else each item's first known values on its events."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from recsys_tf.events.canonical_columns import Layout
from recsys_tf.events.judgement import Account, Judgement, balance, judged_table, reasons_of, shown
from recsys_tf.events.text_columns import Bools, Ints, TextColumn, text_column


@dataclass(frozen=True)
class _Vectors:
    """The numbers of all rows, flat, float32 [numbers]; length: int64 [rows]; finite: bool [rows]."""

    numbers: npt.NDArray[np.float32]
    length: Ints
    finite: Bools

    def usual_length(self, rows: Bools) -> int:
        """The most frequent length among the rows of a mask that have a vector, 0 when none has."""
        return int(np.bincount(self.length[rows & (self.length > 0)], minlength=1).argmax())

    def column(self, rows: Bools) -> dict[str, pd.Series]:
        """A column `vector` of arrays, None for a row without; no column at all when no row of a mask has one."""
        if not self.length[rows].any():
            return {}
        arrays = np.split(self.numbers, np.cumsum(self.length)[:-1])
        column = pd.Series(arrays, dtype=object)
        return {"vector": column.where(self.length > 0, None)}


def _vectors(text: pd.Series) -> _Vectors:
    """Read numbers separated by spaces."""
    parts = text.reset_index(drop=True).str.split().explode().dropna()
    row = parts.index.to_numpy(np.int64)
    numbers = pd.to_numeric(parts, errors="coerce").to_numpy(np.float64)
    with np.errstate(over="ignore"):
        numbers = numbers.astype(np.float32)
    bad = np.bincount(row[~np.isfinite(numbers)], minlength=len(text))
    return _Vectors(numbers, np.bincount(row, minlength=len(text)).astype(np.int64), bad == 0)


def clean_items(
    layout: Layout, item: TextColumn, order: Ints, moment: Ints, set_aside: pd.DataFrame
) -> tuple[pd.DataFrame, pd.DataFrame, Account]:
    """Build the item table: from item files, else each item's first known value on an event; every item has a row.

    moment: int64 [events], times or positions; set_aside: rows of item files that could not be divided into fields.
    """
    given = layout.items
    judged = Judgement(len(given))
    item_id = given["item_id"].str.strip()
    price = pd.to_numeric(given["price"].str.strip(), errors="coerce").to_numpy(np.float64)
    judged.reject((item_id == "").to_numpy(), "item_id", shown(given, "item_id"), "missing item_id")
    judged.reject(price < 0, "price", shown(given, "price"), "price below zero")
    bad_price = np.isnan(price) & (given["price"].str.strip() != "").to_numpy()
    judged.reject(bad_price | np.isinf(price), "price", shown(given, "price"), "unparseable price")
    vectors = _vectors(given["vector"])
    judged.reject(~vectors.finite, "vector", shown(given, "vector"), "unparseable vector")
    other = (vectors.length > 0) & (vectors.length != vectors.usual_length(~judged.rejected))
    judged.reject(other, "vector", shown(given, "vector"), "vector of another length than most")
    standing = ~judged.rejected
    twice = np.zeros(len(given), bool)
    twice[standing] = item_id[standing].duplicated().to_numpy()
    judged.reject(twice, "item_id", shown(given, "item_id"), "this item stands in an earlier row")
    table = pd.DataFrame(
        {
            "item_id": item_id,
            "category_id": given["category_id"].str.strip(),
            "price": price,
            "title": given["title"].str.strip(),
            **vectors.column(~judged.rejected),
        }
    )[~judged.rejected].set_index("item_id")

    seen = pd.unique(item.codes[order])
    touched = item.texts.take(seen)
    rows = pd.DataFrame(index=touched[touched != ""].union(table.index).rename("item_id")).join(table)
    for name in ("category_id", "price", "title"):
        if name in layout.events:
            rows[name] = rows[name].where(
                rows[name].notna() & (rows[name] != ""), _first_known(layout, item, order, moment, name)
            )
    rows = rows.astype({"price": np.float64}).fillna({"category_id": "", "title": ""})
    rows = rows.astype({"category_id": "str", "title": "str"}).reset_index().sort_values("item_id", ignore_index=True)
    if "vector" in rows:
        rows["vector"] = rows["vector"].astype(object).where(rows["vector"].notna(), None)
    kept = int((~judged.rejected).sum())
    account = Account(len(given) + len(set_aside), kept, reasons_of(judged, set_aside))
    balance(account)
    rejects = pd.concat([set_aside, judged_table(given, judged)], ignore_index=True)
    return rows.astype({"item_id": "str"}), rejects, account


def _first_known(layout: Layout, item: TextColumn, order: Ints, moment: Ints, name: str) -> pd.Series:
    """Each item's first known value in time: a rule that never looks ahead."""
    by_time = order[np.argsort(moment[order], kind="stable")]
    column = text_column(layout.events, name)
    empty = column.is_empty()[by_time]
    by_time = by_time[~empty]
    _, first = np.unique(item.codes[by_time], return_index=True)
    rows = by_time[first]
    values = column.series(rows)
    if name == "price":
        values = pd.to_numeric(values, errors="coerce").astype(np.float64)
        values = values.where(np.isfinite(values))
    return pd.Series(values.to_numpy(), index=item.texts.take(item.codes[rows]))
