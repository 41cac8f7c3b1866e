"""Which rows of a log are kept: rules only, nothing fitted (article sections 3.2.1 and 10.3).

Every event is kept or rejected for the first reason that applies, in the order of `_judge`; read = kept + rejected is
checked before anything is returned.
"""

import re
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pandas as pd
import pandera.errors

from recsys_tf.config import CleaningConfig
from recsys_tf.errors import InputError
from recsys_tf.events.layouts import Layout
from recsys_tf.events.raw_file import REJECT_COLUMNS, reject_rows
from recsys_tf.events.schema import BEHAVIOR_ALIASES, BEHAVIORS, EVENT_COLUMNS, EVENTS, ITEMS
from recsys_tf.events.timestamps import UNKNOWN, interpolate_missing, parse_timestamps

Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]

_SEARCH: Final = BEHAVIORS.index("search")


@dataclass(frozen=True)
class Account:
    """What became of the rows: read = kept + rejected, the latter by reason."""

    read: int
    kept: int
    reasons: dict[str, int]

    @property
    def rejected(self) -> int:
        """Rows that are not kept."""
        return sum(self.reasons.values())


@dataclass(frozen=True)
class CleanLog:
    """The two clean tables, every rejected row, and the account.

    events follow the schema EVENTS, sorted by user, time and position; items follow ITEMS, sorted by item_id.
    rejects: file, line, column, value, reason. facts: what is no reason to reject and yet worth knowing.
    """

    events: pd.DataFrame
    items: pd.DataFrame
    rejects: pd.DataFrame
    account: Account
    item_account: Account
    facts: dict[str, int | float | str]


@dataclass(frozen=True)
class _Column:
    """A column of text: codes [events] into the distinct texts, which are stripped of white space around them."""

    codes: Ints
    texts: "pd.Index[str]"

    def is_empty(self) -> Bools:
        empty: Bools = np.asarray(self.texts == "")[self.codes]
        return empty

    def series(self, rows: Ints) -> pd.Series:
        taken: pd.Series = pd.Series(self.texts.take(self.codes[rows]).array)
        return taken


class _Judgement:
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


def clean(layout: Layout, set_aside: pd.DataFrame, aliases: dict[str, str], config: CleaningConfig) -> CleanLog:
    """Apply every rule to a log in canonical columns.

    set_aside: rows that reading could not divide into fields. aliases: the log's own names of behaviours → ours.
    Raises InputError when no row is usable.
    """
    raw = layout.events
    columns = {name: _column(raw, name) for name in ("user_id", "item_id", "query", "device")}
    behavior, spelled = _behaviors(raw, aliases)
    has_time = "timestamp" in raw
    position = _positions(raw)
    timestamp, filled = _timestamps(layout, columns["user_id"], position, config)

    judged = _Judgement(len(raw))
    _judge(judged, layout, columns, behavior, spelled, timestamp, has_time, position, config)
    order = _ordered(np.flatnonzero(~judged.rejected), columns, behavior, timestamp, position, layout, config)
    same, near = _duplicates(order, columns, behavior, timestamp, has_time, config)
    show = _shown(raw, "timestamp" if has_time else "position")
    for rows, reason in ((same, "exact duplicate"), (near, "near-simultaneous duplicate")):
        mask = np.zeros(len(raw), bool)
        mask[rows] = True
        judged.reject(mask, "timestamp" if has_time else "position", show, reason)
    order = order[~judged.rejected[order]]

    items, item_rejects, item_account = _clean_items(layout, columns["item_id"], order)
    rejects = _reject_table(raw, judged, set_aside, item_rejects)
    unreadable = set_aside["reason"].replace(r"^\d+ fields instead of \d+$", "wrong number of fields", regex=True)
    unreadable = unreadable.replace(r"^no JSON .*", "no JSON", regex=True)
    reasons = {str(reason): int(rows) for reason, rows in unreadable.value_counts().items()}
    for rows, _, _, reason in judged.tables:
        reasons[reason] = reasons.get(reason, 0) + len(rows)
    account = Account(len(raw) + len(set_aside), len(order), reasons)
    _balance(account)
    if len(order) == 0:
        most = max(reasons, key=lambda reason: reasons[reason])
        where = str(rejects["file"].iloc[0])
        raise InputError(
            f"no usable row: {account.read:,} read, {account.rejected:,} rejected, most often: {most}", file=where
        )
    events = _event_table(order, columns, behavior, timestamp if has_time else None)
    facts = {**layout.facts, **_facts(events, items, filled)}
    return CleanLog(_checked(EVENTS, events), _checked(ITEMS, items), rejects, account, item_account, facts)


def _judge(
    judged: _Judgement,
    layout: Layout,
    columns: dict[str, _Column],
    behavior: Ints,
    spelled: pd.Series,
    timestamp: Ints,
    has_time: bool,
    position: Ints,
    config: CleaningConfig,
) -> None:
    raw = layout.events
    search = behavior == _SEARCH
    judged.reject(columns["user_id"].is_empty(), "user_id", _shown(raw, "user_id"), "missing user_id")
    missing = (spelled == "").to_numpy()
    judged.reject(missing, "behavior", _shown(raw, "behavior"), "missing behavior")
    judged.reject(behavior < 0, "behavior", _shown(raw, "behavior"), "unknown behavior")
    judged.reject(columns["item_id"].is_empty() & ~search, "item_id", _shown(raw, "item_id"), "missing item_id")
    judged.reject(columns["query"].is_empty() & search, "query", _shown(raw, "query"), "search without words")
    for rule in layout.rules:
        judged.reject(rule.rows, rule.column, _shown(raw, rule.column), rule.reason)
    no_product = _matches(columns["item_id"], (*layout.no_products, *config.non_products)) & ~search
    judged.reject(no_product, "item_id", _shown(raw, "item_id"), "not a product")
    if has_time:
        show = _shown(raw, "timestamp")
        empty = _column(raw, "timestamp").is_empty()
        unknown = timestamp == UNKNOWN
        judged.reject(unknown & empty, "timestamp", show, "missing timestamp")
        judged.reject(unknown, "timestamp", show, "unparseable timestamp")
        earliest, latest = (_moment(getattr(config, name), name) for name in ("earliest", "latest"))
        judged.reject((timestamp < earliest) | (timestamp > latest), "timestamp", show, "impossible timestamp")
    else:
        judged.reject(position == UNKNOWN, "position", _shown(raw, "position"), "missing or unparseable position")
    if "price" in raw:
        price = pd.to_numeric(raw["price"].astype("str"), errors="coerce").to_numpy(np.float64)
        judged.reject(price < 0, "price", _shown(raw, "price"), "price below zero")
        if layout.zero_price_is_bad:
            judged.reject(price == 0, "price", _shown(raw, "price"), "price of zero")
    if config.missing_device == "delete" and "device" in raw:
        judged.reject(columns["device"].is_empty(), "device", _shown(raw, "device"), "missing device")


def _column(raw: pd.DataFrame, name: str) -> _Column:
    if name not in raw:
        return _Column(np.zeros(len(raw), np.int64), pd.Index([""], dtype="str"))
    values = raw[name]
    if isinstance(values.dtype, pd.CategoricalDtype):
        codes, texts = pd.factorize(pd.Series(values.cat.categories, dtype="str").str.strip())
        return _Column(codes.astype(np.int64)[values.cat.codes.to_numpy()], pd.Index(texts, dtype="str"))
    codes, texts = pd.factorize(values.str.strip())
    return _Column(codes.astype(np.int64), pd.Index(texts, dtype="str"))


def _behaviors(raw: pd.DataFrame, aliases: dict[str, str]) -> tuple[Ints, pd.Series]:
    """Return the index of each event's behaviour in BEHAVIORS, -1 for none of them, and its lower-case spelling."""
    column = _column(raw, "behavior")
    known = {**BEHAVIOR_ALIASES, **{name.lower(): name for name in BEHAVIORS}}
    known |= {theirs.lower(): ours for theirs, ours in aliases.items()}
    lower = column.texts.str.lower()
    index = pd.Index(BEHAVIORS).get_indexer(pd.Index([known.get(text, "") for text in lower], dtype="str"))
    return index.astype(np.int64)[column.codes], pd.Series(lower.take(column.codes).array)


def _positions(raw: pd.DataFrame) -> Ints:
    if "position" not in raw:
        return np.zeros(len(raw), np.int64)
    number = pd.to_numeric(raw["position"].astype("str").str.strip(), errors="coerce").to_numpy(np.float64)
    usable = np.isfinite(number) & (np.abs(number) < 2**53) & (number == np.floor(number))
    return np.where(usable, np.where(usable, number, 0).astype(np.int64), UNKNOWN)


def _timestamps(layout: Layout, user: _Column, position: Ints, config: CleaningConfig) -> tuple[Ints, int]:
    raw = layout.events
    if "timestamp" not in raw:
        return np.zeros(len(raw), np.int64), 0
    timestamp = parse_timestamps(raw["timestamp"], layout.unit)
    if config.missing_timestamp == "delete":
        return timestamp, 0
    gaps = _column(raw, "timestamp").is_empty()
    by_position = np.argsort(position, kind="stable")
    filled = np.empty_like(timestamp)
    filled[by_position] = interpolate_missing(timestamp[by_position], gaps[by_position], user.codes[by_position])
    return filled, int((gaps & (filled != UNKNOWN)).sum())


def _ordered(
    kept: Ints,
    columns: dict[str, _Column],
    behavior: Ints,
    timestamp: Ints,
    position: Ints,
    layout: Layout,
    config: CleaningConfig,
) -> Ints:
    """Sort events by user, time, position, and then as the file has them or by a hash that says nothing."""
    by_name = np.empty(len(columns["user_id"].texts), np.int64)
    by_name[np.argsort(columns["user_id"].texts.to_numpy(dtype=object), kind="stable")] = np.arange(len(by_name))
    keys: list[npt.NDArray[np.integer]] = [position[kept], timestamp[kept], by_name[columns["user_id"].codes[kept]]]
    if "hash" in (config.simultaneous_order, layout.simultaneous_order):
        keys.insert(0, _hashes(kept, columns, behavior, timestamp))
    return kept[np.lexsort(keys)]


def _hashes(kept: Ints, columns: dict[str, _Column], behavior: Ints, timestamp: Ints) -> npt.NDArray[np.uint64]:
    parts = [
        pd.util.hash_array(columns[name].texts.to_numpy(dtype=object))[columns[name].codes[kept]]
        for name in ("user_id", "item_id", "query")
    ]
    parts.append(pd.util.hash_array(behavior[kept]))
    parts.append(pd.util.hash_array(timestamp[kept]))
    mixed = np.zeros(len(kept), np.uint64)
    for part in parts:
        mixed = mixed * np.uint64(6364136223846793005) + part
    return pd.util.hash_array(mixed)


def _duplicates(
    order: Ints,
    columns: dict[str, _Column],
    behavior: Ints,
    timestamp: Ints,
    has_time: bool,
    config: CleaningConfig,
) -> tuple[Ints, Ints]:
    """Find repetitions of one user, item, query and behaviour: at the same time, and within the window of the last one.

    A log without times can tell neither: there, every repetition is an event of its own.
    """
    if not has_time or len(order) == 0:
        return order[:0], order[:0]
    item, query, user = (columns[name].codes[order] for name in ("item_id", "query", "user_id"))
    # Item and query exclude each other but for noise, and both are few: their pair has a number of its own.
    target = pd.factorize(item * np.int64(len(columns["query"].texts)) + query)[0]
    key = (user * np.int64(target.max() + 1) + target) * len(BEHAVIORS) + behavior[order]
    together = np.argsort(key, kind="stable")  # the order of time stays within each key
    again = key[together][1:] == key[together][:-1]
    gap = np.diff(timestamp[order][together])
    later = order[together][1:]
    near = again & (gap > 0) & (gap <= config.duplicate_window_ms)
    return later[again & (gap == 0)], later[near]


def _clean_items(layout: Layout, item: _Column, order: Ints) -> tuple[pd.DataFrame, pd.DataFrame, Account]:
    """Build the item table: from item files, else each item's first known value on an event; every item has a row."""
    given = layout.items
    judged = _Judgement(len(given))
    item_id = given["item_id"].str.strip()
    price = pd.to_numeric(given["price"].str.strip(), errors="coerce").to_numpy(np.float64)
    judged.reject((item_id == "").to_numpy(), "item_id", _shown(given, "item_id"), "missing item_id")
    judged.reject(price < 0, "price", _shown(given, "price"), "price below zero")
    bad_price = np.isnan(price) & (given["price"].str.strip() != "").to_numpy()
    judged.reject(bad_price | np.isinf(price), "price", _shown(given, "price"), "unparseable price")
    standing = ~judged.rejected
    twice = np.zeros(len(given), bool)
    twice[standing] = item_id[standing].duplicated().to_numpy()
    judged.reject(twice, "item_id", _shown(given, "item_id"), "this item stands in an earlier row")
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
                rows[name].notna() & (rows[name] != ""), _first_known(layout, item, order, name)
            )
    rows = rows.astype({"price": np.float64}).fillna({"category_id": "", "title": ""})
    rows = rows.astype({"category_id": "str", "title": "str"}).reset_index().sort_values("item_id", ignore_index=True)
    kept = int((~judged.rejected).sum())
    account = Account(len(given), kept, {reason: len(at) for at, _, _, reason in judged.tables})
    _balance(account)
    return rows.astype({"item_id": "str"}), _judged_table(given, judged), account


def _first_known(layout: Layout, item: _Column, order: Ints, name: str) -> pd.Series:
    """Each item's first known value in time: a rule that never looks ahead."""
    timestamp = parse_timestamps(layout.events["timestamp"], layout.unit) if "timestamp" in layout.events else None
    by_time = order if timestamp is None else order[np.argsort(timestamp[order], kind="stable")]
    column = _column(layout.events, name)
    empty = column.is_empty()[by_time]
    by_time = by_time[~empty]
    _, first = np.unique(item.codes[by_time], return_index=True)
    rows = by_time[first]
    values = column.series(rows)
    if name == "price":
        values = pd.to_numeric(values, errors="coerce").astype(np.float64)
        values = values.where(np.isfinite(values))
    return pd.Series(values.to_numpy(), index=item.texts.take(item.codes[rows]))


def _event_table(order: Ints, columns: dict[str, _Column], behavior: Ints, timestamp: Ints | None) -> pd.DataFrame:
    user = columns["user_id"].codes[order]
    begins = np.flatnonzero(np.diff(user, prepend=-1) != 0)
    sizes = np.diff(np.append(begins, len(order)))
    is_search = behavior[order] == _SEARCH
    empty = pd.Index(["", *columns["item_id"].texts], dtype="str")
    words = pd.Index(["", *columns["query"].texts], dtype="str")
    table = {
        "user_id": columns["user_id"].series(order),
        # A search has words and no item, any other event an item and no words, whatever the log put there.
        "item_id": pd.Series(empty.take(np.where(is_search, 0, 1 + columns["item_id"].codes[order])).array),
        "behavior": pd.Series(pd.Index(BEHAVIORS, dtype="str").take(behavior[order]).array),
        "timestamp": None if timestamp is None else timestamp[order],
        "position": np.arange(len(order)) - np.repeat(begins, sizes),
        "query": pd.Series(words.take(np.where(is_search, 1 + columns["query"].codes[order], 0)).array),
        "device": columns["device"].series(order),
    }
    return pd.DataFrame({name: table[name] for name in EVENT_COLUMNS if table[name] is not None})


def _facts(events: pd.DataFrame, items: pd.DataFrame, filled: int) -> dict[str, int | float | str]:
    item_events = events[events["item_id"] != ""]
    user, item = pd.factorize(item_events["user_id"])[0], pd.factorize(item_events["item_id"])[0]
    pair = user.astype(np.int64) * (int(item.max(initial=0)) + 1) + item
    facts: dict[str, int | float | str] = {
        "users": int(events["user_id"].nunique()),
        "items in the item table": len(items),
        "items with an event": int(item_events["item_id"].nunique()),
        "events without a device": int((events["device"] == "").sum()),
        "item events that repeat an earlier user and item": len(pair) - len(pd.unique(pair)),
        "items without a price": int(items["price"].isna().sum()),
        "items without a category": int((items["category_id"] == "").sum()),
        "items without a title": int((items["title"] == "").sum()),
    }
    if "timestamp" in events:
        time, owner = events["timestamp"].to_numpy(), pd.factorize(events["user_id"])[0]
        together = (np.diff(time) == 0) & (np.diff(owner) == 0)
        facts["events at the very time of the user's event before"] = int(together.sum())
        facts["times filled in by interpolation"] = filled
        facts["first event"], facts["last event"] = (
            str(pd.Timestamp(int(moment), unit="ms")) for moment in (time.min(), time.max())
        )
    return facts


def _reject_table(
    raw: pd.DataFrame, judged: _Judgement, set_aside: pd.DataFrame, item_rejects: pd.DataFrame
) -> pd.DataFrame:
    table = pd.concat([set_aside, _judged_table(raw, judged), item_rejects], ignore_index=True)
    return table.sort_values(["file", "line"], kind="stable", ignore_index=True)


def _judged_table(raw: pd.DataFrame, judged: _Judgement) -> pd.DataFrame:
    parts = [reject_rows("", [], "", "", "")]
    for rows, column, values, reason in judged.tables:
        part = reject_rows("", raw["line"].to_numpy()[rows], column, values, reason)
        parts.append(part.assign(file=raw["file"].iloc[rows].astype("str").to_numpy()))
    return pd.concat(parts, ignore_index=True)[list(REJECT_COLUMNS)]


def _shown(raw: pd.DataFrame, name: str) -> Any:
    """Return a function that gives the raw text of chosen rows, "" where the log has no such column."""

    def values(rows: Ints) -> Any:
        return raw[name].iloc[rows].astype("str").to_numpy() if name in raw else ""

    return values


def _matches(column: _Column, patterns: tuple[str, ...]) -> Bools:
    if not patterns:
        return np.zeros(len(column.codes), bool)
    try:
        matching = re.compile("|".join(f"(?:{pattern})" for pattern in patterns))
    except re.error as error:
        raise InputError(f"non_products: {error} in {patterns!r}") from error
    found: Bools = np.array([matching.fullmatch(text) is not None for text in column.texts], bool)[column.codes]
    return found


def _moment(text: str, name: str) -> int:
    moment = parse_timestamps(pd.Series([text], dtype="str"), "ms")[0]
    if moment == UNKNOWN:
        raise InputError(f"cleaning.{name} is {text!r}, which is no time")
    return int(moment)


def _balance(account: Account) -> None:
    if account.read != account.kept + account.rejected:
        raise AssertionError(f"rows got lost: {account}")


def _checked(schema: Any, table: pd.DataFrame) -> pd.DataFrame:
    try:
        valid: pd.DataFrame = schema.validate(table, lazy=True)
    except pandera.errors.SchemaErrors as error:
        first = error.failure_cases.iloc[0]
        raise AssertionError(f"cleaning broke the data contract: {first.to_dict()}") from error
    return valid
