"""One function from raw events to integers, checked value by value."""

import numpy as np
import pytest
import tensorflow as tf

from recsys_tf.events.schema import BEHAVIORS
from recsys_tf.sequences.dataset import PreparedData
from recsys_tf.sequences.features import EventFeatures, EventIds, words_of
from recsys_tf.sequences.vocabularies import FIRST, PADDING, START, UNKNOWN

MONDAY = 1_704_067_200_000  # 2024-01-01T00:00:00Z


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Red  TENT, 2-person!", ["red", "tent", "2", "person"]),
        ("连衣裙 ÄRMEL", ["连", "衣", "裙", "ärmel"]),
        ("", []),
        (" .,; ", []),
    ],
)
def test_words(text: str, words: list[str]) -> None:
    assert [word.decode() for word in words_of(tf.constant([text]))[0].numpy()] == words


def features_of(prepared: PreparedData, **columns: list[str]) -> dict[str, np.ndarray]:
    space = prepared.space
    texts = {name: tf.constant([columns[name]]) for name in ("item_id", "behavior", "query", "device")}
    ids = EventIds(space)(**texts)
    ids["timestamp"] = tf.constant([columns["timestamp"]], tf.int64)
    return {name: value.numpy()[0] for name, value in EventFeatures(space)(ids).items()}


def test_every_feature_of_a_short_history(prepared: PreparedData) -> None:
    space = prepared.space
    item, word, device = space.catalogue.item_ids[7], space.word_vocabulary.tokens[0], space.devices.tokens[0]
    got = features_of(
        prepared,
        item_id=[item, "", "never seen", ""],
        behavior=["view", "search", "cart", ""],
        query=["", f"{word} unheard-of", "", ""],
        device=[device, "", "toaster", ""],
        timestamp=[MONDAY, MONDAY + 3_000, MONDAY + 90_003_000, 0],
    )
    row = FIRST + 7
    assert got["item"].tolist() == [space.catalogue.item[row], PADDING, UNKNOWN, PADDING]
    assert got["category"].tolist() == [space.catalogue.category[row], PADDING, UNKNOWN, PADDING]
    behaviors = [FIRST + BEHAVIORS.index(name) for name in ("view", "search", "cart")]
    assert got["behavior"].tolist() == [*behaviors, PADDING]
    assert got["device"].tolist() == [FIRST, PADDING, UNKNOWN, PADDING]
    assert got["words"][1].tolist() == [FIRST, UNKNOWN, UNKNOWN, PADDING]
    assert got["gap"].tolist() == [0, 1 + 2, 1 + 16, 0]  # 3 s: log2(4) = 2; 90,000 s: log2(90,001) = 16.4
    assert got["hour"].tolist() == [1, 1, 2, 0]
    assert got["weekday"].tolist() == [1, 1, 2, 0]
    assert got["price"][0] == space.catalogue.price_bucket[row] > 0
    scaler = space.gap_scaler
    assert got["scaled_gap"][1] == pytest.approx((np.log1p(3.0) - scaler.mean) / scaler.deviation, abs=1e-5)
    assert got["scaled_gap"][0] == got["scaled_gap"][3] == 0


def test_tokens_tell_pairs_and_searches_apart(prepared: PreparedData) -> None:
    space, features = prepared.space, EventFeatures(prepared.space)
    ids = {
        "row": tf.constant([[START, FIRST, FIRST, 0, 0, 0]], tf.int64),
        "behavior": tf.constant([[START, FIRST, FIRST + 3, FIRST + 1, FIRST + 1, 0]], tf.int64),
        "device": tf.zeros([1, 6], tf.int64),
        "timestamp": tf.zeros([1, 6], tf.int64),
        "words": tf.constant([[[0, 0], [0, 0], [0, 0], [UNKNOWN, FIRST + 1], [UNKNOWN, 0], [0, 0]]], tf.int64),
    }
    tokens = features.inputs(ids, "token").numpy()[0]
    categories = space.categories.size
    category = int(space.catalogue.category[FIRST])
    searches = FIRST + len(BEHAVIORS) * categories
    assert tokens.tolist() == [
        START, FIRST + category, FIRST + 3 * categories + category, searches + FIRST + 1, searches, PADDING,
    ]  # fmt: skip
    assert max(tokens) < features.vocab_size
    numbers = features.inputs(ids, "numeric").numpy()[0]
    assert numbers.shape == (6, features.num_features)
    assert not numbers[5].any()
    assert numbers[:5, 0].tolist() == [1] * 5
    assert numbers[1].sum() != numbers[2].sum() or (numbers[1] != numbers[2]).any()
