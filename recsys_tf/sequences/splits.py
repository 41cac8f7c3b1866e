"""The split into training, validation and test: the first thing done to a clean log, before anything is fitted."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from recsys_tf.config import SplitConfig
from recsys_tf.errors import InputError
from recsys_tf.events.schema import has_time

TRAINING, VALIDATION, TEST = 0, 1, 2


@dataclass(frozen=True)
class Split:
    """Which side each event is on.

    side: int8 [events], one of TRAINING, VALIDATION, TEST; it never falls within a user's sequence.
    method: the method really used: a log without times cannot be cut in time.
    validation_from, test_from: the cut points in milliseconds UTC (temporal only), else None.
    """

    side: npt.NDArray[np.int8]
    method: str
    validation_from: int | None
    test_from: int | None


def split_events(events: pd.DataFrame, config: SplitConfig) -> Split:
    """Divide an event table (sorted by user and position) into training, validation and test.

    Raises InputError when a side would be empty.
    """
    if config.method == "temporal" and has_time(events):
        split = temporal_split(events, config)
    else:
        split = leave_one_out_split(events)
    for side, name in ((TRAINING, "training"), (TEST, "test")):
        if not (split.side == side).any():
            raise InputError(
                f"a {split.method} split of {len(events):,} events leaves the {name} side empty: "
                "the log needs more events, users or days"
            )
    return split


def temporal_split(events: pd.DataFrame, config: SplitConfig) -> Split:
    """Cut the whole log at two points in time, as a shop would: what comes later is never seen in training.

    Events that share a cut's timestamp all fall on its later side.
    """
    if not 0 < config.test_share < 1 or not 0 <= config.validation_share < 1 - config.test_share:
        raise InputError(
            f"validation share {config.validation_share} and test share {config.test_share} leave nothing to train on"
        )
    timestamp = events["timestamp"].to_numpy()
    in_order = np.sort(timestamp)
    validation_from, test_from = (
        int(in_order[min(int(len(in_order) * share), len(in_order) - 1)])
        for share in (1 - config.validation_share - config.test_share, 1 - config.test_share)
    )
    side = (timestamp >= validation_from).astype(np.int8) + (timestamp >= test_from).astype(np.int8)
    return Split(side, "temporal", validation_from, test_from)


def leave_one_out_split(events: pd.DataFrame) -> Split:
    """Keep each user's last item event for test and the one before it for validation: the protocol of the papers.

    Users with fewer than three item events stay in training as a whole. Searches belong to the event they precede.
    """
    user = pd.factorize(events["user_id"])[0]
    is_item = (events["item_id"] != "").to_numpy()
    counts = np.bincount(user, weights=is_item).astype(np.int64)
    # 0 for the user's newest item event, 1 for the one before, …; a search carries the number of what follows it.
    number: npt.NDArray[np.int64] = np.cumsum(is_item) - is_item
    first = np.concatenate([[0], np.cumsum(counts)[:-1]])
    left = counts[user] - 1 - (number - first[user])
    side = np.where(left <= 0, TEST, np.where(left == 1, VALIDATION, TRAINING))
    side[counts[user] < 3] = TRAINING
    return Split(side.astype(np.int8), "leave_one_out", None, None)
