"""Looking up gives the rows and hands their gradients back, summed."""

from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from recsys_tf.models.lookup import Embedding, FixedLookup, lookup

TABLE = np.arange(12, dtype=np.float32).reshape(4, 3)


def gradient(table: Any, found: Any) -> Any:
    variable = tf.Variable(table)
    with tf.GradientTape() as tape:
        rows = found(variable)
        weights = tf.range(1.0, 1.0 + tf.cast(tf.size(rows), tf.float32))
        loss = tf.reduce_sum(rows * tf.reshape(weights, tf.shape(rows)))
    return rows.numpy(), tape.gradient(loss, variable)


def test_the_gradient_is_dense_and_adds_up_what_came_twice() -> None:
    rows, by_table = gradient(TABLE, lambda table: lookup(table, tf.constant([[2, 0], [2, 3]])))
    assert rows.tolist() == TABLE[[[2, 0], [2, 3]]].tolist()
    assert not isinstance(by_table, tf.IndexedSlices)
    assert by_table.numpy().tolist() == [[4, 5, 6], [0, 0, 0], [1 + 7, 2 + 8, 3 + 9], [10, 11, 12]]


@pytest.mark.parametrize("static_shapes", [False, True])
def test_fixed_ids_give_what_looking_them_up_gives(static_shapes: bool) -> None:
    ids = np.array([3, 1, 1, 0, 3])
    fixed = FixedLookup(ids, 4, static_shapes=static_shapes)
    expected = gradient(TABLE, lambda table: lookup(table, ids))
    found = gradient(TABLE, fixed)
    assert found[0].tolist() == expected[0].tolist()
    assert found[1].numpy().tolist() == expected[1].numpy().tolist()


@pytest.mark.parametrize("static_shapes", [False, True])
def test_bags_are_summed_and_an_empty_one_is_zero(static_shapes: bool) -> None:
    # Three bags: {1, 1, 2}, nothing, {0}.
    fixed = FixedLookup(np.array([1, 1, 2, 0]), 4, np.array([0, 0, 0, 2]), 3, static_shapes)
    rows, by_table = gradient(TABLE, fixed)
    assert rows.tolist() == [(2 * TABLE[1] + TABLE[2]).tolist(), [0, 0, 0], TABLE[0].tolist()]
    assert by_table.numpy().tolist() == [[7, 8, 9], [2, 4, 6], [1, 2, 3], [0, 0, 0]]


@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16"])
def test_an_embedding_answers_in_the_precision_it_computes_in(policy: str) -> None:
    embedding = Embedding(4, 3, dtype=tf.keras.mixed_precision.Policy(policy))
    first = embedding.fixed(FixedLookup(np.array([2, 2]), 4))
    assert first.dtype == embedding(tf.constant([2])).dtype == embedding.compute_dtype
    assert len(embedding.weights) == 1
    assert embedding.weights[0].dtype == tf.float32
    assert (first.numpy() == embedding(tf.constant([2, 2])).numpy()).all()
