"""The simulation as tables: everything numbered inside gets the ids and names that the files show."""

from typing import Any

import numpy as np
import pandas as pd

from recsys_tf.events import simulated_laws as laws
from recsys_tf.events.schema import BEHAVIORS
from recsys_tf.events.simulated_events import Happenings
from recsys_tf.events.simulated_laws import Ints, Texts
from recsys_tf.events.simulated_shop import Shop
from recsys_tf.events.simulated_truth import Guesses
from recsys_tf.events.simulated_visits import Sessions, Steps, Users


def event_table(shop: Shop, happenings: tuple[Happenings, ...], user_ids: Texts) -> pd.DataFrame:
    """Return the genuine events of all `happenings`, one after another; `user_ids` [events] are theirs."""

    def joined(name: str) -> Any:
        return np.concatenate([getattr(part, name) for part in happenings])

    # Item -1, a search, takes the last name: none.
    item_names = np.append(shop.item_ids, "")
    return pd.DataFrame(
        {
            "user_id": pd.Series(user_ids, dtype="str"),
            "item_id": pd.Series(item_names[joined("item")], dtype="str"),
            "behavior": pd.Series(np.array(BEHAVIORS, dtype=object)[joined("behavior")], dtype="str"),
            "timestamp": joined("timestamp"),
            "query": pd.Series(joined("query"), dtype="str"),
            "device": pd.Series(np.array(laws.DEVICES, dtype=object)[joined("device")], dtype="str"),
        }
    )


def guess_table(shop: Shop, events: pd.DataFrame, guesses: tuple[Guesses, ...]) -> pd.DataFrame:
    """Return the best guess at each row of `events`."""
    best = np.concatenate([part.category for part in guesses])
    return pd.DataFrame(
        {
            "user_id": events["user_id"],
            "timestamp": events["timestamp"],
            "next_category": pd.Series(shop.category_ids[best], dtype="str"),
            "probability": np.concatenate([part.probability for part in guesses]),
        }
    )


def user_table(users: Users, names: Texts, bots: int) -> pd.DataFrame:
    """Return what is true of each user; the last `bots` of `names` are bots, which have no tastes (tier -1)."""
    devices = np.append(np.array(laws.DEVICES, dtype=object), "")
    styles = np.append(np.array(laws.STYLES, dtype=object), "")

    def padded(values: Ints) -> Ints:
        return np.append(values, np.full(bots, -1))

    table = pd.DataFrame(
        {
            "user_id": pd.Series(names, dtype="str"),
            "is_bot": np.arange(len(names)) >= len(names) - bots,
            "price_tier": padded(users.tier),
            "style": pd.Series(styles[padded(users.style)], dtype="str"),
            "main_device": pd.Series(devices[padded(users.main_device)], dtype="str"),
            "second_device": pd.Series(devices[padded(users.second_device)], dtype="str"),
        }
    )
    return table.sort_values("user_id", ignore_index=True)


def interest_table(interests: Ints, names: Texts) -> pd.DataFrame:
    """Return one row per user, mission and period in which the user's missions changed."""
    changed = np.ones(interests.shape[:2], dtype=np.bool_)
    changed[1:] = (interests[1:] != interests[:-1]).any(axis=2)
    period, user = np.nonzero(changed)
    slots = len(laws.INTEREST_WEIGHTS)
    table = pd.DataFrame(
        {
            "user_id": pd.Series(np.repeat(names[user], slots), dtype="str"),
            "timestamp": np.repeat(laws.LOG_START_MS + period * laws.PERIOD_DAYS * laws.MS_PER_DAY, slots),
            "mission": interests[period, user].ravel(),
            "weight": np.tile(laws.INTEREST_WEIGHTS, len(user)),
        }
    )
    return table.sort_values(["user_id", "timestamp"], kind="stable", ignore_index=True)


def step_table(sessions: Sessions, steps: Steps, events: Happenings, names: Texts) -> pd.DataFrame:
    """Return where on which mission each user stands, from the first event of each step on."""
    user = sessions.user[steps.session]
    table = pd.DataFrame(
        {
            "user_id": pd.Series(names[user], dtype="str"),
            "timestamp": events.timestamp[events.place == 0],
            "mission": steps.mission,
            "place": steps.place,
        }
    )
    return table.take(np.lexsort((table["timestamp"].to_numpy(), names[user]))).reset_index(drop=True)


def shop_facts(shop: Shop) -> dict[str, Any]:
    """Return what the judge must know of the shop, as plain JSON values."""
    return {
        "start": laws.LOG_START_MS,
        "categories": shop.category_ids.tolist(),
        "routes": shop.routes.tolist(),
        "mission_popularity": np.round(shop.mission_popularity, 6).tolist(),
        "items": {
            "item_id": shop.item_ids.tolist(),
            "category": shop.category.tolist(),
            "price_tier": shop.tier.tolist(),
            "style": [laws.STYLES[style] for style in shop.style],
            "quality": np.round(shop.quality, 3).tolist(),
            "launch_day": shop.launch_day.tolist(),
        },
    }
