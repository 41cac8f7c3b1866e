"""The laws of the simulated shop: every constant that its generator, its truth and its judge must agree on."""

from typing import Final

import numpy as np
import numpy.typing as npt

from recsys_tf.events.schema import BEHAVIORS

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Texts = npt.NDArray[np.object_]

MS_PER_HOUR: Final = 3_600_000
MS_PER_DAY: Final = 24 * MS_PER_HOUR
# 2024-01-01 00:00 UTC, a Monday; the shop's clock is UTC.
LOG_START_MS: Final = 1_704_067_200_000

# A mission is a shopping project (a camping trip, say): a closed route over this many categories.
ROUTE_LENGTH: Final = 5
MISSIONS_PER_CATEGORY: Final = 0.5
MISSION_ZIPF: Final = 0.5

# A user's missions in force, most wanted first, and how often one of them gives way to a new one.
INTEREST_WEIGHTS: Final = np.array([0.45, 0.30, 0.15, 0.10])
PERIOD_DAYS: Final = 7
DRIFT: Final = 0.10

# A session goes on with the mission before it, or picks one of the interests and mostly starts at its beginning.
RESUME: Final = 0.60
FRESH_START: Final = 0.80
# After each step the session ends with this probability, whatever came before.
SESSION_END: Final = 0.20
# The next step jumps over one category of the route.
SKIP: Final = 0.06
# The step is about something else; the mission moves on all the same.
NOISE: Final = 0.05

SEARCH_FIRST: Final = 0.35
SEARCH_LATER: Final = 0.10

# What happens within one step, and how often: without a search, and with one.
BROWSE_PATTERNS: Final = (
    (("view",), 0.70),
    (("view", "view"), 0.09),
    (("view", "favorite"), 0.06),
    (("view", "cart"), 0.08),
    (("view", "cart", "purchase"), 0.07),
)
SEARCH_PATTERNS: Final = (
    (("search", "click"), 0.60),
    (("search", "click", "view"), 0.15),
    (("search", "click", "cart"), 0.10),
    (("search", "click", "cart", "purchase"), 0.15),
)
LONGEST_PATTERN: Final = 4

TIERS: Final = 3
STYLES: Final = ("classic", "sporty", "minimal", "vintage", "playful")
DEVICES: Final = ("app", "web", "mini-program")
# How well an item suits a user: by the distance of their price tiers, and when their styles agree.
TIER_MATCH: Final = np.array([1.0, 0.35, 0.10])
STYLE_MATCH: Final = 3.0
# A newcomer starts with 1 + this times its lasting appeal; the rest fades within about this many days.
FRESH_BOOST: Final = 3.0
FRESH_DAYS: Final = 7.0

_PATTERNS: Final = BROWSE_PATTERNS + SEARCH_PATTERNS
PATTERN_SEARCHES: Final[Bools] = np.array([steps[0] == "search" for steps, _ in _PATTERNS])
PATTERN_LENGTH: Final[Ints] = np.array([len(steps) for steps, _ in _PATTERNS])
# [pattern, place]: index into BEHAVIORS, -1 after the pattern's end.
PATTERN_BEHAVIOR: Final[Ints] = np.array(
    [[BEHAVIORS.index(b) for b in steps] + [-1] * (LONGEST_PATTERN - len(steps)) for steps, _ in _PATTERNS]
)
# [pattern, place]: 0 for the step's first item, 1 for its second, -1 where there is none (a search).
PATTERN_SLOT: Final[Ints] = np.cumsum(np.isin(PATTERN_BEHAVIOR, [0, BEHAVIORS.index("click")]), axis=1) - 1


def _continuation() -> Floats:
    """Probability that the step goes on after each place of each pattern, given what it has shown: [pattern, place]."""
    going_on = np.zeros((len(_PATTERNS), LONGEST_PATTERN))
    for row, (steps, _) in enumerate(_PATTERNS):
        for place in range(len(steps)):
            alike = [(len(other), p) for other, p in _PATTERNS if other[: place + 1] == steps[: place + 1]]
            longer = sum(p for length, p in alike if length > place + 1)
            going_on[row, place] = longer / sum(p for _, p in alike)
    return going_on


PATTERN_GOES_ON: Final[Floats] = _continuation()


def generator(seed: int, topic: int) -> np.random.Generator:
    """Return the random stream of one topic, so that a change in one part leaves the others' draws alone."""
    return np.random.default_rng([seed, topic])
