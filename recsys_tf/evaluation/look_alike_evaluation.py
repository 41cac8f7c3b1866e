"""Do look-alike audiences share the seeds' true interest? Only a simulated log can say."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from recsys_tf.config import AdsConfig
from recsys_tf.evaluation.bootstrap import Interval, clustered_intervals
from recsys_tf.heads.look_alike import most_alike

Array = npt.NDArray[Any]

REPRESENTATION, AVERAGED = "the representation", "the representation, averaged over the history"
CATEGORIES, ANYBODY = "counts of categories", "anybody"
# Users beside the seeds that must have an interest for it to be looked for.
_FEWEST_OTHERS = 5
_SEED_SETS = 5


@dataclass(frozen=True)
class LookAlike:
    """Precision among as many users as truly share the interest, over interests and seed sets."""

    interests: int
    users: int
    precision: dict[str, Interval]


def true_interests(truth: Path, users: list[str], moment: int) -> Array:
    """The mission that each user wants most at a moment (ms UTC), -1 for users who want none: int64 [users]."""
    table = pd.read_csv(truth / "interests.csv.gz", dtype={"user_id": str})
    table = table[table["timestamp"] <= moment]
    newest = table[table["timestamp"] == table.groupby("user_id")["timestamp"].transform("max")]
    wanted = newest.sort_values("weight", ascending=False, kind="stable").drop_duplicates("user_id")
    found: Array = wanted.set_index("user_id")["mission"].reindex(users).fillna(-1).to_numpy(np.int64)
    return found


def measure_look_alike(views: dict[str, Array], interest: Array, config: AdsConfig) -> LookAlike | None:
    """Draw seed sets of every interest that enough users share, and look for the others.

    views: by name, vectors [users, any] that users are compared by. interest: int64 [users], -1 is none. Returns None
    where no interest is shared by enough users.
    """
    random = np.random.default_rng(config.seed)
    values: dict[str, list[float]] = {name: [] for name in (*views, ANYBODY)}
    interests = []
    for one in np.unique(interest[interest >= 0]):
        members = np.flatnonzero(interest == one)
        others = len(members) - config.seeds
        if others < _FEWEST_OTHERS:
            continue
        for _ in range(_SEED_SETS):
            seeds = random.choice(members, config.seeds, replace=False)
            interests.append(one)
            for name, vectors in views.items():
                values[name].append(float((interest[most_alike(vectors, seeds)[:others]] == one).mean()))
            values[ANYBODY].append(others / (len(interest) - config.seeds))
    if not interests:
        return None
    arrays = {name: np.array(found) for name, found in values.items()}
    clusters = np.array(interests, np.int64)
    precision = clustered_intervals(arrays, clusters, config.bootstrap_samples, config.seed)
    return LookAlike(len(np.unique(clusters)), len(interest), precision)
