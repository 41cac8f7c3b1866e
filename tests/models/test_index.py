"""The exact index against the evaluation's ranking metrics."""

import numpy as np
import pytest
import scipy.sparse as sp
import tensorflow as tf

from recsys_tf.evaluation import ranking_metrics
from recsys_tf.models.index import scores, target_ranks, top_items, without

QUERIES, ITEMS = 9, 14


def case() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return scores with many ties, targets with one that is not in the catalogue, and items to take out."""
    random = np.random.default_rng(0)
    values = random.integers(0, 5, (QUERIES, ITEMS)).astype(np.float32)
    targets = random.integers(0, ITEMS, QUERIES)
    targets[3] = -1
    taken = random.integers(-2, ITEMS, (QUERIES, 6))
    # A target that is taken out is a case of its own.
    return values, targets, np.where(taken == targets[:, None], -1, taken)


def test_scores_are_dot_products() -> None:
    random = np.random.default_rng(1)
    queries, candidates = random.normal(size=(3, 4)), random.normal(size=(5, 4))
    got = scores(tf.constant(queries), tf.constant(candidates)).numpy()
    assert got == pytest.approx(np.array([[q @ c for c in candidates] for q in queries]))


def test_ranks_are_those_of_the_evaluation() -> None:
    values, targets, _ = case()
    got = target_ranks(tf.constant(values), tf.constant(targets)).numpy()
    assert got.dtype == np.int32
    assert got.tolist() == ranking_metrics.target_ranks(values, targets).tolist()
    assert got[3] == 0


def test_a_tie_counts_against_the_target() -> None:
    values = tf.constant([[1.0, 3.0, 3.0, 3.0, 0.0]])
    assert [int(target_ranks(values, tf.constant([target]))[0]) for target in range(5)] == [4, 3, 3, 3, 5]


def test_items_that_are_taken_out_leave_the_competition() -> None:
    values, targets, taken = case()
    left = without(tf.constant(values), tf.constant(taken))
    out = np.zeros(values.shape, bool)
    for query, items in enumerate(taken):
        out[query, items[items >= 0]] = True
    assert (np.isneginf(left.numpy()) == out).all()
    assert (left.numpy()[~out] == values[~out]).all()
    expected = ranking_metrics.target_ranks(values, targets, sp.csr_matrix(out))
    assert target_ranks(left, tf.constant(targets)).numpy().tolist() == expected.tolist()


def test_a_target_that_is_taken_out_is_never_found() -> None:
    left = without(tf.constant([[0.5, 2.0, 1.0]]), tf.constant([[1, -1, 1]], tf.int64))
    assert target_ranks(left, tf.constant([1])).numpy().tolist() == [0]
    assert target_ranks(left, tf.constant([2])).numpy().tolist() == [1]


def test_nothing_to_take_out() -> None:
    values = tf.constant([[0.5, 2.0]])
    assert without(values, tf.constant([[-3, -1]])).numpy().tolist() == values.numpy().tolist()
    assert without(values, tf.zeros([1, 0], tf.int32)).numpy().tolist() == values.numpy().tolist()


@pytest.mark.parametrize("k", [1, 5, ITEMS, ITEMS + 3])
def test_the_best_items_come_best_first(k: int) -> None:
    values, _, _ = case()
    value, item = (one.numpy() for one in top_items(tf.constant(values), k))
    number = min(k, ITEMS)
    assert value.shape == item.shape == (QUERIES, number)
    # Of equal scores the lower index comes first, as in the evaluation.
    assert item.tolist() == ranking_metrics.top_items(values, number).tolist()
    assert (value == np.take_along_axis(values, item, axis=1)).all()
