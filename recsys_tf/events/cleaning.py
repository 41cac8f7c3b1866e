"""Which rows of a log are kept: rules only, nothing fitted (article sections 3.2.1 and 10.3).

Every event is kept or rejected for the first reason that applies, in the order of `_judge`; read = kept + rejected is
checked before anything is returned.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd
import pandera.errors

from recsys_tf.config import CleaningConfig
from recsys_tf.errors import InputError
from recsys_tf.events.canonical_columns import Layout
from recsys_tf.events.item_cleaning import clean_items
from recsys_tf.events.judgement import (
    Account,
    Judgement,
    balance,
    frequent_values,
    judged_table,
    reasons_of,
    shown,
)
from recsys_tf.events.ordering import ordered, repetitions
from recsys_tf.events.schema import BEHAVIOR_ALIASES, BEHAVIORS, EVENT_COLUMNS, EVENTS, ITEMS
from recsys_tf.events.text_columns import Bools, Ints, TextColumn, text_column
from recsys_tf.events.timestamps import UNKNOWN, interpolate_missing, parse_timestamps

UNKNOWN_BEHAVIOR: Final = "unknown behavior"
_SEARCH: Final = BEHAVIORS.index("search")


@dataclass(frozen=True)
class CleanLog:
    """The two clean tables, every rejected row, and the account.

    events follow the schema EVENTS, sorted by user, time and position; items follow ITEMS, sorted by item_id.
    rejects: file, line, column, value, reason. facts: what is no reason to reject and yet worth knowing. unread: see
    `Layout`.
    """

    events: pd.DataFrame
    items: pd.DataFrame
    rejects: pd.DataFrame
    account: Account
    item_account: Account
    facts: dict[str, int | float | str]
    unread: Sequence[tuple[str, Sequence[str]]] = ()


def clean(layout: Layout, set_aside: pd.DataFrame, aliases: dict[str, str], config: CleaningConfig) -> CleanLog:
    """Apply every rule to a log in canonical columns.

    set_aside: rows that reading could not divide into fields. aliases: the log's own names of behaviours → ours.
    Raises InputError when no row is usable.
    """
    raw = layout.events
    columns = {name: text_column(raw, name) for name in ("user_id", "item_id", "query", "device")}
    behavior, spelled = _behaviors(raw, aliases)
    # A search has words and no item, any other event an item and no words, whatever the log put there.
    search = behavior == _SEARCH
    columns["item_id"], columns["query"] = columns["item_id"].emptied(search), columns["query"].emptied(~search)
    has_time = "timestamp" in raw
    position = _positions(raw)
    timestamp, filled = _timestamps(layout, columns["user_id"], position, config)

    judged = Judgement(len(raw))
    _judge(judged, layout, columns, behavior, spelled, timestamp, has_time, position, config)
    row = _rows(layout)
    judged.spread(row)
    hashed = "hash" in (config.simultaneous_order, layout.simultaneous_order)
    order = ordered(np.flatnonzero(~judged.rejected), columns, behavior, timestamp, position, hashed)
    same, near = repetitions(
        order, columns, behavior, timestamp if has_time else position, config.duplicate_window_ms if has_time else 0
    )
    show = shown(raw, "timestamp" if has_time else "position")
    for rows, reason in ((same, "exact duplicate"), (near, "near-simultaneous duplicate")):
        mask = np.zeros(len(raw), bool)
        mask[rows] = True
        judged.reject(mask, "timestamp" if has_time else "position", show, reason)
    order = order[~judged.rejected[order]]
    judged.keep_one_per_row(row, order)

    of_items = set_aside["file"].isin(set(layout.items["file"].unique()) - set(raw["file"].unique())).to_numpy()
    items, item_rejects, item_account = clean_items(
        layout, columns["item_id"], order, timestamp if has_time else position, set_aside[of_items]
    )
    rejects = _reject_table(raw, judged, set_aside[~of_items], item_rejects)
    reasons = reasons_of(judged, set_aside[~of_items])
    kept = len(order) if layout.events_per_row == 1 else len(np.unique(row[order]))
    read = len(raw) if layout.events_per_row == 1 else int(row.max(initial=-1)) + 1
    account = Account(read + int((~of_items).sum()), kept, reasons)
    balance(account)
    if len(order) == 0:
        most = max(reasons, key=lambda reason: reasons[reason])
        where = str(rejects["file"].iloc[0])
        hint = _behaviors_hint(rejects, named=config.user_key_file is None) if most == UNKNOWN_BEHAVIOR else ""
        raise InputError(
            f"no usable row: {account.read:,} read, {account.rejected:,} rejected, most often: {most}{hint}", file=where
        )
    events = _event_table(order, columns, behavior, timestamp if has_time else None)
    facts = {**layout.facts, **log_facts(order, columns, timestamp if has_time else None, items, filled)}
    if layout.events_per_row > 1:
        facts = {"events made of the rows": len(raw), "events kept": len(order), **facts}
    events, items = _checked(EVENTS, events), _checked(ITEMS, items)
    return CleanLog(events, items, rejects, account, item_account, facts, layout.unread)


def _judge(
    judged: Judgement,
    layout: Layout,
    columns: dict[str, TextColumn],
    behavior: Ints,
    spelled: pd.Series,
    timestamp: Ints,
    has_time: bool,
    position: Ints,
    config: CleaningConfig,
) -> None:
    raw = layout.events
    search = behavior == _SEARCH
    judged.reject(columns["user_id"].is_empty(), "user_id", shown(raw, "user_id"), "missing user_id")
    missing = (spelled == "").to_numpy()
    judged.reject(missing, "behavior", shown(raw, "behavior"), "missing behavior")
    judged.reject(behavior < 0, "behavior", shown(raw, "behavior"), UNKNOWN_BEHAVIOR)
    judged.reject(columns["item_id"].is_empty() & ~search, "item_id", shown(raw, "item_id"), "missing item_id")
    judged.reject(columns["query"].is_empty() & search, "query", shown(raw, "query"), "search without words")
    for rule in layout.rules:
        judged.reject(rule.rows, rule.column, shown(raw, rule.column), rule.reason)
    no_product = _matches(columns["item_id"], (*layout.no_products, *config.non_products)) & ~search
    judged.reject(no_product, "item_id", shown(raw, "item_id"), "not a product")
    if has_time:
        show = shown(raw, "timestamp")
        unknown = timestamp == UNKNOWN
        judged.reject(_blank(raw["timestamp"], unknown), "timestamp", show, "missing timestamp")
        judged.reject(unknown, "timestamp", show, "unparseable timestamp")
        earliest, latest = (_moment(getattr(config, name), name) for name in ("earliest", "latest"))
        judged.reject((timestamp < earliest) | (timestamp > latest), "timestamp", show, "impossible timestamp")
    else:
        judged.reject(position == UNKNOWN, "position", shown(raw, "position"), "missing or unparseable position")
    if "price" in raw:
        texts = text_column(raw, "price")
        price = pd.to_numeric(pd.Series(texts.texts), errors="coerce").to_numpy(np.float64)[texts.codes]
        judged.reject(~np.isfinite(price) & ~texts.is_empty(), "price", shown(raw, "price"), "unparseable price")
        judged.reject(price < 0, "price", shown(raw, "price"), "price below zero")
        if layout.zero_price_is_bad:
            judged.reject(price == 0, "price", shown(raw, "price"), "price of zero")
    if config.missing_device == "delete" and "device" in raw:
        judged.reject(columns["device"].is_empty(), "device", shown(raw, "device"), "missing device")


def _behaviors(raw: pd.DataFrame, aliases: dict[str, str]) -> tuple[Ints, pd.Series]:
    """Return the index of each event's behaviour in BEHAVIORS, -1 for none of them, and its lower-case spelling."""
    column = text_column(raw, "behavior")
    known = {**BEHAVIOR_ALIASES, **{name.lower(): name for name in BEHAVIORS}}
    known |= {theirs.lower(): ours for theirs, ours in aliases.items()}
    lower = column.texts.str.lower()
    index = pd.Index(BEHAVIORS).get_indexer(pd.Index([known.get(text, "") for text in lower], dtype="str"))
    return index.astype(np.int64)[column.codes], pd.Series(lower.take(column.codes).array)


def _rows(layout: Layout) -> Ints:
    """Number the rows of the files: events that were made of one row share its number."""
    if layout.events_per_row == 1:
        return np.arange(len(layout.events))
    numbered = layout.events.groupby(["file", "line"], sort=False, observed=True).ngroup()
    rows: Ints = numbered.to_numpy().astype(np.int64)
    return rows


def _positions(raw: pd.DataFrame) -> Ints:
    if "position" not in raw:
        return np.zeros(len(raw), np.int64)
    number = pd.to_numeric(raw["position"].astype("str").str.strip(), errors="coerce").to_numpy(np.float64)
    usable = np.isfinite(number) & (np.abs(number) < 2**53) & (number == np.floor(number))
    return np.where(usable, np.where(usable, number, 0).astype(np.int64), UNKNOWN)


def _timestamps(layout: Layout, user: TextColumn, position: Ints, config: CleaningConfig) -> tuple[Ints, int]:
    raw = layout.events
    if "timestamp" not in raw:
        return np.zeros(len(raw), np.int64), 0
    timestamp = parse_timestamps(raw["timestamp"], layout.unit, layout.spelling)
    if config.missing_timestamp == "delete":
        return timestamp, 0
    gaps = text_column(raw, "timestamp").is_empty()
    by_position = np.argsort(position, kind="stable")
    filled = np.empty_like(timestamp)
    filled[by_position] = interpolate_missing(timestamp[by_position], gaps[by_position], user.codes[by_position])
    return filled, int((gaps & (filled != UNKNOWN)).sum())


def _event_table(order: Ints, columns: dict[str, TextColumn], behavior: Ints, timestamp: Ints | None) -> pd.DataFrame:
    user = columns["user_id"].codes[order]
    begins = np.flatnonzero(np.diff(user, prepend=-1) != 0)
    sizes = np.diff(np.append(begins, len(order)))
    table = {
        "user_id": columns["user_id"].series(order),
        "item_id": columns["item_id"].series(order),
        "behavior": pd.Series(pd.Index(BEHAVIORS, dtype="str").take(behavior[order]).array),
        "timestamp": None if timestamp is None else timestamp[order],
        "position": np.arange(len(order)) - np.repeat(begins, sizes),
        "query": columns["query"].series(order),
        "device": columns["device"].series(order),
    }
    return pd.DataFrame({name: table[name] for name in EVENT_COLUMNS if table[name] is not None})


def log_facts(
    order: Ints, columns: dict[str, TextColumn], timestamp: Ints | None, items: pd.DataFrame, filled: int
) -> dict[str, int | float | str]:
    """Count what is worth knowing of a clean log.

    order: the events that are kept, sorted by user and time. columns: user_id, item_id and device; timestamp: int64 ms
    [events], None for a log without times. filled: times that were interpolated.
    """
    user, item = columns["user_id"].codes[order], columns["item_id"].codes[order]
    is_item = ~columns["item_id"].is_empty()[order]
    pair = user[is_item] * np.int64(len(columns["item_id"].texts)) + item[is_item]
    facts: dict[str, int | float | str] = {
        "users": int(np.count_nonzero(np.bincount(user))),
        "items in the item table": len(items),
        "items with an event": int(np.count_nonzero(np.bincount(item[is_item]))),
        "events without a device": int(columns["device"].is_empty()[order].sum()),
        "item events that repeat an earlier user and item": len(pair) - len(pd.unique(pair)),
        "items without a price": int(items["price"].isna().sum()),
        "items without a category": int((items["category_id"] == "").sum()),
        "items without a title": int((items["title"] == "").sum()),
    }
    if timestamp is not None:
        time = timestamp[order]
        together = (np.diff(time) == 0) & (np.diff(user) == 0)
        facts["events at the very time of the user's event before"] = int(together.sum())
        facts["times filled in by interpolation"] = filled
        facts["first event"], facts["last event"] = (
            str(pd.Timestamp(int(moment), unit="ms")) for moment in (time.min(), time.max())
        )
    return facts


def _reject_table(
    raw: pd.DataFrame, judged: Judgement, set_aside: pd.DataFrame, item_rejects: pd.DataFrame
) -> pd.DataFrame:
    table = pd.concat([set_aside, judged_table(raw, judged), item_rejects], ignore_index=True)
    return table.sort_values(["file", "line"], kind="stable", ignore_index=True)


def _behaviors_hint(rejects: pd.DataFrame, named: bool) -> str:
    """Say what to do about unknown behaviours; named: whether the log's values may be shown."""
    values = frequent_values(rejects, UNKNOWN_BEHAVIOR) if named else []
    # Only a value that the option can carry as it stands makes a command to copy.
    theirs = values[0] if values and re.fullmatch(r"[\w.-]+", values[0]) else "theirs"
    todo = f"say what they mean by --behaviors {theirs}=view,…"
    return f" ({', '.join(map(repr, values))}; {todo})" if values else f" ({todo})"


def _matches(column: TextColumn, patterns: tuple[str, ...]) -> Bools:
    if not patterns:
        return np.zeros(len(column.codes), bool)
    try:
        matching = re.compile("|".join(f"(?:{pattern})" for pattern in patterns))
    except re.error as error:
        raise InputError(f"non_products: {error} in {patterns!r}") from error
    found: Bools = np.array([matching.fullmatch(text) is not None for text in column.texts], bool)[column.codes]
    return found


def _blank(values: pd.Series, among: Bools) -> Bools:
    """Find the rows of a mask whose text is empty, without a look at the others."""
    rows = np.flatnonzero(among)
    blank = np.zeros(len(values), bool)
    blank[rows] = (values.iloc[rows].astype("str").str.strip() == "").to_numpy()
    return blank


def _moment(text: str, name: str) -> int:
    moment = parse_timestamps(pd.Series([text], dtype="str"), "ms")[0]
    if moment == UNKNOWN:
        raise InputError(f"cleaning.{name} is {text!r}, which is no time")
    return int(moment)


def _checked(schema: Any, table: pd.DataFrame) -> pd.DataFrame:
    try:
        valid: pd.DataFrame = schema.validate(table, lazy=True)
    except pandera.errors.SchemaErrors as error:
        first = error.failure_cases.iloc[0]
        raise AssertionError(f"cleaning broke the data contract: {first.to_dict()}") from error
    return valid
