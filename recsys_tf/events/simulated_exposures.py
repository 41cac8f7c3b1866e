"""Ads in the simulated shop: who was shown what, when, and whether it was clicked and bought (article section 6.2).

An ad server knows no truth: half of what it shows is drawn by popularity from the whole shop, half from the category
that the user looked at last. Whether a user clicks is drawn by the judge, from the user's true state at that moment.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd

from recsys_tf.events import simulated_laws as laws
from recsys_tf.events.judge import Judge
from recsys_tf.events.simulated_laws import Floats, Ints

# An event is followed by an ad with this probability, so many milliseconds later.
AD_AFTER: Final = 0.60
DELAY_MS: Final = 400
# The ad is of the category that was looked at last.
SAME_CATEGORY: Final = 0.50
_TOPIC: Final = 21


@dataclass(frozen=True)
class Exposures:
    """The ad log (user_id, timestamp in ms, item_id, clicked, purchased), and the true probabilities (click, purchase)
    of its rows; both in order of user and time."""

    log: pd.DataFrame
    truth: pd.DataFrame


def draw_exposures(events: pd.DataFrame, users: pd.DataFrame, judge: Judge, seed: int) -> Exposures:
    """Draw the ads that people were shown; bots are shown none. events: genuine ones, by user and time."""
    random = laws.generator(seed, _TOPIC)
    people = set(users.loc[~users["is_bot"].astype(bool), "user_id"])
    shown = events["user_id"].isin(people).to_numpy() & (random.random(len(events)) < AD_AFTER)
    after = events[shown].reset_index(drop=True)
    item = judge.items.get_indexer(pd.Index(after["item_id"]))
    timestamp = after["timestamp"].to_numpy(np.int64) + DELAY_MS
    day = (timestamp - laws.LOG_START_MS) // laws.MS_PER_DAY
    # What the shop sells most: known to the ad server, and the same for all.
    every = judge.items.get_indexer(pd.Index(events["item_id"]))
    popularity = np.bincount(every[every >= 0], minlength=len(judge.items)).astype(np.float64)
    wanted = np.where(random.random(len(after)) < SAME_CATEGORY, _category(judge, item), -1)
    chosen = _draw(random.random(len(after)), wanted, day, popularity, judge)
    names = np.array([*judge.items], object)[chosen]
    click, buy = judge.click_and_buy(after["user_id"].tolist(), timestamp, names[:, None])
    clicked = random.random(len(after)) < click[:, 0]
    # Only what was clicked can be bought, so that both have the judge's probabilities.
    bought = clicked & (random.random(len(after)) * click[:, 0] < buy[:, 0])
    log = pd.DataFrame(
        {
            "user_id": after["user_id"],
            "timestamp": timestamp,
            "item_id": pd.Series(names, dtype="str"),
            "clicked": clicked.astype(np.int64),
            "purchased": bought.astype(np.int64),
        }
    )
    return Exposures(log, pd.DataFrame({"click": click[:, 0], "purchase": buy[:, 0]}))


def _category(judge: Judge, item: Ints) -> Ints:
    return np.where(item >= 0, judge.category[item], -1)


def _draw(uniform: Floats, category: Ints, day: Ints, sold: Floats, judge: Judge) -> Ints:
    """Draw one item that is on sale for each ad, by popularity, of a category or (-1) of any: [ads]."""
    chosen = np.zeros(len(uniform), np.int64)
    # Ads of one day and category draw from one table.
    number, group = np.unique(np.stack([day, category], axis=1), axis=0, return_inverse=True)
    order = np.argsort(group.ravel(), kind="stable")
    bounds = np.searchsorted(group.ravel()[order], np.arange(len(number) + 1))
    for at, (today, wanted) in enumerate(number.tolist()):
        ads = order[bounds[at] : bounds[at + 1]]
        fits = (judge.launch_day <= today) & ((judge.category == wanted) | (wanted < 0))
        weight = np.where(fits, sold + 1.0, 0.0)
        cumulated = np.cumsum(weight)
        chosen[ads] = np.searchsorted(cumulated, uniform[ads] * cumulated[-1], side="right")
    return chosen
