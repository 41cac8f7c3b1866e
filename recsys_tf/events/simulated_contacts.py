"""Whom the simulated shop's customer service hears from, when and why (article section 6.3).

Every cause that a user's events hold brings contacts of one reason as a Poisson process: so many are to be expected,
the first of them after a shortest delay, later ones ever more rarely (exponential), none once the cause is gone.
Others come by chance, for any reason. Contacts change nothing in the log.
"""

from dataclasses import dataclass, fields
from typing import Final

import numpy as np
import pandas as pd

from recsys_tf.config import SimulateConfig
from recsys_tf.events import simulated_laws as laws
from recsys_tf.events.schema import BEHAVIORS
from recsys_tf.events.simulated_contact_words import make_words
from recsys_tf.events.simulated_events import Happenings
from recsys_tf.events.simulated_laws import MS_PER_DAY, MS_PER_HOUR, Bools, Floats, Ints, Texts
from recsys_tf.events.simulated_shop import Shop
from recsys_tf.events.simulated_visits import Users

MS_PER_MINUTE: Final = 60_000
REASONS: Final = ("late_order", "return", "price_drop", "payment", "account", "product")
LATE, RETURN, PRICE_DROP, PAYMENT, ACCOUNT, PRODUCT = range(len(REASONS))
# Shortest delay after the cause, and mean of what comes on top: [reasons].
DELAY_MS: Final[Ints] = np.array(
    [2 * MS_PER_DAY, 3 * MS_PER_DAY, 6 * MS_PER_HOUR, 10 * MS_PER_MINUTE, 2 * MS_PER_MINUTE, 5 * MS_PER_MINUTE]
)
MEAN_MS: Final[Ints] = np.array(
    [2 * MS_PER_DAY, 4 * MS_PER_DAY, 3 * MS_PER_DAY, MS_PER_HOUR, 2 * MS_PER_HOUR, 4 * MS_PER_HOUR]
)

# An order is late: expected contacts per purchase by the item's price tier; parcels of the weekend wait longer.
LATE_BY_TIER: Final = np.array([0.14, 0.14, 0.28])
LATE_AT_WEEKEND: Final = 2.0
# An item goes back: by the distance of its price tier from the user's, and more often in another style than theirs.
RETURN_BY_TIER: Final = np.array([0.08, 0.30, 0.60])
RETURN_OTHER_STYLE: Final = 2.5
# An item in the cart or among the favourites became cheaper; over once it is bought.
CHEAPER: Final = 0.14
# Paying fails: of a cart that was not paid for at once, more likely when it is not the first one within some days.
PAYMENT_FIRST: Final = 0.08
PAYMENT_AGAIN: Final = 0.40
PAYMENT_DAYS: Final = 3
# The first event on another device than before: the shop asks who that is.
OTHER_DEVICE: Final = 0.25
# A look at a category that was looked at often within a day, and a search: until something of it is bought.
LOOKS: Final = 3
AFTER_LOOKS: Final = 0.09
AFTER_SEARCH: Final = 0.06
# Contacts per user and day that nothing explains, of every reason alike.
CHANCE_PER_DAY: Final = 0.010
TOPIC: Final = 31

_VIEW, _SEARCH, _CLICK, _CART, _FAVORITE, _PURCHASE = (BEHAVIORS.index(name) for name in BEHAVIORS)


@dataclass(frozen=True)
class Causes:
    """What can bring a contact, [causes] each, in order of user.

    reason: place in REASONS; start and until: ms, when it began and when it is over; expected: contacts that it would
    bring if it were never over.
    """

    user: Ints
    reason: Ints
    start: Ints
    until: Ints
    expected: Floats


@dataclass(frozen=True)
class Contacts:
    """Contacts in order of time and user, [contacts] each: who, when in ms, why (place in REASONS), in which words.

    words: int64 [contacts, most words], places in the vocabulary of `simulated_contact_words`, -1 where there are none.
    cause: place in Causes, -1 for a contact by chance.
    """

    user: Ints
    timestamp: Ints
    reason: Ints
    words: Ints
    cause: Ints


def make_contacts(config: SimulateConfig, causes: Causes, events: Happenings) -> Contacts:
    """Draw the contacts; none comes before its cause, before the user's first event, or after the log's last day."""
    rng = laws.generator(config.seed, TOPIC)
    end = laws.LOG_START_MS + config.days * MS_PER_DAY
    cause = np.repeat(np.arange(len(causes.user)), rng.poisson(causes.expected))
    reason = causes.reason[cause]
    delay = DELAY_MS[reason] + np.floor(rng.exponential(MEAN_MS[reason])).astype(np.int64)
    time = causes.start[cause] + delay
    came = (time < causes.until[cause]) & (time < end)

    users, first = np.unique(events.user, return_index=True)
    since = events.timestamp[first]
    by_chance = np.repeat(np.arange(len(users)), rng.poisson(CHANCE_PER_DAY * (end - since) / MS_PER_DAY))
    random_time = since[by_chance] + 1 + (rng.random(len(by_chance)) * (end - 1 - since[by_chance])).astype(np.int64)
    random_reason = rng.integers(0, len(REASONS), len(by_chance))

    user = np.concatenate([causes.user[cause[came]], users[by_chance]])
    time = np.concatenate([time[came], random_time])
    reason = np.concatenate([reason[came], random_reason])
    cause = np.concatenate([cause[came], np.full(len(by_chance), -1)])
    order = np.lexsort((user, time))
    return Contacts(user[order], time[order], reason[order], make_words(reason[order], rng), cause[order])


def find_causes(shop: Shop, users: Users, events: Happenings) -> Causes:
    """Find what can bring contacts in the events of real users, given what is true of them."""
    parts = [
        *_after_purchases(shop, users, events),
        *_after_carts(events),
        *_after_looks(events),
        _chosen(events, ACCOUNT, _other_device(events), OTHER_DEVICE),
    ]
    joined = {one.name: np.concatenate([getattr(part, one.name) for part in parts]) for one in fields(Causes)}
    order = np.lexsort((joined["start"], joined["user"]))
    return Causes(**{name: values[order] for name, values in joined.items()})


def _after_purchases(shop: Shop, users: Users, events: Happenings) -> list[Causes]:
    bought = events.behavior == _PURCHASE
    item, user = np.where(bought, events.item, 0), events.user
    weekday = (events.timestamp - laws.LOG_START_MS) // MS_PER_DAY % 7
    late = LATE_BY_TIER[shop.tier[item]] * np.where(weekday >= 5, LATE_AT_WEEKEND, 1.0)
    misfit = RETURN_BY_TIER[np.abs(shop.tier[item] - users.tier[user])]
    misfit = misfit * np.where(shop.style[item] == users.style[user], 1.0, RETURN_OTHER_STYLE)
    return [_chosen(events, LATE, bought, late), _chosen(events, RETURN, bought, misfit)]


def _after_carts(events: Happenings) -> list[Causes]:
    bought = _next_purchase(events, events.item)
    cart = events.behavior == _CART
    wanted = cart | (events.behavior == _FAVORITE)
    unpaid = cart & (bought > events.timestamp + DELAY_MS[PAYMENT])
    again = _within(events.user, events.timestamp, unpaid, PAYMENT_DAYS * MS_PER_DAY) >= 2
    failing = np.where(again, PAYMENT_AGAIN, PAYMENT_FIRST)
    return [
        _chosen(events, PRICE_DROP, wanted, CHEAPER, bought),
        _chosen(events, PAYMENT, unpaid, failing, bought),
    ]


def _after_looks(events: Happenings) -> list[Causes]:
    bought = _next_purchase(events, events.category)
    look = (events.behavior == _VIEW) | (events.behavior == _CLICK)
    same = events.user * (events.category.max(initial=0) + 1) + events.category
    often = look & (_within(same, events.timestamp, look, MS_PER_DAY) >= LOOKS)
    search = events.behavior == _SEARCH
    return [
        _chosen(events, PRODUCT, often, AFTER_LOOKS, bought),
        _chosen(events, PRODUCT, search, AFTER_SEARCH, bought),
    ]


def _other_device(events: Happenings) -> Bools:
    """Tell which events come from another device than the same user's event before: [events]."""
    return np.append(False, (np.diff(events.user) == 0) & (np.diff(events.device) != 0))[: len(events.user)]


def _chosen(
    events: Happenings, reason: int, chosen: Bools, expected: Floats | float, until: Ints | None = None
) -> Causes:
    """Make causes of one reason of the chosen events; without `until` they are never over."""
    number = int(chosen.sum())
    return Causes(
        user=events.user[chosen],
        reason=np.full(number, reason),
        start=events.timestamp[chosen],
        until=np.full(number, np.iinfo(np.int64).max) if until is None else until[chosen],
        expected=np.broadcast_to(np.asarray(expected, np.float64), chosen.shape)[chosen],
    )


def _next_purchase(events: Happenings, of: Ints) -> Ints:
    """When each user next buys the same `of` [events], strictly later: ms [events], the largest integer for never."""
    never = np.iinfo(np.int64).max
    time = np.where(events.behavior == _PURCHASE, events.timestamp, never)
    table = pd.DataFrame({"user": events.user, "of": of, "time": time})
    groups = [table["user"], table["of"]]
    # Purchases of a group ascend in time, so the smallest time from here to the group's end is the next one.
    latest_first = table["time"].groupby(groups).shift(-1, fill_value=never)[::-1]
    found: Ints = latest_first.groupby([one[::-1] for one in groups]).cummin()[::-1].to_numpy(np.int64)
    return found


def _within(group: Ints, time: Ints, counted: Bools, window_ms: int) -> Ints:
    """Count each event and those that `counted` marks in the same group up to `window_ms` before it: [events]."""
    order = np.lexsort((time, group))
    span = np.int64(time.max(initial=0) - time.min(initial=0) + window_ms + 1)
    key = group[order].astype(np.int64) * span + (time[order] - time.min(initial=0))
    passed = np.concatenate([[0], np.cumsum(counted[order])])
    begin = np.searchsorted(key, key - np.minimum(window_ms, time[order] - time.min(initial=0)), side="left")
    number = np.empty(len(group), np.int64)
    number[order] = passed[1:] - passed[begin]
    return number


def contact_table(contacts: Contacts, names: Texts, sentences: Texts) -> pd.DataFrame:
    """Return the contacts as the table of the file: user_id, timestamp, reason, words."""
    return pd.DataFrame(
        {
            "user_id": pd.Series(names[contacts.user], dtype="str"),
            "timestamp": contacts.timestamp,
            "reason": pd.Series(np.array(REASONS, dtype=object)[contacts.reason], dtype="str"),
            "words": pd.Series(sentences, dtype="str"),
        }
    )
