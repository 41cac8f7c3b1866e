"""What an item is to the model: its id, and everything that the catalogue says of it."""

import dataclasses
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from recsys_tf.models.candidate_tower import CandidateTower, WordEmbedding
from recsys_tf.models.event_embedding import EventSizes
from recsys_tf.sequences.catalogue import Catalogue
from recsys_tf.sequences.vocabularies import FIRST, UNKNOWN

WIDTH = 6
SIZES = EventSizes(item=7, category=5, behavior=9, device=4, price=4, gap=28, hour=25, weekday=8, words=8)

# Rows 3 and 4 differ in their ids only; training has seen neither row 7 nor 8 nor 9, and 8 and 9 look alike.
CATALOGUE = Catalogue(
    item_ids=tuple("abcdefg"),
    titles=tuple("abcdefg"),
    categories=tuple("abbcbcc"),
    item=np.array([0, 1, 2, 3, 4, 5, 6, UNKNOWN, UNKNOWN, UNKNOWN], np.int32),
    category=np.array([0, 1, 2, 3, 3, 4, 3, 4, 3, 3], np.int32),
    price_bucket=np.array([0, 0, 0, 1, 1, 2, 3, 1, 2, 2], np.int32),
    price=np.zeros(10, np.float32),
    title_words=np.array(
        [[0] * 4, [0] * 4, [0] * 4, [3, 4, 0, 0], [3, 4, 0, 0], [5, 6, 7, 0], [0] * 4, [5, 0, 0, 0], [6, 2, 0, 0],
         [6, 2, 0, 0]], np.int32
    ),
    vectors=np.array([[0, 0]] * 3 + [[1, 2], [1, 2], [0, 0], [3, -1], [0, 1], [2, 2], [2, 2]], np.float32),
)  # fmt: skip


def tower(catalogue: Catalogue = CATALOGUE, sizes: EventSizes = SIZES, item_dropout: float = 0.0) -> CandidateTower:
    built = CandidateTower(catalogue, sizes, WordEmbedding(sizes.words, WIDTH), WIDTH, item_dropout)
    built.table()
    random = np.random.default_rng(0)
    built.set_weights([random.normal(size=weight.shape) for weight in built.get_weights()])
    return built


def weight(built: Any, name: str) -> Any:
    (found,) = [one.numpy() for one in built.weights if f"{name}/" in one.name]
    return found


def test_a_candidate_is_the_sum_of_its_features() -> None:
    built = tower()
    words = weight(built, "words")
    # Training has seen the items of rows 3 to 6, and three of those have a vector.
    usual = (2 * np.sqrt(5.0) + np.sqrt(10.0)) / 3
    got = built(tf.constant([3, 7, 6])).numpy()
    by_hand = [
        weight(built, "item")[3]
        + weight(built, "category")[3]
        + weight(built, "price")[1]
        + (words[3] + words[4]) / 2
        + np.array([1.0, 2.0]) / usual @ weight(built, "vector"),
        weight(built, "item")[UNKNOWN]
        + weight(built, "category")[4]
        + weight(built, "price")[1]
        + words[5]
        + np.array([0.0, 1.0]) / usual @ weight(built, "vector"),
        # An item without a title.
        weight(built, "item")[6]
        + weight(built, "category")[3]
        + weight(built, "price")[3]
        + np.array([3.0, -1.0]) / usual @ weight(built, "vector"),
    ]
    assert got == pytest.approx(np.array(by_hand), abs=1e-5)


@pytest.mark.parametrize("scale", [0.01, 1.0, 1000.0])
def test_a_fresh_vector_drowns_nothing_whatever_its_scale(scale: float) -> None:
    tf.keras.utils.set_random_seed(0)
    catalogue = dataclasses.replace(CATALOGUE, vectors=CATALOGUE.vectors * np.float32(scale))
    built = CandidateTower(catalogue, SIZES, WordEmbedding(SIZES.words, WIDTH), WIDTH, 0.0)
    with_vectors = built.table().numpy()
    (projection,) = [one for one in built.weights if "vector/" in one.name]
    projection.assign(tf.zeros_like(projection))
    # Row 6 has the longest vector; its share is of the size of an embedding's.
    assert np.abs(with_vectors - built.table().numpy())[6].max() < 0.2


def test_the_table_is_every_row_asked_for() -> None:
    built = tower()
    table = built.table().numpy()
    assert table.shape == (built.rows, WIDTH) == (10, WIDTH)
    asked = np.array([[9, 0, 3], [2, 7, 1]], np.int32)
    assert built(tf.constant(asked)).numpy() == pytest.approx(table[asked], abs=1e-6)


def test_hidden_ids_leave_the_other_features() -> None:
    built = tower(item_dropout=1.0)
    plain, hidden = built.table().numpy(), built.table(training=True).numpy()
    assert np.abs(plain[3] - plain[4]).max() > 1e-3
    assert hidden[3] == pytest.approx(hidden[4], abs=1e-6)
    assert np.abs(hidden[3] - hidden[5]).max() > 1e-3
    # Padding, the start token and what is unknown anyway have nothing to hide.
    assert hidden[[0, 1, 2, 7, 8, 9]] == pytest.approx(plain[[0, 1, 2, 7, 8, 9]], abs=1e-6)


def test_a_share_of_the_ids_is_hidden() -> None:
    tf.random.set_seed(1)
    built = tower(item_dropout=0.3)
    plain = built(tf.constant([3])).numpy()
    many = built(tf.fill([4000], 3), training=True).numpy()
    share = (np.abs(many - plain).max(axis=1) > 1e-4).mean()
    assert share == pytest.approx(0.3, abs=0.04)


def test_an_unknown_item_is_placed_by_its_features() -> None:
    table = tower().table().numpy()
    assert np.isfinite(table).all()
    assert np.abs(table[7] - table[8]).max() > 1e-3
    assert (table[8] == table[9]).all()


@pytest.mark.parametrize("missing", ["category", "price", "title", "vector"])
def test_what_a_log_does_not_have_costs_no_weights(missing: str) -> None:
    sizes, catalogue = SIZES, CATALOGUE
    match missing:
        case "category":
            sizes = dataclasses.replace(SIZES, category=FIRST)
        case "price":
            catalogue = dataclasses.replace(CATALOGUE, price_bucket=np.zeros(10, np.int32))
        case "title":
            catalogue = dataclasses.replace(CATALOGUE, title_words=np.zeros((10, 4), np.int32))
        case "vector":
            catalogue = dataclasses.replace(CATALOGUE, vectors=np.zeros((10, 0), np.float32))
    built = tower(catalogue, sizes)
    assert len(built.trainable_weights) == len(tower().trainable_weights) - 1
    assert built.table().shape == (10, WIDTH)


static_or_not = pytest.mark.parametrize("static_shapes", [False, True])


@static_or_not
def test_words_are_averaged_without_padding(static_shapes: bool) -> None:
    words = WordEmbedding(8, WIDTH, static_shapes)
    got = words(tf.constant([[[5, 2, 0], [0, 0, 0]], [[3, 3, 4], [7, 0, 0]]])).numpy()
    table = words.weights[0].numpy()
    assert got.shape == (2, 2, WIDTH)
    assert got[0, 0] == pytest.approx((table[5] + table[2]) / 2, abs=1e-7)
    assert not got[0, 1].any()
    assert got[1, 0] == pytest.approx((2 * table[3] + table[4]) / 3, abs=1e-7)
    assert got[1, 1] == pytest.approx(table[7], abs=1e-7)


@static_or_not
def test_words_learn_from_where_they_are(static_shapes: bool) -> None:
    words = WordEmbedding(8, WIDTH, static_shapes)
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(words(tf.constant([[[5, 2], [0, 0]], [[3, 0], [0, 0]]])))
    learnt = tf.convert_to_tensor(tape.gradient(loss, words.weights[0])).numpy()[:, 0]
    assert learnt.tolist() == [0, 0, 0.5, 1, 0, 0.5, 0, 0]


@static_or_not
def test_no_words_at_all_are_zeros(static_shapes: bool) -> None:
    words = WordEmbedding(8, WIDTH, static_shapes)
    got = words(tf.zeros([2, 3, 0], tf.int32)).numpy()
    assert got.shape == (2, 3, WIDTH)
    assert not got.any()
