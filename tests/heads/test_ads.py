"""The ads head's features by hand, its calibration by scikit-learn, and look-alike audiences on a picture of three."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from sklearn.isotonic import IsotonicRegression

from recsys_tf.config import TwoTowerConfig
from recsys_tf.heads.ads import FEATURES, AdsHead, Calibration, PairFeatures
from recsys_tf.heads.look_alike import mean_query, most_alike
from recsys_tf.models.query_tower import ANY_BEHAVIOR
from recsys_tf.models.retrieval import Retrieval
from recsys_tf.sequences.dataset import PreparedData
from recsys_tf.sequences.vocabularies import FIRST, START
from recsys_tf.training.fit_ads import calibrate
from recsys_tf.training.fit_two_tower import new_two_tower


@pytest.fixture(scope="module")
def retrieval(prepared: PreparedData) -> Retrieval:
    tf.keras.utils.set_random_seed(3)
    model = new_two_tower(prepared, TwoTowerConfig(width=16, layers=1))
    for weight in model.trainable_weights:
        weight.assign(tf.random.normal(weight.shape, stddev=0.2))
    return Retrieval(model, prepared.space)


def ids_of(*histories: list[int]) -> dict[str, Any]:
    """Histories of views of catalogue rows, behind the start token."""
    longest = max(map(len, histories))
    row = np.array([[START, *one] + [0] * (longest - len(one)) for one in histories], np.int64)
    there = row > 0
    behavior = np.where(row >= FIRST, FIRST, np.where(there, START, 0))
    zeros = np.zeros_like(row)
    named = {"row": row, "behavior": behavior, "device": zeros, "timestamp": zeros, "words": np.zeros((*row.shape, 1))}
    return {name: tf.constant(values, tf.int64) for name, values in named.items()}


def test_features_are_what_their_names_say(prepared: PreparedData, retrieval: Retrieval) -> None:
    catalogue = prepared.space.catalogue
    popularity = np.arange(len(catalogue), dtype=np.float32)
    features, table = PairFeatures(catalogue, popularity), retrieval.model.table()
    category = np.asarray(catalogue.category)
    first = FIRST
    same = next(row for row in range(FIRST + 1, len(category)) if category[row] == category[first])
    other = next(row for row in range(FIRST + 1, len(category)) if category[row] != category[first])
    history = [first, other, first]
    candidates = tf.constant([[first, same, other], [first, same, other]], tf.int64)
    ids = ids_of(history, [])
    each = np.moveaxis(features(retrieval, ids, candidates, table).numpy(), -1, 0)
    found = dict(zip(FEATURES, each, strict=True))
    assert found["events with the item"] == pytest.approx(np.log1p([[2, 0, 1], [0, 0, 0]]))
    assert found["events with its category"] == pytest.approx(np.log1p([[2, 2, 1], [0, 0, 0]]))
    assert found["the last item has its category"].tolist() == [[1, 1, 0], [0, 0, 0]]
    assert found["events at all"] == pytest.approx(np.log1p([[3] * 3, [0] * 3]))
    expected = np.log1p([popularity[row - FIRST] for row in (first, same, other)])
    assert found["log-popularity of the item"] == pytest.approx(np.stack([expected] * 2))
    bucket = np.asarray(catalogue.price_bucket)
    usual = bucket[history].mean()
    assert (bucket[history] > 0).all()
    name = "the item's price bucket less the user's"
    assert found[name][0] == pytest.approx(bucket[[first, same, other]] - usual, abs=1e-5)
    assert found[name][1].tolist() == [0, 0, 0]
    query = retrieval.queries(ids, tf.fill([2], ANY_BEHAVIOR), table)
    share = tf.nn.softmax(tf.matmul(query, retrieval.model.candidates(table), transpose_b=True)).numpy()
    by_towers = np.log(share[:, [first - FIRST, same - FIRST, other - FIRST]])
    assert found["log-probability by the towers"] == pytest.approx(by_towers, abs=1e-4)
    # Without a mixture the towers are all there is.
    assert found["log-probability by the mixture"] == pytest.approx(by_towers, abs=1e-4)


@pytest.mark.parametrize("method", ["platt", "isotonic"])
def test_calibrated_probabilities_keep_their_word(method: str) -> None:
    random = np.random.default_rng(0)
    logit = random.normal(size=20_000)
    # The truth is twice as steep as the logit says, and shifted.
    answer = random.random(20_000) < 1 / (1 + np.exp(-(2 * logit - 1)))
    curve = calibrate(logit, answer, method)
    assert (np.diff(curve.logit) > 0).all()
    assert (np.diff(curve.probability) >= 0).all()
    asked = np.linspace(-2, 2, 9)
    found = np.interp(asked, curve.logit, curve.probability)
    assert found == pytest.approx(1 / (1 + np.exp(-(2 * asked - 1))), abs=0.05)


def test_the_graph_draws_the_same_curve(prepared: PreparedData, tmp_path: Path) -> None:
    random = np.random.default_rng(1)
    logit, answer = random.normal(size=500), random.random(500) < 0.3
    curve = calibrate(logit, answer, "isotonic")
    features = PairFeatures(prepared.space.catalogue, np.ones(len(prepared.space.catalogue), np.float32))
    head = AdsHead(features, np.arange(len(FEATURES), dtype=np.float32), 0.5, curve)
    asked = np.concatenate([logit, [-100.0, 100.0], curve.logit]).astype(np.float32)
    expected = IsotonicRegression(out_of_bounds="clip").fit(logit, answer).predict(asked)
    assert head.calibrated(asked.reshape(-1, 1)).numpy().ravel() == pytest.approx(expected, abs=1e-5)
    head.save(tmp_path)
    loaded = AdsHead.load(tmp_path, prepared.space.catalogue)
    assert loaded.calibrated(asked).numpy().tolist() == head.calibrated(asked).numpy().tolist()
    assert (loaded.weights.tolist(), loaded.bias) == (head.weights.tolist(), 0.5)


def test_a_flat_curve_is_a_curve() -> None:
    curve = calibrate(np.arange(10.0), np.zeros(10, bool), "isotonic")
    assert isinstance(curve, Calibration)
    assert np.interp([0, 5, 20], curve.logit, curve.probability).tolist() == [0, 0, 0]


def test_the_most_alike_point_the_same_way() -> None:
    vectors = np.array([[1.0, 0], [2, 0.1], [0, 1], [5, 5], [-1, 0], [0, 0]])
    # Length does not count, the seeds themselves are left out, and who has no direction comes last.
    assert most_alike(vectors, np.array([0])).tolist() == [1, 3, 2, 4, 5]
    assert most_alike(vectors, np.array([0, 2])).tolist() == [3, 1, 4, 5]


def test_the_mean_query_leaves_padding_out(retrieval: Retrieval) -> None:
    alone, padded = ids_of([FIRST, FIRST + 1]), ids_of([FIRST, FIRST + 1], [FIRST] * 6)
    assert mean_query(retrieval, padded).numpy()[0] == pytest.approx(mean_query(retrieval, alone).numpy()[0], abs=1e-6)
    each = tf.math.l2_normalize(retrieval.every_query(alone), axis=-1).numpy()[0]
    assert mean_query(retrieval, alone).numpy()[0] == pytest.approx(each.mean(axis=0), abs=1e-6)
