"""One vector per event; padding, hidden features and the round trip of its configuration."""

import numpy as np
import pytest
import tensorflow as tf

from recsys_tf.models.event_embedding import EventEmbedding, EventSizes

SIZES = EventSizes(item=9, category=5, behavior=9, device=4, price=4, gap=28, hour=25, weekday=8, words=7)


def features(batch: int = 2, length: int = 5) -> dict[str, tf.Tensor]:
    random = np.random.default_rng(0)
    values = {
        name: tf.constant(random.integers(1, size, (batch, length)), tf.int32)
        for name, size in vars(SIZES).items()
        if name != "words"
    }
    return {**values, "words": tf.constant(random.integers(0, SIZES.words, (batch, length, 3)), tf.int32)}


def test_an_event_is_the_sum_of_its_features_and_the_mean_of_its_words() -> None:
    layer = EventEmbedding(SIZES, 4)
    given = features(1, 1)
    given["words"] = tf.constant([[[2, 5, 0]]])
    vector = layer(given)[0, 0].numpy()
    tables = {table.name: table.embeddings.numpy() for table in layer._embeddings.values()}
    expected = sum(tables[name][int(given[name][0, 0])] for name in vars(SIZES) if name != "words")
    expected = expected + (tables["words"][2] + tables["words"][5]) / 2
    assert vector == pytest.approx(expected, abs=1e-6)


def test_the_mask_is_where_there_is_an_event() -> None:
    given = features(1, 3)
    given["behavior"] = tf.constant([[1, 4, 0]])
    assert EventEmbedding(SIZES, 4).compute_mask(given).numpy().tolist() == [[True, True, False]]


def test_nothing_is_hidden_outside_training_and_everything_can_be_in_it() -> None:
    layer = EventEmbedding(SIZES, 4, item_dropout=1.0, context_dropout=1.0)
    given = features()
    plain = layer(given).numpy()
    assert (layer(given).numpy() == plain).all()
    hidden = {**given, "item": tf.where(given["item"] > 2, 2, given["item"])}
    hidden |= {name: tf.zeros_like(given[name]) for name in ("device", "gap", "hour", "weekday")}
    assert layer(given, training=True).numpy() == pytest.approx(layer(hidden).numpy(), abs=1e-6)


def test_the_configuration_makes_an_equal_layer() -> None:
    layer = EventEmbedding(SIZES, 4, 0.25, 0.5, name="events")
    again = EventEmbedding.from_config(layer.get_config())
    assert again.get_config() == layer.get_config()
    layer(features()), again(features())
    again.set_weights(layer.get_weights())
    assert (again(features()).numpy() == layer(features()).numpy()).all()
