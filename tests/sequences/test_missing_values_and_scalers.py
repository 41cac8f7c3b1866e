"""Statistics come from training items alone, and TensorFlow repeats what scikit-learn fitted."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf
from sklearn.preprocessing import StandardScaler

from recsys_tf.config import FeatureConfig
from recsys_tf.sequences.missing_values import fill_missing_values
from recsys_tf.sequences.scalers import fit_bucket_edges, fit_log_scaler

ITEMS = pd.DataFrame(
    {
        "item_id": list("abcdef"),
        "category_id": ["x", "x", "y", "", "y", "y"],
        "price": [1.0, 1.0, 7.0, np.nan, 1000.0, np.nan],
        "title": "",
    }
).astype({"category_id": "str"})
TRAINING = pd.Index(["a", "b", "c", "d"])


@pytest.mark.parametrize(("strategy", "value"), [("mean", 3.0), ("median", 1.0), ("mode", 1.0)])
def test_prices_are_filled_from_training_items_only(strategy: str, value: float) -> None:
    config = dataclasses.replace(FeatureConfig(), missing_price=strategy)
    filled = fill_missing_values(ITEMS, TRAINING, config)
    assert filled.items["price"].tolist() == [1, 1, 7, value, 1000, value]
    assert filled.fill["price"] == {"strategy": strategy, "value": value, "items": 2}
    assert not filled.deleted


def test_deletion_and_the_most_frequent_category() -> None:
    config = dataclasses.replace(FeatureConfig(), missing_price="delete", missing_category="mode")
    filled = fill_missing_values(ITEMS, TRAINING, config)
    assert filled.deleted == {"d", "f"}
    assert filled.items["category_id"].tolist() == ["x", "x", "y", "x", "y", "y"]
    config = dataclasses.replace(FeatureConfig(), missing_category="delete")
    assert fill_missing_values(ITEMS, TRAINING, config).deleted == {"d"}


def test_a_shop_without_prices_has_price_zero() -> None:
    nothing = ITEMS.assign(price=np.nan)
    assert fill_missing_values(nothing, TRAINING, FeatureConfig()).items["price"].tolist() == [0.0] * 6


def test_the_scaler_is_scikit_learns_inside_tensorflow() -> None:
    values = np.array([0.0, 1.0, 10.0, 1e6])
    scaler = fit_log_scaler(values)
    expected = StandardScaler().fit_transform(np.log1p(values).reshape(-1, 1))[:, 0]
    assert scaler(tf.constant(values, tf.float32)).numpy() == pytest.approx(expected, abs=1e-5)
    assert fit_log_scaler(np.zeros(0)) == fit_log_scaler(np.zeros(3))


def test_bucket_edges_divide_values_into_equal_groups() -> None:
    edges = fit_bucket_edges(np.arange(100.0), 4)
    assert np.bincount(np.searchsorted(edges, np.arange(100.0), side="right")).tolist() == [25, 25, 25, 25]
    assert fit_bucket_edges(np.ones(10), 4) == ()
    assert len(fit_bucket_edges(np.array([1.0, 2.0]), 4)) == 1
