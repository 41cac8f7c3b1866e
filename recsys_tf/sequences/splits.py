"""The split into training, validation and test: the first thing done to a clean log, before anything is fitted."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from recsys_tf.config import SplitConfig
from recsys_tf.errors import InputError
from recsys_tf.events.schema import has_time

TRAINING, VALIDATION, TEST = 0, 1, 2
LEFT_OUT = 3


@dataclass(frozen=True)
class Split:
    """Which side each event is on.

    side: int8 [events], one of TRAINING, VALIDATION, TEST, LEFT_OUT; it never falls within a user's sequence.
    method: the method really used: a log without times cannot be cut in time.
    validation_from, test_from: the cut points in milliseconds UTC (temporal only), else None.
    """

    side: npt.NDArray[np.int8]
    method: str
    validation_from: int | None
    test_from: int | None


def split_events(events: pd.DataFrame, config: SplitConfig) -> Split:
    """Divide an event table (sorted by user and position) into training, validation and test.

    Raises InputError when a side would be empty, and for a time that cannot be read.
    """
    if config.method == "leave_new_item_out":
        split = leave_new_item_out_split(events)
    elif config.method == "temporal" and has_time(events):
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
    timestamp = events["timestamp"].to_numpy()
    in_order = np.sort(timestamp)
    test_share = config.test_share
    if config.test_from:
        test_share = float((timestamp >= _milliseconds(config.test_from)).mean())
    if not 0 < test_share < 1 or not 0 <= config.validation_share < 1 - test_share:
        raise InputError(
            f"validation share {config.validation_share} and test share {test_share:g} leave nothing to train on "
            "or to test"
        )
    validation_from, test_from = (
        int(in_order[min(int(len(in_order) * share), len(in_order) - 1)])
        for share in (1 - config.validation_share - test_share, 1 - test_share)
    )
    if config.test_from:
        test_from = _milliseconds(config.test_from)
    side = (timestamp >= validation_from).astype(np.int8) + (timestamp >= test_from).astype(np.int8)
    return Split(side, "temporal", validation_from, test_from)


def _milliseconds(time: str) -> int:
    try:
        parsed = pd.Timestamp(time)
    except ValueError as error:
        raise InputError(f"split.test_from: {time!r} is no time such as 2014-04-07T00:00:00") from error
    parsed = parsed.tz_localize("UTC") if parsed.tzinfo is None else parsed.tz_convert("UTC")
    return int(parsed.value // 1_000_000)


def leave_one_out_split(events: pd.DataFrame) -> Split:
    """Keep each user's last item event for test and the one before it for validation: the protocol of the papers.

    Users with fewer than three item events stay in training as a whole. Searches belong to the event they precede.
    """
    user = pd.factorize(events["user_id"])[0]
    is_item = (events["item_id"] != "").to_numpy()
    left = _counted_from_the_end(user, is_item)
    side = np.where(left <= 0, TEST, np.where(left == 1, VALIDATION, TRAINING))
    side[np.bincount(user, weights=is_item)[user] < 3] = TRAINING
    return Split(side.astype(np.int8), "leave_one_out", None, None)


def leave_new_item_out_split(events: pd.DataFrame) -> Split:
    """Keep the last event whose item is new to its user for test, and the one before it for validation.

    For logs in which a purchase follows the views of the same item: what comes again is easy to guess. What follows a
    user's test event is on no side. Users with fewer than three different items have no validation event, those with
    fewer than two no test event either.
    """
    user = pd.factorize(events["user_id"])[0]
    item = events["item_id"].to_numpy()
    is_new = ~pd.DataFrame({"user": user, "item": item}).duplicated().to_numpy() & (item != "")
    different = np.bincount(user, weights=is_new)[user]
    left = _counted_from_the_end(user, is_new)
    # Repeats before the test event come after the validation event.
    before_test = (left == 0) | ((left == 1) & is_new)
    side = np.where(before_test & (different > 2), VALIDATION, TRAINING)
    side[is_new & (left == 0) & (different > 1)] = TEST
    side[(left < 0) & (different > 1)] = LEFT_OUT
    return Split(side.astype(np.int8), "leave_new_item_out", None, None)


def _counted_from_the_end(user: npt.NDArray[np.int64], counted: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64]:
    """Number each user's counted events from the end, 0 for the newest; others carry the number of what follows them.

    After the newest it is -1. user, counted: [events], user after user.
    """
    counts = np.bincount(user, weights=counted).astype(np.int64)
    number: npt.NDArray[np.int64] = np.cumsum(counted) - counted
    first = np.concatenate([[0], np.cumsum(counts)[:-1]])
    return np.asarray(counts[user] - 1 - (number - first[user]))
