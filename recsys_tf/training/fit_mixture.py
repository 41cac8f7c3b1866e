"""Fit the mixture: transitions by counting the training side, weights by NDCG@10 on the validation side."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from recsys_tf.models.mixture import VOICES, Transitions
from recsys_tf.sequences.dataset import PreparedData, read_users
from recsys_tf.sequences.vocabularies import FIRST

Floats = npt.NDArray[np.float64]

_FAR = 3  # items between which a transition counts at most
_FAR_DECAY = 0.5  # from one step of distance to the next
_DOUBT = 3.0  # counts added to an item's total: few observations say little
_MOST = 100  # followers kept per item
# Weights that are tried for each voice, beside 1 for the towers.
_TRIED = (0.0, 0.01, 0.03, 0.1, 0.2, 0.35, 0.6, 1.0)
_ROUNDS = 2  # over the voices, since the best weight of one depends on the others


def count_transitions(data: PreparedData) -> Transitions:
    """Count what followed each item in the training events, up to three items later, nearer ones more.

    An item that came twice within the reach counts twice. One partition of users at a time.
    """
    rows = len(data.space.catalogue) + FIRST
    parts = [_partition_transitions(batch) for batch in read_users(data).as_numpy_iterator()]
    pairs = pd.concat(parts).groupby(["item", "follower"], sort=True)["count"].sum().reset_index()
    totals = np.bincount(pairs["item"], weights=pairs["count"], minlength=rows)
    pairs["share"] = pairs["count"] / (totals[pairs["item"]] + _DOUBT)
    # The most frequent followers first; of equally frequent ones the lower index.
    pairs = pairs.sort_values(["item", "count", "follower"], ascending=[True, False, True])
    place = pairs.groupby("item").cumcount()
    kept = pairs[place < _MOST]
    place = place[place < _MOST]
    most = 1 + int(place.max()) if len(place) else 1
    followers, shares = np.full((rows, most), -1, np.int32), np.zeros((rows, most), np.float32)
    followers[kept["item"], place] = kept["follower"] - FIRST
    shares[kept["item"], place] = kept["share"]
    return Transitions(followers, shares)


def _partition_transitions(batch: dict[str, Any]) -> pd.DataFrame:
    length = batch["length"]
    within = np.arange(length.sum()) - np.repeat(np.cumsum(length) - length, length)
    known = (within < np.repeat(batch["training_end"], length)) & (batch["row"] >= FIRST)
    user, row = np.repeat(np.arange(len(length)), length)[known], batch["row"][known]
    pairs = []
    for far in range(1, _FAR + 1):
        same = user[far:] == user[:-far]
        counts = np.full(int(same.sum()), _FAR_DECAY ** (far - 1))
        pairs.append(pd.DataFrame({"item": row[:-far][same], "follower": row[far:][same], "count": counts}))
    return pd.concat(pairs).groupby(["item", "follower"], sort=False)["count"].sum().reset_index()


def search_weights(quality: Callable[[Floats], float]) -> Floats:
    """Return the weights [voices], adding up to 1, that `quality` finds best.

    One voice after the other, the towers' weight staying at 1 (coordinate ascent on a grid): few weights are tried, so
    that few can be right by chance. Without a gain the towers speak alone.
    """
    best = np.eye(len(VOICES))[0]
    highest = quality(best)
    for voice in [*range(1, len(VOICES))] * _ROUNDS:
        for weight in _TRIED:
            tried = best.copy()
            tried[voice] = weight
            if weight != best[voice] and (reached := quality(tried / tried.sum())) > highest:
                best, highest = tried, reached
    return np.asarray(best / best.sum(), np.float64)


def save_mixture(path: Path, weights: Floats, transitions: Transitions) -> None:
    """Write weights and transitions to one .npz file."""
    np.savez_compressed(
        path, weights=weights.astype(np.float32), followers=transitions.followers, shares=transitions.shares
    )


def load_mixture(path: Path) -> tuple[npt.NDArray[np.float32], Transitions]:
    """Read what `save_mixture` wrote."""
    with np.load(path) as arrays:
        return arrays["weights"], Transitions(arrays["followers"], arrays["shares"])
