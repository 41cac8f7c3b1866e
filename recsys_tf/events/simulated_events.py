"""What the simulated log records: every step acted out as events with times and items, and the bots' events."""

from dataclasses import dataclass

import numpy as np

from recsys_tf.config import SimulateConfig
from recsys_tf.events import simulated_laws as laws
from recsys_tf.events.schema import BEHAVIORS
from recsys_tf.events.simulated_laws import Bools, Floats, Ints, Texts
from recsys_tf.events.simulated_shop import Shop, pick_items
from recsys_tf.events.simulated_visits import Sessions, Steps, Users, distinct_hours
from recsys_tf.events.simulated_words import make_queries

# Near copies come up to 800 ms after their original, so real events of a user are never this close.
SHORTEST_GAP_MS = 2_000
LONGEST_GAP_MS = 8 * 60_000
# A session keeps to the first 44 minutes of its hour: the 16 minutes left are longer than any gap inside one.
LONGEST_SESSION_MS = 40 * 60_000
LATEST_END_MS = 44 * 60_000

_VIEW, _SEARCH, _CLICK = (BEHAVIORS.index(name) for name in ("view", "search", "click"))


@dataclass(frozen=True)
class Happenings:
    """Genuine events [events] in order of user and time.

    `step` is the row of Steps and `place` the place within its pattern (both -1 for bots); `item` is -1 for a search;
    `category` is what the event is about, a search's too; `timestamp` in ms; `query` "" but for searches.
    """

    user: Ints
    step: Ints
    place: Ints
    timestamp: Ints
    item: Ints
    category: Ints
    behavior: Ints
    device: Ints
    query: Texts


def act_out(config: SimulateConfig, shop: Shop, users: Users, sessions: Sessions, steps: Steps) -> Happenings:
    """Turn steps into events: times within the session's hour, items of the step's category, queries for searches."""
    rng = laws.generator(config.seed, 5)
    length = laws.PATTERN_LENGTH[steps.pattern]
    step = np.repeat(np.arange(len(length)), length)
    place = np.arange(len(step)) - np.repeat(np.cumsum(length) - length, length)
    pattern = steps.pattern[step]
    behavior, slot = laws.PATTERN_BEHAVIOR[pattern, place], laws.PATTERN_SLOT[pattern, place]

    user = sessions.user[steps.session]
    taste = users.tier[user], users.style[user], sessions.hour[steps.session] // 24
    first = pick_items(shop, steps.category, *taste, rng)
    second = pick_items(shop, steps.category, *taste, rng)
    item = np.where(slot == 1, second[step], first[step])

    searches = behavior == _SEARCH
    query = np.full(len(step), "", dtype=object)
    sought = item[searches]
    query[searches] = make_queries(
        shop.words, steps.category[step[searches]], shop.brand[sought], shop.style[sought], rng
    )
    session = steps.session[step]
    return Happenings(
        user=user[step],
        step=step,
        place=place,
        timestamp=laws.LOG_START_MS + sessions.hour[session] * laws.MS_PER_HOUR + _within_hour(session, place, rng),
        item=np.where(searches, -1, item),
        category=steps.category[step],
        behavior=behavior,
        device=sessions.device[session],
        query=query,
    )


def run_bots(config: SimulateConfig, shop: Shop, bots: int) -> Happenings:
    """Let `bots` machines visit (users 0 … bots - 1): around the clock, at nearly fixed gaps, at random items."""
    rng = laws.generator(config.seed, 6)
    runs_per_day = rng.uniform(0.2, 0.6, bots)
    number = np.maximum(rng.poisson(runs_per_day * config.days), 1)
    bot, hour = distinct_hours(number, np.ones(24 * config.days), rng)
    size = rng.integers(6, 24, bots)
    run = np.repeat(np.arange(len(bot)), size[bot])
    user = bot[run]
    gap = rng.integers(3_000, 30_000, bots)[user]
    turn = np.arange(len(run)) - np.repeat(np.cumsum(size[bot]) - size[bot], size[bot])
    jitter = rng.integers(0, 200, len(run))
    lead = rng.integers(0, 40 * 60_000, len(bot))[run]
    launched = np.argsort(shop.launch_day, kind="stable")
    on_sale = np.searchsorted(shop.launch_day[launched], hour[run] // 24, side="right")
    item = launched[(rng.random(len(run)) * on_sale).astype(np.int64)]
    return Happenings(
        user=user,
        step=np.full(len(run), -1),
        place=np.full(len(run), -1),
        timestamp=laws.LOG_START_MS + hour[run] * laws.MS_PER_HOUR + lead + turn * gap + jitter,
        item=item,
        category=shop.category[item],
        behavior=np.where(rng.random(len(run)) < 0.97, _VIEW, _CLICK),
        device=rng.integers(0, len(laws.DEVICES), bots)[user],
        query=np.full(len(run), "", dtype=object),
    )


def _within_hour(session: Ints, place: Ints, rng: np.random.Generator) -> Ints:
    """Milliseconds of each event after its hour's start [events]: log-normal gaps, shrunk where they would not fit."""
    n = len(session)
    opens = np.diff(session, prepend=-1) != 0
    begin = np.flatnonzero(opens)
    events = np.diff(begin, append=n)
    extra = np.where(opens, 0.0, _lognormal_gaps(place > 0, rng))
    room = np.maximum(LONGEST_SESSION_MS - SHORTEST_GAP_MS * (events - 1), 0)
    wanted = np.add.reduceat(extra, begin) if n else extra
    shrink = np.minimum(1.0, room / np.maximum(wanted, 1.0))
    number = np.repeat(np.arange(len(begin)), events)
    gap = np.where(opens, 0, SHORTEST_GAP_MS + np.floor(extra * shrink[number])).astype(np.int64)
    passed = np.cumsum(gap)
    since_start = passed - passed[begin][number]
    last = begin + events - 1
    lead = np.floor(rng.random(len(begin)) * (LATEST_END_MS - since_start[last])).astype(np.int64)
    return since_start + lead[number]


def _lognormal_gaps(same_step: Bools, rng: np.random.Generator) -> Floats:
    median = np.where(same_step, 12_000.0, 30_000.0)
    return np.minimum(median * rng.lognormal(0.0, 0.9, len(median)), LONGEST_GAP_MS)
