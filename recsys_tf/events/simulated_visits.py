"""Who visits the simulated shop, when, on which mission, and what each step is about: users, sessions and steps."""

from dataclasses import dataclass

import numpy as np

from recsys_tf.config import SimulateConfig
from recsys_tf.events import simulated_laws as laws
from recsys_tf.events.simulated_laws import Bools, Floats, Ints
from recsys_tf.events.simulated_shop import Shop

SESSIONS_PER_DAY = 0.115
ACTIVITY_SPREAD = 0.9
MAIN_DEVICE_SHARE = 0.8

# Relative traffic by hour of day (UTC) and by day of week from Monday.
HOURLY = np.array([4, 2, 1, 1, 1, 2, 4, 6, 8, 9, 10, 10, 11, 10, 9, 9, 10, 12, 15, 19, 22, 21, 15, 8], dtype=np.float64)
WEEKLY = np.array([0.9, 0.9, 0.95, 1.0, 1.1, 1.35, 1.3])


@dataclass(frozen=True)
class Users:
    """Per user [users]: price tier, style, sessions per day, main and second device."""

    tier: Ints
    style: Ints
    sessions_per_day: Floats
    main_device: Ints
    second_device: Ints


@dataclass(frozen=True)
class Sessions:
    """Per session [sessions], in order of user and time: its user, its hour since the log's start, its device."""

    user: Ints
    hour: Ints
    device: Ints

    @property
    def period(self) -> Ints:
        """Drift period of each session [sessions]."""
        return self.hour // (24 * laws.PERIOD_DAYS)


@dataclass(frozen=True)
class Steps:
    """Per step [steps], in order of user and time.

    `opens` marks the first step of a session; `mission` and `place` say where on which route the user stands;
    `category` is what the step is about, another one than the route's where `noise`; `pattern` is how it is acted out.
    """

    session: Ints
    opens: Bools
    mission: Ints
    place: Ints
    noise: Bools
    category: Ints
    pattern: Ints


def make_users(config: SimulateConfig) -> Users:
    """Draw the users; their activity is heavy-tailed (log-normal)."""
    rng = laws.generator(config.seed, 1)
    n, devices = config.users, len(laws.DEVICES)
    main = rng.choice(devices, n, p=[0.6, 0.25, 0.15])
    return Users(
        tier=rng.choice(laws.TIERS, n, p=[0.4, 0.4, 0.2]),
        style=rng.integers(0, len(laws.STYLES), n),
        sessions_per_day=SESSIONS_PER_DAY * rng.lognormal(-(ACTIVITY_SPREAD**2) / 2, ACTIVITY_SPREAD, n),
        main_device=main,
        second_device=(main + rng.integers(1, devices, n)) % devices,
    )


def make_interests(config: SimulateConfig, shop: Shop) -> Ints:
    """Draw the missions in force, most wanted first: [periods, users, 4]; from week to week each may be replaced."""
    rng = laws.generator(config.seed, 2)
    missions, active = len(shop.mission_popularity), len(laws.INTEREST_WEIGHTS)
    periods = -(-config.days // laws.PERIOD_DAYS)
    # Gumbel noise on log-weights, then the largest: a weighted draw without replacement.
    noisy = np.log(shop.mission_popularity) + rng.gumbel(size=(config.users, missions))
    interests = np.empty((periods, config.users, active), dtype=np.int64)
    interests[0] = np.argsort(-noisy, axis=1)[:, :active]
    for period in range(1, periods):
        now = interests[period - 1].copy()
        for slot in range(active):
            fresh = rng.choice(missions, config.users, p=shop.mission_popularity)
            free = ~(now == fresh[:, None]).any(axis=1)
            change = free & (rng.random(config.users) < laws.DRIFT)
            now[change, slot] = fresh[change]
        interests[period] = now
    return interests


def make_sessions(config: SimulateConfig, users: Users) -> Sessions:
    """Draw every user's sessions, at most one per hour, by the rhythm of day and week; each user has one at least."""
    rng = laws.generator(config.seed, 3)
    number = np.maximum(rng.poisson(users.sessions_per_day * config.days), 1)
    traffic = np.tile(HOURLY, config.days) * np.repeat(np.resize(WEEKLY, config.days), 24)
    user, hour = distinct_hours(number, traffic, rng)
    on_main = rng.random(len(user)) < MAIN_DEVICE_SHARE
    return Sessions(user, hour, np.where(on_main, users.main_device[user], users.second_device[user]))


def distinct_hours(number: Ints, traffic: Floats, rng: np.random.Generator) -> tuple[Ints, Ints]:
    """Draw up to number[u] different hours for each user u, in proportion to `traffic` [hours].

    Returns users and hours, both [sessions], in order of user and hour.
    """
    hour = rng.choice(len(traffic), int(number.sum()), p=traffic / traffic.sum())
    both = np.unique(np.repeat(np.arange(len(number)), number) * len(traffic) + hour)
    return both // len(traffic), both % len(traffic)


def make_steps(config: SimulateConfig, shop: Shop, sessions: Sessions, interests: Ints) -> Steps:
    """Walk every user along the routes: at a session's start go on with the last mission or pick one, then step on."""
    rng = laws.generator(config.seed, 4)
    n_sessions = len(sessions.user)
    first_visit = np.diff(sessions.user, prepend=-1) != 0
    anew = first_visit | (rng.random(n_sessions) >= laws.RESUME)
    slot = rng.choice(len(laws.INTEREST_WEIGHTS), n_sessions, p=laws.INTEREST_WEIGHTS)
    chosen = interests[sessions.period, sessions.user, slot]
    start = rng.choice(laws.ROUTE_LENGTH, n_sessions, p=start_distribution())

    session = np.repeat(np.arange(n_sessions), rng.geometric(laws.SESSION_END, n_sessions))
    n = len(session)
    opens = np.diff(session, prepend=-1) != 0
    # The last step at which a mission was picked anew decides the mission; places are counted from there.
    anchor = np.maximum.accumulate(np.where(opens & anew[session], np.arange(n), 0))
    walked = np.cumsum(1 + (rng.random(n) < laws.SKIP))
    origin = session[anchor]
    mission = chosen[origin]
    place = (start[origin] + walked - walked[anchor]) % laws.ROUTE_LENGTH
    noise = rng.random(n) < laws.NOISE
    elsewhere = rng.choice(len(shop.category_popularity), n, p=shop.category_popularity)
    category = np.where(noise, elsewhere, shop.routes[mission, place])
    return Steps(session, opens, mission, place, noise, category, _patterns(opens, rng))


def start_distribution() -> Floats:
    """Where on its route a newly picked mission starts: [5], mostly at its beginning."""
    start = np.full(laws.ROUTE_LENGTH, (1.0 - laws.FRESH_START) / (laws.ROUTE_LENGTH - 1))
    start[0] = laws.FRESH_START
    return start


def _patterns(opens: Bools, rng: np.random.Generator) -> Ints:
    """Draw how each step is acted out: [steps], rows of the pattern table."""
    n = len(opens)
    browse = rng.choice(len(laws.BROWSE_PATTERNS), n, p=[p for _, p in laws.BROWSE_PATTERNS])
    search = rng.choice(len(laws.SEARCH_PATTERNS), n, p=[p for _, p in laws.SEARCH_PATTERNS])
    searches = rng.random(n) < np.where(opens, laws.SEARCH_FIRST, laws.SEARCH_LATER)
    return np.where(searches, len(laws.BROWSE_PATTERNS) + search, browse)
