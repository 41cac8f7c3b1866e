"""One function from raw events to integers, checked value by value."""

import numpy as np
import pytest
import tensorflow as tf

from recsys_tf.events.schema import BEHAVIORS
from recsys_tf.sequences.dataset import PreparedData
from recsys_tf.sequences.features import EventFeatures, EventIds, word_ids, words_of
from recsys_tf.sequences.vocabularies import FIRST, PADDING, START, UNKNOWN, Vocabulary

MONDAY = 1_704_067_200_000  # 2024-01-01T00:00:00Z


def tokens(text: str, ngrams: int) -> list[str]:
    return [token.decode() for token in words_of(tf.constant([text]), ngrams)[0].numpy()]


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
    assert tokens(text, 0) == words


@pytest.mark.parametrize(
    ("text", "ngrams", "expected"),
    [
        ("Halo", 3, ["halo", "#<ha", "#hal", "#alo", "#lo>"]),
        ("Halo 3", 3, ["halo", "3", "#<ha", "#hal", "#alo", "#lo>", "#<3>"]),
        ("裙ß", 3, ["裙", "ß", "#<裙>", "#<ß>"]),
        ("ärmel", 5, ["ärmel", "#<ärme", "#ärmel", "#rmel>"]),
        ("a bcd", 4, ["a", "bcd", "#<bcd", "#bcd>"]),
        ("#<ha <hal>", 3, ["ha", "hal", "#<ha", "#ha>", "#<ha", "#hal", "#al>"]),
        ("", 3, []),
        ("?!", 3, []),
    ],
)
def test_ngrams_follow_the_words(text: str, ngrams: int, expected: list[str]) -> None:
    assert tokens(text, ngrams) == expected


def test_a_misspelt_query_shares_ngrams_with_the_right_one_and_no_word() -> None:
    right, misspelt, other = (set(tokens(query, 3)) for query in ("assassin", "asassin", "zelda"))
    assert right & misspelt == {"#<as", "#ass", "#sas", "#ssi", "#sin", "#in>"}
    assert not right & other


@pytest.mark.parametrize("texts", [["Halo 3", "", "连衣裙 x"], [""], []])
def test_a_graph_splits_text_as_eager_code_does(texts: list[str]) -> None:
    text = tf.constant(texts, tf.string)
    graph = tf.function(
        lambda text: words_of(text, 3), input_signature=[tf.TensorSpec([None], tf.string)], autograph=False
    )
    assert graph(text).to_list() == words_of(text, 3).to_list()
    assert graph(text).nrows() == len(texts)


def test_ids_are_cut_after_the_words_and_padded() -> None:
    table = Vocabulary("words", ("halo", "#<ha", "3")).table()
    ids = word_ids(tf.constant(["halo 3", "hal", "", "x halo"]), table, 4, 3).numpy()
    halo, start, three = FIRST, FIRST + 1, FIRST + 2
    assert ids.tolist() == [
        [halo, three, start, UNKNOWN],
        [UNKNOWN, start, UNKNOWN, UNKNOWN],
        [PADDING] * 4,
        [UNKNOWN, halo, UNKNOWN, start],
    ]


def features_of(prepared: PreparedData, **columns: list[str]) -> dict[str, np.ndarray]:
    space = prepared.space
    texts = {name: tf.constant([columns[name]]) for name in ("item_id", "behavior", "query", "device")}
    ids = EventIds(space)(**texts)
    ids["timestamp"] = tf.constant([columns["timestamp"]], tf.int64)
    return {name: value.numpy()[0] for name, value in EventFeatures(space)(ids).items()}


def test_every_feature_of_a_short_history(prepared: PreparedData) -> None:
    space = prepared.space
    item, device = space.catalogue.item_ids[7], space.devices.tokens[0]
    number, word = next((n, token) for n, token in enumerate(space.word_vocabulary.tokens) if token[0] != "#")
    got = features_of(
        prepared,
        item_id=[item, "", "never seen", ""],
        behavior=["view", "search", "cart", ""],
        query=["", f"{word} unheard-of-q", "", ""],
        device=[device, "", "toaster", ""],
        timestamp=[MONDAY, MONDAY + 3_000, MONDAY + 90_003_000, 0],
    )
    row = FIRST + 7
    assert got["item"].tolist() == [space.catalogue.item[row], PADDING, UNKNOWN, PADDING]
    assert got["category"].tolist() == [space.catalogue.category[row], PADDING, UNKNOWN, PADDING]
    behaviors = [FIRST + BEHAVIORS.index(name) for name in ("view", "search", "cart")]
    assert got["behavior"].tolist() == [*behaviors, PADDING]
    assert got["device"].tolist() == [FIRST, PADDING, UNKNOWN, PADDING]
    assert got["words"].tolist() == [[PADDING] * 4, [FIRST + number, UNKNOWN, UNKNOWN, UNKNOWN], *[[PADDING] * 4] * 2]
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
    wordless = features.inputs({**ids, "words": ids["words"][..., :0]}, "token").numpy()[0]
    assert wordless.tolist() == [*tokens[:3], searches, searches, PADDING]
    numbers = features.inputs(ids, "numeric").numpy()[0]
    assert numbers.shape == (6, features.num_features)
    assert not numbers[5].any()
    assert numbers[:5, 0].tolist() == [1] * 5
    assert numbers[1].sum() != numbers[2].sum() or (numbers[1] != numbers[2]).any()
