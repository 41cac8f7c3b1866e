"""Logs of a few users whose every event a test knows."""

from pathlib import Path

import numpy as np
import pandas as pd

from recsys_tf.config import (
    FeatureConfig,
    FilterConfig,
    SplitConfig,
)
from recsys_tf.sequences.dataset import PreparedData, open_prepared
from recsys_tf.sequences.prepare import PrepareSettings, prepare

LEAVE_ONE_OUT = SplitConfig(method="leave_one_out")


def prepare_log(
    users: dict[str, list[str]], target: Path, split: SplitConfig = LEAVE_ONE_OUT, min_users: int = 1
) -> PreparedData:
    """Prepare a log of views of items and searches ("?"), one event a day."""
    pairs = [(user, item, at) for user, items in users.items() for at, item in enumerate(items)]
    events = pd.DataFrame(pairs, columns=["user_id", "item_id", "position"])
    searched = events["item_id"] == "?"
    events["behavior"] = np.where(searched, "search", "view")
    events["query"] = np.where(searched, "red halo", "")
    events.loc[searched, "item_id"] = ""
    events["timestamp"] = (1 + events["position"]) * 86_400_000
    events["device"] = "app"
    names = sorted(set(events["item_id"]) - {""})
    items = pd.DataFrame({"item_id": names, "category_id": "c", "price": 1.0, "title": "halo"})
    settings = PrepareSettings(split, FilterConfig(drop_bots=False), FeatureConfig(min_users=min_users))
    prepare(events, items, settings, target)
    return open_prepared(target)
