"""Users who take no part in preparation, so that it can be asked afterwards whether a model tells who it has seen."""

import hashlib

import numpy as np
import numpy.typing as npt
import pandas as pd

from recsys_tf.config import FilterConfig
from recsys_tf.errors import InputError

_RANGE = 2**64


def held_out(users: pd.Series, config: FilterConfig) -> npt.NDArray[np.bool_]:
    """Say of each user id [n] whether the user is held out: bool [n].

    Each user's own id and the seed decide, so that the draw can be repeated without a list of ids anywhere, and stays
    as it is when another user is forgotten. Raises InputError for what is no share.
    """
    share = config.held_out_users
    if not 0 <= share < 1:
        raise InputError(f"filters.held_out_users is {share:g}: a share of the users, from 0 to below 1")
    code, names = pd.factorize(users.astype("str"))
    drawn = np.array([_draw(str(name), config.seed) < share * _RANGE for name in names], dtype=bool)
    return np.asarray(drawn[code], dtype=bool)


def without_held_out(events: pd.DataFrame, config: FilterConfig) -> pd.DataFrame:
    """Return the events of all other users."""
    return events[~held_out(events["user_id"], config)].reset_index(drop=True) if config.held_out_users else events


def _draw(user: str, seed: int) -> int:
    """A number from 0 to below 2^64 that looks random and is always the same."""
    return int.from_bytes(hashlib.sha256(f"{seed} {user}".encode()).digest()[:8], "big")
