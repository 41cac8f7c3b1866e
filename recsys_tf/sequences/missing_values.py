"""Missing values that a statistic fills (article section 10.3): mean, median and mode of the training items."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from sklearn.impute import SimpleImputer

from recsys_tf.config import FeatureConfig

_STRATEGY = {"mean": "mean", "median": "median", "mode": "most_frequent"}


@dataclass(frozen=True)
class FilledItems:
    """The item table without gaps, what was filled in, and the items whose events are to be left out.

    fill: the value used per column, and how many items got it.
    deleted: item ids that the configuration deletes because a value is missing.
    """

    items: pd.DataFrame
    fill: dict[str, dict[str, float | str | int]]
    deleted: frozenset[str]


def fill_missing_values(items: pd.DataFrame, training_items: pd.Index, config: FeatureConfig) -> FilledItems:
    """Fill the gaps of an item table with statistics of `training_items` alone.

    A price that cannot be filled, because no training item has one, becomes 0: the shop then has no prices at all.
    """
    in_training = items["item_id"].isin(training_items)
    fill: dict[str, dict[str, float | str | int]] = {}
    deleted: set[str] = set()

    price = items["price"].to_numpy(dtype=np.float64, copy=True)
    gap = np.isnan(price)
    known = price[in_training.to_numpy() & ~gap]
    if config.missing_price == "delete":
        deleted |= set(items.loc[gap, "item_id"])
    value = 0.0
    if len(known):
        imputer = SimpleImputer(strategy=_STRATEGY.get(config.missing_price, "median")).fit(known.reshape(-1, 1))
        value = float(imputer.statistics_[0])
    price[gap] = value
    fill["price"] = {"strategy": config.missing_price, "value": value, "items": int(gap.sum())}

    category = items["category_id"].astype("str")
    no_category = category == ""
    token = ""
    if config.missing_category == "mode":
        counts = category[in_training & ~no_category].value_counts()
        token = str(min(counts[counts == counts.max()].index)) if len(counts) else ""
        category = category.where(~no_category, token)
    elif config.missing_category == "delete":
        deleted |= set(items.loc[no_category, "item_id"])
    fill["category_id"] = {"strategy": config.missing_category, "value": token, "items": int(no_category.sum())}

    return FilledItems(items.assign(price=price, category_id=category), fill, frozenset(deleted))
