"""The simulated shop as a judge: how likely a user shown a list is to click on and to buy what stands in it.

The judge knows what is true (the folder truth/ beside a simulated log), not what a model believes. So the mean of its
probabilities is a simulated click-through and conversion rate (article section 10.4).
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from recsys_tf.errors import InputError
from recsys_tf.events import simulated_laws as laws
from recsys_tf.events.simulated_laws import Bools, Floats, Ints
from recsys_tf.events.simulated_shop import freshness
from recsys_tf.events.simulated_visits import start_distribution

# The user looks at the next rank with this probability (cascade of geometric attention).
ATTENTION: Final = 0.85
# Clicks that nothing explains, and clicks on just the right item of a category that is wanted for certain.
CLICK_ANYWAY: Final = 0.005
CLICK_AT_BEST: Final = 0.80
BUY_AT_BEST: Final = 0.35
# In the middle of a session, how much the user still wants of the category at hand.
STILL_WANTED: Final = 0.35

_FILES: Final = ("shop.json", "users.csv.gz", "interests.csv.gz", "steps.csv.gz")


@dataclass(frozen=True)
class _Timeline:
    """Rows of many users in order of user and time, found by both."""

    key: Ints

    @classmethod
    def of(cls, user: Ints, timestamp: Ints) -> "_Timeline":
        return cls(_user_and_time(user, timestamp))

    def last(self, user: Ints, timestamp: Ints, side: Any) -> tuple[Ints, Bools]:
        """Return each user's last row before the time (side "left") or up to it ("right"), and whether there is one."""
        row = np.searchsorted(self.key, _user_and_time(user, timestamp), side=side) - 1
        found = (row >= 0) & (self.key[row] >> 42 == user) & (user >= 0)
        return row, found


def _user_and_time(user: Ints, timestamp: Ints) -> Ints:
    # 42 bits of milliseconds reach to the year 2109.
    return (user << 42) + np.clip(timestamp, 0, (1 << 42) - 1)


@dataclass(frozen=True)
class Judge:
    """The truth of one simulated log, read by `Judge.load`."""

    routes: Ints
    category: Ints
    quality: Floats
    launch_day: Ints
    suits: Floats
    items: "pd.Index[Any]"
    users: "pd.Index[Any]"
    taste: Ints
    steps: _Timeline
    mission: Ints
    place: Ints
    periods: _Timeline
    interests: Ints
    weights: Floats
    average: Floats

    @classmethod
    def load(cls, truth: Path) -> "Judge":
        """Read the folder truth/ that `write_simulation` wrote.

        Raises InputError where it, or one of its files, is absent.
        """
        for name in _FILES:
            if not (truth / name).is_file():
                raise InputError("no such file; only a simulated log has a judge", file=truth / name)
        shop = json.loads((truth / "shop.json").read_text(encoding="utf-8"))
        # Bots want nothing; whoever asks about one gets the average user.
        people = pd.read_csv(truth / "users.csv.gz", keep_default_na=False).query("not is_bot")
        interests = pd.read_csv(truth / "interests.csv.gz")
        steps = pd.read_csv(truth / "steps.csv.gz")
        users = pd.Index(people["user_id"])
        routes, category = np.array(shop["routes"]), np.array(shop["items"]["category"])
        style = people["style"].map({name: code for code, name in enumerate(laws.STYLES)}).to_numpy()
        taste = (people["price_tier"].to_numpy() * len(laws.STYLES) + style).astype(np.int64)
        slots = len(laws.INTEREST_WEIGHTS)
        blocks = interests.iloc[::slots]
        share = np.bincount(interests["mission"], interests["weight"], minlength=len(routes))
        return cls(
            routes=routes,
            category=category,
            quality=np.array(shop["items"]["quality"]),
            launch_day=np.array(shop["items"]["launch_day"]),
            suits=_suitability(shop["items"], np.bincount(taste, minlength=laws.TIERS * len(laws.STYLES))),
            items=pd.Index(shop["items"]["item_id"]),
            users=users,
            taste=taste,
            steps=_Timeline.of(users.get_indexer(steps["user_id"]), steps["timestamp"].to_numpy()),
            mission=steps["mission"].to_numpy(),
            place=steps["place"].to_numpy(),
            periods=_Timeline.of(users.get_indexer(blocks["user_id"]), blocks["timestamp"].to_numpy()),
            interests=interests["mission"].to_numpy().reshape(-1, slots),
            weights=interests["weight"].to_numpy().reshape(-1, slots),
            average=_start_wishes(routes, share / share.sum(), len(shop["categories"])),
        )

    def click_and_buy(
        self, user_ids: Sequence[str], timestamps: npt.ArrayLike, item_ids: npt.ArrayLike
    ) -> tuple[Floats, Floats]:
        """Say how likely each shown item is clicked and bought, by the user's true state when the list is shown.

        `user_ids` [n]; `timestamps` [n], ms UTC: the state is the one just before that moment, so the time of the
        event that a list is meant to answer is right; `item_ids` [n, k], best first. Returns click and buy, float64
        [n, k] each, buy ≤ click ≤ 1. Items that are unknown, "" or not yet on sale get 0; an unknown user is judged as
        the average one.
        """
        time = np.asarray(timestamps, dtype=np.int64)
        shown = np.asarray(item_ids, dtype=object)
        user = self.users.get_indexer(pd.Index(user_ids))
        item = self.items.get_indexer(pd.Index(shown.ravel())).reshape(shown.shape)
        wish = np.take_along_axis(self._wishes(user, time), self.category[item], axis=1)
        # The last row of `suits` is the average user's, which is where -1 points.
        suits = self.suits[np.where(user >= 0, self.taste[user], -1)[:, None], item]
        fresh = freshness(self.launch_day[item], (time[:, None] - laws.LOG_START_MS) // laws.MS_PER_DAY)
        on_sale = (item >= 0) & (fresh > 0)
        novelty = 0.8 + 0.2 * (fresh - 1.0) / laws.FRESH_BOOST
        liked = wish * suits * (0.5 + 0.5 * self.quality[item]) * novelty
        seen = ATTENTION ** np.arange(shown.shape[1])
        click = np.where(on_sale, seen * (CLICK_ANYWAY + (CLICK_AT_BEST - CLICK_ANYWAY) * liked), 0.0)
        return click, click * BUY_AT_BEST * suits * self.quality[item]

    def _wishes(self, user: Ints, time: Ints) -> Floats:
        """What each user wants next, as a distribution over categories: [n, categories]."""
        step, begun = self.steps.last(user, time, "left")
        period, known = self.periods.last(user, time, "right")
        mission, place = self.mission[step], self.place[step]
        in_session = begun & (self.steps.key[step] % (1 << 42) // laws.MS_PER_HOUR == time // laws.MS_PER_HOUR)

        stay = np.where(in_session, STILL_WANTED, 0.0)
        in_step = np.where(in_session, (1.0 - STILL_WANTED) * (1.0 - laws.SESSION_END), 0.0)
        go_on = in_step + (1.0 - stay - in_step) * np.where(begun, laws.RESUME, 0.0)
        start_anew = 1.0 - stay - go_on

        wishes = np.where(known, 0.0, start_anew)[:, None] * self.average
        rows, length = np.arange(len(user)), self.routes.shape[1]
        wishes[rows, self.routes[mission, place]] += stay
        wishes[rows, self.routes[mission, (place + 1) % length]] += go_on * (1.0 - laws.SKIP)
        wishes[rows, self.routes[mission, (place + 2) % length]] += go_on * laws.SKIP
        for slot in range(self.interests.shape[1]):
            weight = np.where(known, start_anew * self.weights[period, slot], 0.0)
            for start, chance in enumerate(start_distribution()):
                wishes[rows, self.routes[self.interests[period, slot], start]] += weight * chance
        return wishes


def _start_wishes(routes: Ints, missions: Floats, categories: int) -> Floats:
    """Where sessions start that pick a mission from this distribution [missions]: [categories]."""
    weight = missions[:, None] * start_distribution()[None, :]
    return np.bincount(routes.ravel(), weight.ravel(), minlength=categories).astype(np.float64)


def _suitability(items: dict[str, Any], tastes: Ints) -> Floats:
    """How well each item suits each taste, in 0..1, and last the average over users: [tiers × styles + 1, items]."""
    tier = laws.TIER_MATCH[np.abs(np.arange(laws.TIERS)[:, None] - np.array(items["price_tier"])[None, :])]
    alike = np.array(laws.STYLES)[:, None] == np.array(items["style"])[None, :]
    each = (tier[:, None, :] * np.where(alike, 1.0, 1.0 / laws.STYLE_MATCH)).reshape(-1, tier.shape[1])
    return np.concatenate([each, np.average(each, axis=0, weights=tastes)[None, :]])
