"""The ceiling of the simulated log: for each event the best possible guess of the category of the next one.

It is an upper bound on what any model can reach. The guess is the exact Bayes answer given all that is visible so far
(the user's events, steps and queries) and, beyond what a model sees, the user's true interests in force, where steps
and sessions ended, and whether another session follows. Hidden are only the mission under way, the place on its route
and which steps were noise; these are filtered exactly (forward algorithm of hidden Markov models, Rabiner 1989, III.A).
Who conditions on more is right at least as often on average (Jensen: the expected maximum of a conditional
probability only grows with the condition).
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from recsys_tf.events import simulated_laws as laws
from recsys_tf.events.simulated_events import Happenings
from recsys_tf.events.simulated_laws import Bools, Ints
from recsys_tf.events.simulated_shop import Shop
from recsys_tf.events.simulated_visits import Sessions, Steps, start_distribution

Float32s = npt.NDArray[np.float32]

USERS_AT_ONCE = 2048


@dataclass(frozen=True)
class Guesses:
    """The best guess at each event [events]: a category, and how likely the next event is of it, if of an item."""

    category: Ints
    probability: Float32s


class _Routes:
    """The hidden states (mission, place), in order of their category, so that sums by category are contiguous."""

    def __init__(self, shop: Shop) -> None:
        missions, length = shop.routes.shape
        order = np.argsort(shop.routes.ravel(), kind="stable")
        self.category = shop.routes.ravel()[order]
        self.state = np.empty(missions * length, dtype=np.int64)
        self.state[order] = np.arange(missions * length)
        self.state = self.state.reshape(missions, length)
        mission, place = order // length, order % length
        self.before = self.state[mission, (place - 1) % length]
        self.two_before = self.state[mission, (place - 2) % length]
        self.first_state = np.searchsorted(self.category, np.arange(len(shop.category_popularity)))
        self.noise = (laws.NOISE * shop.category_popularity).astype(np.float32)
        self.start = start_distribution().astype(np.float32)

    def advance(self, belief: Float32s) -> Float32s:
        """Move the belief [states, users] one step along the routes."""
        moved: Float32s = np.float32(1 - laws.SKIP) * belief[self.before]
        moved += np.float32(laws.SKIP) * belief[self.two_before]
        return moved

    def start_session(self, advanced: Float32s, interests: Ints, first_visit: Bools) -> Float32s:
        """Mix the advanced belief [states, users] with a fresh start on one of the interests [users, 4]."""
        resume = np.where(first_visit, 0.0, laws.RESUME).astype(np.float32)
        mixed: Float32s = advanced * resume
        users = np.arange(len(interests))
        for slot, weight in enumerate(laws.INTEREST_WEIGHTS):
            for place, start in enumerate(self.start):
                mixed[self.state[interests[:, slot], place], users] += (1 - resume) * np.float32(weight) * start
        return mixed

    def observe(self, predicted: Float32s, category: Ints) -> Float32s:
        """Condition the predicted belief [states, users] on the category of a step [users]."""
        seen = predicted * self.noise[category]
        np.add(seen, np.float32(1 - laws.NOISE) * predicted, out=seen, where=self.category[:, None] == category)
        seen /= seen.sum(axis=0)
        return seen

    def categories(self, predicted: Float32s) -> Float32s:
        """Distribution of the next step's category [categories, users], noise included."""
        routed = np.add.reduceat(predicted, self.first_state, axis=0)
        return np.float32(1 - laws.NOISE) * routed + self.noise[:, None]


def guess_next(shop: Shop, sessions: Sessions, steps: Steps, interests: Ints, events: Happenings) -> Guesses:
    """Filter every user's steps and return the best guess at each of `events`, acted out of these steps."""
    routes = _Routes(shop)
    guesses = Guesses(np.empty(len(events.user), np.int64), np.empty(len(events.user), np.float32))
    user_of_step = sessions.user[steps.session]
    users, first_step, number = np.unique(user_of_step, return_index=True, return_counts=True)
    # Longest histories first: at each step index those still under way are the first of their chunk.
    order = np.argsort(-number, kind="stable")
    first_event = np.searchsorted(events.step, np.arange(len(steps.session)))
    for begin in range(0, len(users), USERS_AT_ONCE):
        rows = order[begin : begin + USERS_AT_ONCE]
        _filter_chunk(routes, sessions, steps, interests, first_event, first_step[rows], number[rows], guesses)
    return guesses


def _filter_chunk(
    routes: _Routes,
    sessions: Sessions,
    steps: Steps,
    interests: Ints,
    first_event: Ints,
    first_step: Ints,
    number: Ints,
    guesses: Guesses,
) -> None:
    """Filter the users whose steps begin at `first_step` [users] (`number` each, descending) and fill in `guesses`."""
    belief = np.zeros((len(routes.category), len(number)), dtype=np.float32)
    inside = outside = belief
    for index in range(int(number.max(initial=0))):
        active = int(np.searchsorted(-number, -index, side="left"))
        step = first_step[:active] + index
        session = steps.session[step]
        if index == 0:
            predicted = routes.start_session(
                belief, _interests_at(interests, sessions, session), np.ones(active, np.bool_)
            )
        else:
            predicted = np.where(steps.opens[step], outside[:, :active], inside[:, :active])
        belief = routes.observe(predicted, steps.category[step])
        inside = routes.advance(belief)
        last_session = np.append(sessions.user, -1)[session + 1] != sessions.user[session]
        following = np.where(last_session, session, session + 1)
        outside = routes.start_session(
            inside, _interests_at(interests, sessions, following), np.zeros(active, np.bool_)
        )
        _guess_within_step(
            step, steps, last_session, routes.categories(inside), routes.categories(outside), first_event, guesses
        )


def _interests_at(interests: Ints, sessions: Sessions, session: Ints) -> Ints:
    return interests[sessions.period[session], sessions.user[session]]


def _guess_within_step(
    step: Ints,
    steps: Steps,
    last_session: Bools,
    inside: Float32s,
    outside: Float32s,
    first_event: Ints,
    guesses: Guesses,
) -> None:
    """Weigh, at each event of these steps, the step's own category against the next step's [categories, users]."""
    pattern, category = steps.pattern[step], steps.category[step]
    for place in range(laws.LONGEST_PATTERN):
        users = np.flatnonzero(laws.PATTERN_LENGTH[pattern] > place)
        goes_on = laws.PATTERN_GOES_ON[pattern[users], place]
        # A next step that begins with a search is no item event, so these weights are renormalised.
        next_inside = (1 - goes_on) * (1 - laws.SESSION_END) * (1 - laws.SEARCH_LATER)
        next_outside = (1 - goes_on) * laws.SESSION_END * (1 - laws.SEARCH_FIRST) * ~last_session[users]
        total = goes_on + next_inside + next_outside
        chance = inside[:, users] * (next_inside / total).astype(np.float32)
        chance += outside[:, users] * (next_outside / total).astype(np.float32)
        chance[category[users], np.arange(len(users))] += (goes_on / total).astype(np.float32)
        best = chance.argmax(axis=0)
        events = first_event[step[users]] + place
        guesses.category[events] = best
        guesses.probability[events] = np.minimum(chance[best, np.arange(len(users))], np.float32(1.0))


def guess_bots(shop: Shop, events: Happenings) -> Guesses:
    """The largest category among the items on sale when the bot's next event comes, and its share."""
    n = len(events.user)
    day = (events.timestamp - laws.LOG_START_MS) // laws.MS_PER_DAY
    goes_on = np.append(events.user[1:] == events.user[:-1], False) if n else np.empty(0, np.bool_)
    day = np.where(goes_on, np.append(day[1:], 0), day)
    days = int(day.max(initial=0)) + 1
    arrivals = np.zeros((days, len(shop.category_popularity)), dtype=np.int64)
    early = shop.launch_day < days
    np.add.at(arrivals, (shop.launch_day[early], shop.category[early]), 1)
    stock = np.cumsum(arrivals, axis=0)
    largest = stock.argmax(axis=1)
    share = (stock.max(axis=1) / stock.sum(axis=1)).astype(np.float32)
    return Guesses(largest[day], share[day])
