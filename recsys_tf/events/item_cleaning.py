"""The item table: item files by rule, else each item's first known values on its events."""

import numpy as np
import pandas as pd

from recsys_tf.events.canonical_columns import Layout
from recsys_tf.events.judgement import Account, Judgement, balance, judged_table, reasons_of, shown
from recsys_tf.events.text_columns import Ints, TextColumn, text_column


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
