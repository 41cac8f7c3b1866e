"""The order of events, and the repetitions that it shows."""

import numpy as np
import numpy.typing as npt
import pandas as pd

from recsys_tf.events.schema import BEHAVIORS
from recsys_tf.events.text_columns import Ints, TextColumn


def ordered(
    kept: Ints,
    columns: dict[str, TextColumn],
    behavior: Ints,
    timestamp: Ints,
    position: Ints,
    hashed: bool,
) -> Ints:
    """Sort events by user, time, position, and then as the file has them or by a hash that says nothing."""
    by_name = np.empty(len(columns["user_id"].texts), np.int64)
    by_name[np.argsort(columns["user_id"].texts.to_numpy(dtype=object), kind="stable")] = np.arange(len(by_name))
    keys: list[npt.NDArray[np.integer]] = [position[kept], timestamp[kept], by_name[columns["user_id"].codes[kept]]]
    if hashed:
        keys.insert(0, _hashes(kept, columns, behavior, timestamp))
    return kept[np.lexsort(keys)]


def _hashes(kept: Ints, columns: dict[str, TextColumn], behavior: Ints, timestamp: Ints) -> npt.NDArray[np.uint64]:
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


def repetitions(
    order: Ints,
    columns: dict[str, TextColumn],
    behavior: Ints,
    timestamp: Ints,
    window_ms: int,
) -> tuple[Ints, Ints]:
    """Find repetitions of one user, item, query and behaviour: at the same time, and within the window of the last one.

    timestamp: int64 ms [events], or positions in a log without times, where only a window of 0 makes sense.
    """
    if len(order) == 0:
        return order[:0], order[:0]
    item, query, user = (columns[name].codes[order] for name in ("item_id", "query", "user_id"))
    # Item and query exclude each other but for noise, and both are few: their pair has a number of its own.
    target = pd.factorize(item * np.int64(len(columns["query"].texts)) + query)[0]
    key = (user * np.int64(target.max() + 1) + target) * len(BEHAVIORS) + behavior[order]
    together = np.argsort(key, kind="stable")  # the order of time stays within each key
    again = key[together][1:] == key[together][:-1]
    gap = np.diff(timestamp[order][together])
    later = order[together][1:]
    near = again & (gap > 0) & (gap <= window_ms)
    return later[again & (gap == 0)], later[near]
