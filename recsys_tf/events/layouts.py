"""The column layouts of logs that people have: each turns raw files into canonical columns, still as text.

The files of one import are told apart by their columns, never by their names. A layout interprets nothing but which
column means what; times, numbers and behaviours are judged by the rules of `cleaning`.
"""

import dataclasses
import difflib
import shlex
from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
import pandas as pd

from recsys_tf.errors import InputError
from recsys_tf.events.canonical_columns import (
    EVENT_TEXT,
    Layout,
    Rule,
    constant,
    having,
    item_table,
    joined,
    named_columns,
    per_text,
)
from recsys_tf.events.raw_file import RawFile
from recsys_tf.events.schema import ITEM_COLUMNS

# Header lines of layouts whose files come without one, for `read_raw_file`.
HEADERLESS: Final = {
    "yoochoose": (
        ("session_id", "timestamp", "item_id", "category"),
        ("session_id", "timestamp", "item_id", "price", "quantity"),
    ),
    "movielens": (("user_id", "item_id", "rating", "timestamp"), ("item_id", "title", "genres")),
}

# Stock codes of online-retail that are no products: postage, fees, discounts, samples, tests, gift vouchers.
ONLINE_RETAIL_NO_PRODUCTS: Final = (
    "POST", "DOT", "M", "D", "S", "B", "C2", "C3", "m", "ADJUST", "ADJUST2", "BANK CHARGES", "PADS", "AMAZONFEE",
    "CRUK", "SP1002", "GIFT", "TEST.*", "gift_.*", "DCGS.*",
)  # fmt: skip


# Files that belong to a layout and tell nothing that we use: the tree of categories, properties without a category.
_UNUSED: Final = (("categoryid", "parentid"), ("timestamp", "itemid", "property", "value"))

# Column names of the same layouts as their publishers write them.
_ONLINE_RETAIL_NAMES: Final = {
    "Customer ID": "user_id", "CustomerID": "user_id", "StockCode": "item_id", "InvoiceDate": "timestamp",
    "Invoice": "invoice", "InvoiceNo": "invoice", "Quantity": "quantity", "Price": "price", "UnitPrice": "price",
    "Description": "description",
}  # fmt: skip
_MOVIELENS_NAMES: Final = {"userId": "user_id", "movieId": "item_id"}
_SEQUENCE_NAMES: Final = {"ml_user_id": "user_id", "movie_id": "item_id", "behaviour": "behavior"}


def apply_layout(name: str, files: Sequence[RawFile], columns: Mapping[str, str]) -> Layout:
    """Arrange the files of a log by the layout's name; columns: ours → theirs, for "generic".

    Raises InputError when no file holds events of this layout, and for a file that is no part of it.
    """
    layout = _arranged(name, files, columns)
    used = {*layout.events["file"].unique(), *layout.items["file"].unique()}
    for file in files:
        if len(file.rows) and file.path.name not in used and not any(set(other) <= set(file.rows) for other in _UNUSED):
            seen = ", ".join(map(str, file.rows))
            raise InputError(f"these columns are no part of the layout {name}: {seen}", file=file.path, row=1)
    return layout


def _arranged(name: str, files: Sequence[RawFile], columns: Mapping[str, str]) -> Layout:
    match name:
        case "generic":
            return _generic(files, columns)
        case "retailrocket":
            return _retailrocket(files)
        case "online-retail":
            return _online_retail(files)
        case "complete-journey":
            return _complete_journey(files)
        case "bestbuy":
            return _bestbuy(files)
        case "yoochoose":
            return _yoochoose(files)
        case "movielens":
            return _movielens(files)
        case "sequences":
            return _sequences(files)
    raise InputError(f"unknown layout {name!r}")


def _generic(files: Sequence[RawFile], columns: Mapping[str, str]) -> Layout:
    known = {*EVENT_TEXT, *ITEM_COLUMNS}
    for ours, theirs in columns.items():
        if ours not in known:
            names = ", ".join(sorted(known))
            raise InputError(
                f"--columns: {ours!r} is none of our columns: {names}; write ours=theirs, such as behavior=behaviour"
            )
        if not any(theirs in file.rows for file in files):
            raise InputError(f"no file has the column {theirs!r} that --columns names for {ours}", file=files[0].path)
    events, items, unread = [], [], []
    for file in files:
        renamed = file.rows.rename(columns={theirs: ours for ours, theirs in columns.items()})
        table = named_columns(
            RawFile(file.path, renamed, file.line, file.rejects), {name: name for name in known}, partly=True
        )
        if "item_id" in table and not {"user_id", "behavior"} & set(table):
            items.append(table)
            unread += _unread(file, renamed, ITEM_COLUMNS)
            continue
        for needed in ("user_id", "behavior"):
            if needed not in table:
                raise _missing(file, renamed, table, "the column is missing", needed)
        if "timestamp" not in table and "position" not in table:
            raise _missing(file, renamed, table, "neither timestamp nor position", "timestamp", "position")
        if "item_id" not in table:
            raise _missing(file, renamed, table, "the column is missing", "item_id")
        events.append(table)
        unread += _unread(file, renamed, (*EVENT_TEXT, "category_id", "price", "title"))
    return Layout(joined(events, files, "events"), item_table(items), unread=unread)


def _unread(file: RawFile, renamed: pd.DataFrame, read: Sequence[str]) -> list[tuple[str, list[str]]]:
    """Return the file with its columns that are not read, by its own names; nothing when all are."""
    names = [str(theirs) for theirs, ours in zip(file.rows, renamed, strict=True) if ours not in read]
    return [(file.path.name, names)] if names else []


def _missing(file: RawFile, renamed: pd.DataFrame, table: pd.DataFrame, message: str, *needed: str) -> InputError:
    """Say that a file has none of the needed columns, what it has, and which of that is most likely meant.

    renamed: all of its columns, by our names as far as --columns tells; table: those that have a meaning already.
    """
    pairs = zip(file.rows, renamed, strict=True)
    # A name with a comma cannot be given by the option.
    free = {str(theirs).lower(): str(theirs) for theirs, ours in pairs if ours not in table and "," not in str(theirs)}
    # At 0.7 a misspelling is found, and order_id is not yet taken for user_id.
    close = [(ours, free[name]) for ours in needed for name in difflib.get_close_matches(ours, free, 1, 0.7)]
    hint = " (see --columns)"
    if close:
        ours, theirs = close[0]
        hint = f"; did you mean {theirs!r}? --columns {shlex.quote(f'{ours}={theirs}')}"
    seen = ", ".join(map(str, file.rows))
    return InputError(f"{message}; there are {seen}{hint}", file=file.path, row=1, column=needed[0])


def _retailrocket(files: Sequence[RawFile]) -> Layout:
    logs = having(files, ("timestamp", "visitorid", "event", "itemid"))
    named = {"user_id": "visitorid", "item_id": "itemid", "behavior": "event", "timestamp": "timestamp"}
    events = joined([named_columns(file, named) for file in logs], files, "events")
    items = []
    for file in having(files, ("timestamp", "itemid", "property", "value")):
        # The item properties of the full data set change over time: the first known category looks into no future.
        chosen = file.rows["property"].astype("str") == "categoryid"
        table = named_columns(file, {"item_id": "itemid", "category_id": "value", "timestamp": "timestamp"})[chosen]
        table = table.assign(timestamp=pd.to_numeric(table["timestamp"].astype("str"), errors="coerce"))
        items.append(table.sort_values("timestamp", kind="stable").drop_duplicates("item_id").drop(columns="timestamp"))
    return Layout(events, item_table(items), unit="ms")


def _online_retail(files: Sequence[RawFile]) -> Layout:
    files = _renamed(files, _ONLINE_RETAIL_NAMES)
    named = {"user_id": "user_id", "item_id": "item_id", "timestamp": "timestamp", "price": "price",
             "title": "description", "invoice": "invoice", "quantity": "quantity"}  # fmt: skip
    tables = [named_columns(file, named) for file in having(files, tuple(named.values()))]
    events = joined(tables, files, "invoice lines")
    events["user_id"] = per_text(events["user_id"], lambda text: text.str.replace(r"\.0$", "", regex=True))
    events["behavior"] = constant("purchase", len(events))
    cancelled = events["invoice"].astype("str").str.startswith("C").to_numpy(bool)
    quantity = pd.to_numeric(events["quantity"].astype("str"), errors="coerce").to_numpy(np.float64)
    price = pd.to_numeric(events["price"].astype("str"), errors="coerce").to_numpy(np.float64)
    raw = pd.concat([file.rows.astype("str") for file in files])
    facts = {
        "rows without a user": int((events["user_id"].astype("str") == "").sum()),
        "rows without a description": int((events["title"].astype("str") == "").sum()),
        "rows with a negative quantity": int((quantity < 0).sum()),
        "rows with a price of zero or less": int((price <= 0).sum()),
        "cancelled rows (invoice C…)": int(cancelled.sum()),
        "exact copies of an earlier row": int(raw.duplicated().sum()),
    }
    rules = [
        Rule("invoice", "cancellation", cancelled),
        Rule("quantity", "negative quantity", quantity < 0),
    ]
    return Layout(
        events, item_table([]), rules, spelling="%m/%d/%Y %H:%M", simultaneous_order="hash", zero_price_is_bad=True,
        no_products=ONLINE_RETAIL_NO_PRODUCTS, facts=facts,
    )  # fmt: skip


def _complete_journey(files: Sequence[RawFile]) -> Layout:
    named = {"user_id": "household_id", "item_id": "product_id", "timestamp": "transaction_timestamp",
             "quantity": "quantity", "value": "sales_value"}  # fmt: skip
    events = joined(
        [named_columns(file, named) for file in having(files, tuple(named.values()))], files, "receipt lines"
    )
    quantity = pd.to_numeric(events["quantity"].astype("str"), errors="coerce").to_numpy(np.float64)
    value = pd.to_numeric(events.pop("value").astype("str"), errors="coerce").to_numpy(np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        price = np.where(quantity > 0, value / quantity, np.nan)
    # A price of 0 comes from a coupon that paid for everything: it says nothing about the product.
    text = pd.Series(np.round(price, 4)).where(price > 0).astype("str").fillna("")
    events = events.assign(behavior=constant("purchase", len(events)), price=text.replace("nan", ""))
    products = having(files, ("product_id", "product_category"))
    described = {"item_id": "product_id", "category_id": "product_category", "title": "product_type"}
    facts = {
        "lines with quantity 0": int((quantity == 0).sum()),
        "lines with quantity above 1,000": int((quantity > 1000).sum()),
    }
    items = item_table([named_columns(file, described) for file in products])
    return Layout(events, items, simultaneous_order="hash", facts=facts)


def _bestbuy(files: Sequence[RawFile]) -> Layout:
    clicks = having(files, ("user_id", "item_id", "query", "query_time", "click_time"))
    alone = [file for file in having(files, ("user_id", "query", "query_time")) if "item_id" not in file.rows]
    tables = []
    for file in (*clicks, *alone):
        searches = named_columns(file, {"user_id": "user_id", "timestamp": "query_time", "query": "query"})
        tables.append(searches.assign(item_id=constant("", len(searches)), behavior=constant("search", len(searches))))
        if file in clicks:
            named = {"user_id": "user_id", "timestamp": "click_time", "item_id": "item_id", "category_id": "category"}
            found = named_columns(file, named)
            tables.append(found.assign(query=constant("", len(found)), behavior=constant("click", len(found))))
    names = having(files, ("item_id", "name"))
    items = item_table([named_columns(file, {"item_id": "item_id", "title": "name"}) for file in names])
    return Layout(joined(tables, files, "searches with clicks"), items, events_per_row=2)


def _yoochoose(files: Sequence[RawFile]) -> Layout:
    named = {"user_id": "session_id", "item_id": "item_id", "timestamp": "timestamp"}
    tables = []
    for file in having(files, tuple(named.values())):
        is_buys = "quantity" in file.rows
        optional = {"category_id": "category", "price": "price"}
        table = named_columns(file, named | {ours: name for ours, name in optional.items() if name in file.rows})
        tables.append(table.assign(behavior=constant("purchase" if is_buys else "click", len(table))))
    return Layout(joined(tables, files, "clicks or buys"), item_table([]), unit="s")


def _movielens(files: Sequence[RawFile]) -> Layout:
    files = _renamed(files, _MOVIELENS_NAMES)
    named = {"user_id": "user_id", "item_id": "item_id", "timestamp": "timestamp"}
    ratings = [named_columns(file, named) for file in having(files, (*named.values(), "rating"))]
    movies = _movies(files)
    events = joined(ratings, files, "ratings")
    # A rating says that the film was seen; how it was liked is no behaviour of ours.
    events = events.assign(behavior=constant("view", len(events)))
    return Layout(events, item_table(movies), unit="s", simultaneous_order="hash")


def _movies(files: Sequence[RawFile]) -> list[pd.DataFrame]:
    movies = []
    for file in having(files, ("item_id", "title", "genres")):
        table = named_columns(file, {"item_id": "item_id", "title": "title", "category_id": "genres"})
        # A film has several genres; the first that is listed stands for it.
        genres = table["category_id"].astype("str").str.split(r"[ |]", regex=True)
        movies.append(table.assign(category_id=genres.str[0].fillna("")))
    return movies


def _sequences(files: Sequence[RawFile]) -> Layout:
    files = _renamed(files, _SEQUENCE_NAMES)
    named = {"user_id": "user_id", "position": "position", "item_id": "item_id"}
    tables = []
    for file in having(files, tuple(named.values())):
        given = "behavior" if "behavior" in file.rows else None
        table = named_columns(file, named | ({"behavior": given} if given else {}))
        tables.append(table if given else table.assign(behavior=constant("view", len(table))))
    attributes = having(files, ("item_id", "attribute_ids"))
    # The last attribute of an item is its finest category in the sets at hand; without attributes there is none. All of
    # them stand as its title, whose words a model can read.
    items = [
        table.assign(category_id=table["category_id"].astype("str").str.split().str[-1].fillna(""))
        for table in (
            named_columns(file, {"item_id": "item_id", "category_id": "attribute_ids", "title": "attribute_ids"})
            for file in attributes
        )
    ]
    return Layout(joined(tables, files, "sequences"), item_table([*items, *_movies(files)]))


def _renamed(files: Sequence[RawFile], names: Mapping[str, str]) -> list[RawFile]:
    """Give columns our names (theirs → ours), where the file does not have a column of our name already."""
    return [
        dataclasses.replace(
            file,
            rows=file.rows.rename(columns={theirs: ours for theirs, ours in names.items() if ours not in file.rows}),
        )
        for file in files
    ]
