"""The dirt of the simulated log: copies, near copies, aliases, missing devices and malformed rows of every kind."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from recsys_tf.config import SimulateConfig
from recsys_tf.events import simulated_laws as laws
from recsys_tf.events.simulated_laws import Ints, Texts

HEADER: Final = "user_id,item_id,behavior,timestamp,query,device"
ALIAS_SHARE: Final = 0.01
NO_DEVICE_SHARE: Final = 0.02
NEAR_COPY_MS: Final = 800

MALFORMED: Final = (
    "no user",
    "no item",
    "unknown behaviour",
    "unparseable time",
    "time too early",
    "time too late",
    "search without words",
    "too few fields",
    "too many fields",
)
COPIES: Final = ("exact copy", "near copy")

_ALIASES: Final = {"view": "pv", "purchase": "buy", "favorite": "fav", "cart": "addtocart"}


@dataclass(frozen=True)
class Log:
    """The lines of the log without its header [rows], and which of them are dirt: line number in the file and kind."""

    lines: Texts
    dirt: pd.DataFrame


def soil(config: SimulateConfig, events: pd.DataFrame) -> Log:
    """Write genuine events, in order of time, as lines of CSV and put copies and malformed rows between them."""
    rng = laws.generator(config.seed, 7)
    rows = {name: events[name].to_numpy(dtype=object) for name in ("user_id", "item_id", "behavior", "query", "device")}
    rows["behavior"] = np.where(
        rng.random(len(events)) < ALIAS_SHARE,
        events["behavior"].replace(_ALIASES).to_numpy(dtype=object),
        rows["behavior"],
    )
    rows["device"] = np.where(rng.random(len(events)) < NO_DEVICE_SHARE, "", rows["device"])
    rows["timestamp"] = events["timestamp"].to_numpy().astype(str).astype(object)
    clean_share = 1.0 - config.duplicate_share - config.malformed_share
    copies = _copies(rows, events, round(len(events) * config.duplicate_share / clean_share), rng)
    malformed = _malformed(rows, round(len(events) * config.malformed_share / clean_share), rng)

    own_time = events["timestamp"].to_numpy()
    time = np.concatenate([own_time, copies.time, own_time[malformed.source]])
    lines = np.concatenate([_lines(rows), copies.lines, malformed.lines])
    kind = np.concatenate([np.full(len(events), ""), copies.kind, malformed.kind])
    # Stable: whatever is made of a row comes after that row.
    order = np.argsort(time, kind="stable")
    kind = kind[order]
    dirty = np.flatnonzero(kind != "")
    # Lines are counted from 1, and the header is the first.
    return Log(lines[order], pd.DataFrame({"line": dirty + 2, "kind": pd.Series(kind[dirty], dtype="str")}))


@dataclass(frozen=True)
class _Dirt:
    source: Ints
    time: Ints
    lines: Texts
    kind: Texts


def csv_lines(columns: Sequence[Texts | pd.Series]) -> Texts:
    """Join columns of text that needs no quoting, [rows] each, to lines of CSV [rows]."""
    lines: Texts = pc.binary_join_element_wise(*[pa.array(column, pa.string()) for column in columns], ",").to_numpy(
        zero_copy_only=False
    )
    return lines


def _lines(rows: dict[str, Texts]) -> Texts:
    return csv_lines([rows[name] for name in HEADER.split(",")])


def _taken(rows: dict[str, Texts], source: Ints) -> dict[str, Texts]:
    return {name: column[source] for name, column in rows.items()}


def _copies(rows: dict[str, Texts], events: pd.DataFrame, number: int, rng: np.random.Generator) -> _Dirt:
    source = rng.integers(0, len(events), number)
    near = rng.random(number) < 0.5
    time = events["timestamp"].to_numpy()[source] + np.where(near, rng.integers(1, NEAR_COPY_MS + 1, number), 0)
    copied = _taken(rows, source)
    copied["timestamp"] = time.astype(str).astype(object)
    return _Dirt(source, time, _lines(copied), np.where(near, COPIES[1], COPIES[0]))


def _malformed(rows: dict[str, Texts], number: int, rng: np.random.Generator) -> _Dirt:
    source = rng.integers(0, len(rows["user_id"]), number)
    # In turn rather than by chance, so that even a short log has every kind.
    kind = np.resize(np.array(MALFORMED, dtype=object), number)
    spoilt = _taken(rows, source)

    def spoil(name: str, column: str, value: Texts | str) -> None:
        spoilt[column] = np.where(kind == name, value, spoilt[column])

    spoil("no user", "user_id", "")
    spoil("no item", "item_id", "")
    spoil("no item", "behavior", "view")
    spoil("no item", "query", "")
    spoil("unknown behaviour", "behavior", "hover")
    spoil("unparseable time", "timestamp", "yesterday")
    spoil("time too early", "timestamp", rng.integers(0, 100_000, number).astype(str).astype(object))
    late = pd.Timestamp("2200-01-01").value // 1_000_000 + rng.integers(0, laws.MS_PER_DAY, number)
    spoil("time too late", "timestamp", late.astype(str).astype(object))
    spoil("search without words", "item_id", "")
    spoil("search without words", "behavior", "search")
    spoil("search without words", "query", "")
    lines = _lines(spoilt)
    short = spoilt["user_id"] + "," + spoilt["item_id"] + "," + spoilt["behavior"]
    lines = np.where(kind == "too few fields", short, lines)
    lines = np.where(kind == "too many fields", lines + ",0,0", lines)
    return _Dirt(source, np.empty(0, np.int64), lines, kind)
