"""Fit the mixture: counts on the training side, weights by NDCG@10 on the validation side."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from recsys_tf.models.mixture import VOICES, Counts, Followers, fingerprint
from recsys_tf.sequences.dataset import PreparedData
from recsys_tf.sequences.training_events import FlatEvents, read_training_parts
from recsys_tf.sequences.vocabularies import FIRST

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

_FAR = 3  # items between which a transition counts at most
_FAR_DECAY = 0.5  # from one step of distance to the next
_DOUBT = 3.0  # counts added to an item's total: few observations say little
_SEARCH_DOUBT = 0.5  # the same for searches, whose words say more
_MOST = 100  # followers kept per item or search
# Weights that are tried for each voice, beside 1 for the towers.
_TRIED = (0.0, 0.01, 0.03, 0.1, 0.2, 0.35, 0.6, 1.0, 2.0, 4.0, 8.0)
_ROUNDS = 2  # over the voices, since the best weight of one depends on the others


def count(data: PreparedData) -> Counts:
    """Count what followed items and searches in the training events, one partition of users at a time.

    What fewer users did than the data's `min_users` is left out: a step from one item to the next may be theirs alone.
    """
    least = data.min_users
    items, searches = [], []
    for events in read_training_parts(data):
        items.append(_item_pairs(events, least))
        searches.append(_search_pairs(events, least))
    transitions, searched = (_of_enough_users(_added_up(pairs), least) for pairs in (items, searches))
    keys = np.unique(searched["thing"].to_numpy(np.int64))
    searched["thing"] = np.searchsorted(keys, searched["thing"])
    return Counts(
        _followers(transitions, len(data.space.catalogue) + FIRST, _DOUBT),
        _followers(searched, len(keys), _SEARCH_DOUBT),
        keys,
    )


def _item_pairs(events: FlatEvents, min_users: int) -> pd.DataFrame:
    """Count what came up to three items later, nearer ones more; what came twice within the reach counts twice."""
    is_item = events.row >= FIRST
    user, row = events.user[is_item], events.row[is_item]
    pairs = []
    for far in range(1, _FAR + 1):
        same = user[far:] == user[:-far]
        counts = np.full(int(same.sum()), _FAR_DECAY ** (far - 1))
        pairs.append(_pairs(row[:-far][same], row[far:][same], counts, user[far:][same]))
    return _per_partition(pairs, min_users)


def _search_pairs(events: FlatEvents, min_users: int) -> pd.DataFrame:
    """Count which item came right after the words of a search."""
    following = events.next_rows()
    at = np.flatnonzero(events.words.any(axis=1) & (following >= FIRST))
    keys = fingerprint(events.words[at]).numpy()
    return _per_partition([_pairs(keys, following[at], np.ones(len(at)), events.user[at])], min_users)


def _pairs(thing: Ints, follower: Ints, count: Floats, user: Ints) -> pd.DataFrame:
    return pd.DataFrame({"thing": thing, "follower": follower, "count": count, "user": user})


def _per_partition(pairs: list[pd.DataFrame], min_users: int) -> pd.DataFrame:
    """Add up the pairs of one partition of users, with the number of different users where it is asked for."""
    joined = pd.concat(pairs)
    added = _added_up([joined.drop(columns="user")])
    if min_users <= 1:
        return added
    different = joined[["thing", "follower", "user"]].drop_duplicates()
    return added.assign(users=different.groupby(["thing", "follower"], sort=True).size().to_numpy())


def _added_up(pairs: list[pd.DataFrame]) -> pd.DataFrame:
    # No user stands in two partitions, so their numbers add up as the counts do.
    return pd.concat(pairs).groupby(["thing", "follower"], sort=True).sum().reset_index()


def _of_enough_users(pairs: pd.DataFrame, min_users: int) -> pd.DataFrame:
    return pairs if min_users <= 1 else pairs[pairs["users"] >= min_users].reset_index(drop=True)


def _followers(pairs: pd.DataFrame, things: int, doubt: float) -> Followers:
    """Arrange counted pairs by the thing that was followed; doubt: counts added to the total of each."""
    totals = np.bincount(pairs["thing"], weights=pairs["count"], minlength=things)
    pairs["share"] = pairs["count"] / (totals[pairs["thing"]] + doubt)
    # The most frequent followers first; of equally frequent ones the lower index.
    pairs = pairs.sort_values(["thing", "count", "follower"], ascending=[True, False, True])
    place = pairs.groupby("thing").cumcount()
    kept = pairs[place < _MOST]
    place = place[place < _MOST]
    most = 1 + int(place.max()) if len(place) else 1
    followers, shares = np.full((things, most), -1, np.int32), np.zeros((things, most), np.float32)
    followers[kept["thing"], place] = kept["follower"] - FIRST
    shares[kept["thing"], place] = kept["share"]
    return Followers(followers, shares)


def search_weights(quality: Callable[[Floats], float], heard: Sequence[str] = VOICES) -> Floats:
    """Return the weights [voices], adding up to 1, that `quality` finds best; only the voices of `heard` may speak.

    One voice after the other, the towers' weight staying at 1 (coordinate ascent on a grid): few weights are tried, so
    that few can be right by chance. Without a gain the towers speak alone.
    """
    best = np.eye(len(VOICES))[0]
    highest = quality(best)
    for voice in [at for at, name in enumerate(VOICES) if at > 0 and name in heard] * _ROUNDS:
        for weight in _TRIED:
            tried = best.copy()
            tried[voice] = weight
            if weight != best[voice] and (reached := quality(tried / tried.sum())) > highest:
                best, highest = tried, reached
    return np.asarray(best / best.sum(), np.float64)


def save_mixture(path: Path, weights: Floats, counts: Counts) -> None:
    """Write weights and counts to one .npz file."""
    np.savez_compressed(
        path,
        weights=weights.astype(np.float32),
        followers=counts.transitions.items,
        shares=counts.transitions.shares,
        search_keys=counts.search_keys,
        found=counts.searches.items,
        found_shares=counts.searches.shares,
    )


def load_mixture(path: Path) -> tuple[npt.NDArray[np.float32], Counts]:
    """Read what `save_mixture` wrote."""
    with np.load(path) as arrays:
        transitions = Followers(arrays["followers"], arrays["shares"])
        searches = Followers(arrays["found"], arrays["found_shares"])
        # Runs of an earlier version know one voice less.
        weights = np.pad(arrays["weights"], (0, len(VOICES) - len(arrays["weights"])))
        return weights, Counts(transitions, searches, arrays["search_keys"])
