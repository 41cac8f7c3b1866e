"""Filters fitted on training events: the k-core, and users who look like bots (article section 10.3)."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.cluster import KMeans
from sklearn.ensemble import IsolationForest
from sklearn.preprocessing import StandardScaler

from recsys_tf.config import FilterConfig
from recsys_tf.events.schema import has_time

_FEWEST_EVENTS_OF_A_BOT = 20  # fewer say too little about their sender
_FEWEST_USERS_TO_FIT = 50  # fewer have no typical user to differ from
_CLUSTERS = 8
_ORDINARY_RADIUS = 0.99  # the share of ordinary users that lies within the radius
_BEYOND = 1.25  # on the simulated shop this finds all 20 bots and flags 2 of its 558 people with 20 or more events


@dataclass(frozen=True)
class Core:
    """Users and items that survive the k-core."""

    users: pd.Index
    items: pd.Index


def k_core(training: pd.DataFrame, user_core: int, item_core: int) -> Core:
    """Drop users and items with too few training events until every one left has enough.

    training: event table; searches count for their user and never for an item.
    """
    user, users = pd.factorize(training["user_id"])
    item, items = pd.factorize(training["item_id"])
    is_item = (training["item_id"] != "").to_numpy()
    keep = np.ones(len(training), dtype=bool)
    while True:
        enough_users = np.bincount(user[keep], minlength=len(users)) >= user_core
        enough_items = np.bincount(item[keep & is_item], minlength=len(items)) >= item_core
        still = keep & enough_users[user] & (enough_items[item] | ~is_item)
        if still.sum() == keep.sum():
            break
        keep = still
    return Core(pd.Index(users[np.unique(user[keep])]), pd.Index(items[np.unique(item[keep & is_item])]))


def bot_like_users(training: pd.DataFrame, config: FilterConfig) -> pd.Index:
    """Return the users who look like bots to two views at once: an isolation forest and distance from any cluster.

    A user is flagged when IsolationForest isolates them quickly *and* they lie outside the radius of every cluster of
    the ordinary users; each alone flags too many lively but genuine people. Liu, Ting & Zhou 2008 (Isolation Forest).
    """
    profile = user_statistics(training)
    profile = profile[profile["events"] >= _FEWEST_EVENTS_OF_A_BOT]
    if len(profile) < _FEWEST_USERS_TO_FIT:
        return pd.Index([], dtype="str")
    scaled = StandardScaler().fit_transform(profile.assign(events=np.log1p(profile["events"])).to_numpy())
    forest = IsolationForest(contamination=config.bot_contamination, random_state=config.seed, n_estimators=200)
    isolated = forest.fit_predict(scaled) == -1
    ordinary = scaled[~isolated]
    clusters = KMeans(min(_CLUSTERS, len(ordinary)), n_init=4, random_state=config.seed).fit(ordinary)
    distance = clusters.transform(scaled).min(axis=1)
    # Somewhat beyond the radius of the crowd: a bot is not at the edge of it, it is elsewhere.
    far = distance > _BEYOND * np.quantile(distance[~isolated], _ORDINARY_RADIUS)
    flagged: pd.Index = profile.index[isolated & far]
    return flagged


def user_statistics(training: pd.DataFrame) -> pd.DataFrame:
    """Describe each user's behaviour, one row a user: how much, how regularly, at what hours, on what.

    The time columns are there for logs that have times only.
    """
    user, users = pd.factorize(training["user_id"])
    events = np.bincount(user)
    behavior = training["behavior"].astype("str")
    columns: dict[str, npt.NDArray[np.float64]] = {"events": events.astype(np.float64)}
    for name in ("view", "purchase", "search"):
        columns[f"{name}_share"] = np.bincount(user, weights=(behavior == name).to_numpy()) / events
    pairs = pd.DataFrame({"user": user, "item": pd.factorize(training["item_id"])[0]}).drop_duplicates()
    columns["distinct_item_share"] = np.bincount(pairs["user"], minlength=len(users)) / events
    if has_time(training):
        columns |= _rhythm(user, training["timestamp"].to_numpy(), len(users))
    return pd.DataFrame(columns, index=pd.Index(users, name="user_id"))


def _rhythm(
    user: npt.NDArray[np.intp], timestamp: npt.NDArray[np.int64], users: int
) -> dict[str, npt.NDArray[np.float64]]:
    hour = timestamp // 3_600_000 % 24
    spread = pd.DataFrame({"user": user, "hour": hour}).drop_duplicates()
    same_user = user[1:] == user[:-1]
    log_gap = np.log1p(np.maximum(np.diff(timestamp), 0)[same_user] / 1000.0)
    gaps = pd.Series(log_gap).groupby(user[1:][same_user])
    everyone = np.arange(users)
    return {
        "hours_of_day": np.bincount(spread["user"], minlength=users).astype(np.float64),
        "median_log_gap": gaps.median().reindex(everyone, fill_value=0.0).to_numpy(),
        "deviation_log_gap": gaps.std().reindex(everyone).fillna(1.0).to_numpy(),
    }
