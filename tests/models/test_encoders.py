"""Every sequence encoder, one set of behaviour tests: what an answer may depend on, and what it must not."""

import dataclasses
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from recsys_tf.config import TwoTowerConfig
from recsys_tf.models.encoders import build_encoder

WIDTH, LENGTH, MOST = 8, 6, 13
# Not the same in every direction: that is what a layer normalisation takes away.
CHANGE = np.linspace(-1.0, 2.0, WIDTH, dtype=np.float32)

PLAIN = TwoTowerConfig(width=WIDTH, layers=2, heads=2, feed_forward=2, dropout=0.0)
CAUSAL = {
    "transformer": PLAIN,
    "relative bias": dataclasses.replace(PLAIN, relative_bias=True),
    "lstm": dataclasses.replace(PLAIN, encoder="lstm"),
    "gru": dataclasses.replace(PLAIN, encoder="gru"),
    "rnn": dataclasses.replace(PLAIN, encoder="rnn"),
}
BERT = {
    "bert": dataclasses.replace(PLAIN, encoder="bert"),
    "bert with relative bias": dataclasses.replace(PLAIN, encoder="bert", relative_bias=True),
}
ALL = CAUSAL | BERT
ATTENTIVE = ("transformer", "relative bias", *BERT)

causal = pytest.mark.parametrize("config", CAUSAL.values(), ids=CAUSAL)
every = pytest.mark.parametrize("config", ALL.values(), ids=ALL)
bert = pytest.mark.parametrize("config", BERT.values(), ids=BERT)
attentive = pytest.mark.parametrize("config", [ALL[name] for name in ATTENTIVE], ids=ATTENTIVE)


def events(batch: int = 3, length: int = LENGTH, seed: int = 0) -> Any:
    return np.random.default_rng(seed).normal(size=(batch, length, WIDTH)).astype(np.float32)


def encoder(config: TwoTowerConfig, seed: int = 1) -> Any:
    """Build an encoder whose weights are all different, those that begin with zeros too."""
    built = build_encoder(config, MOST)
    built(events())
    random = np.random.default_rng(seed)
    built.set_weights([random.normal(0.0, 0.3, weight.shape) for weight in built.get_weights()])
    return built


def held(*lengths: int) -> Any:
    return tf.constant(lengths, tf.int32)


@contextmanager
def precision(policy: str) -> Iterator[None]:
    before = tf.keras.mixed_precision.global_policy()
    tf.keras.mixed_precision.set_global_policy(policy)
    try:
        yield
    finally:
        tf.keras.mixed_precision.set_global_policy(before)


@every
def test_one_hidden_state_per_event(config: TwoTowerConfig) -> None:
    answer = encoder(config)(events())
    assert answer.shape == (3, LENGTH, WIDTH)
    assert answer.dtype == tf.float32
    assert np.isfinite(answer).all()


@causal
def test_an_answer_depends_on_its_event_and_on_no_later_one(config: TwoTowerConfig) -> None:
    encode = encoder(config)
    given = events()
    plain = encode(given).numpy()
    for at in range(LENGTH):
        changed = given.copy()
        changed[:, at] += CHANGE
        answer = encode(changed).numpy()
        assert answer[:, :at] == pytest.approx(plain[:, :at], abs=1e-6)
        assert (np.abs(answer[:, at:] - plain[:, at:]).max(axis=-1) > 1e-4).all()


@bert
def test_bert_answers_from_all_events_that_are_held_and_from_no_padding(config: TwoTowerConfig) -> None:
    encode = encoder(config)
    given, number = events(1), 4
    plain = encode(given, held=held(number)).numpy()[0, number - 1]
    for at in range(LENGTH):
        changed = given.copy()
        changed[:, at] += CHANGE
        moved = np.abs(encode(changed, held=held(number)).numpy()[0, number - 1] - plain).max()
        assert moved > 1e-4 if at < number else moved <= 1e-6


@every
def test_padding_changes_nothing(config: TwoTowerConfig) -> None:
    encode = encoder(config)
    given = events()
    padded = np.concatenate([given, events(length=MOST - LENGTH, seed=9)], axis=1)
    alone = encode(given, held=held(LENGTH, LENGTH, LENGTH)).numpy()
    among = encode(padded, held=held(LENGTH, LENGTH, LENGTH)).numpy()
    assert among[:, :LENGTH] == pytest.approx(alone, abs=1e-6)


@every
def test_histories_of_different_lengths_share_a_batch(config: TwoTowerConfig) -> None:
    encode = encoder(config)
    given = events()
    together = encode(given, held=held(1, 4, LENGTH)).numpy()
    for row, number in enumerate((1, 4, LENGTH)):
        alone = encode(given[row : row + 1, :number], held=held(number)).numpy()
        assert together[row, number - 1] == pytest.approx(alone[0, -1], abs=1e-5)


@every
def test_one_position_alone_has_the_answer_it_has_among_all(config: TwoTowerConfig) -> None:
    encode = encoder(config)
    given, number = events(), held(2, LENGTH, 4)
    among = encode(given, held=number).numpy()
    alone = encode(given, held=number, at=number - 1)
    assert alone.shape == (3, 1, WIDTH)
    for row, last in enumerate(number.numpy() - 1):
        assert alone.numpy()[row, 0] == pytest.approx(among[row, last], abs=1e-5)


@every
def test_the_order_of_events_counts(config: TwoTowerConfig) -> None:
    encode = encoder(config)
    given = events(1)
    swapped = given[:, [1, 0, *range(2, LENGTH)]]
    assert np.abs(encode(given).numpy()[0, -1] - encode(swapped).numpy()[0, -1]).max() > 1e-4


@every
def test_an_empty_history_has_an_answer(config: TwoTowerConfig) -> None:
    answer = encoder(config)(events(1, 1), held=held(1))
    assert answer.shape == (1, 1, WIDTH)
    assert np.isfinite(answer).all()


@every
def test_xla_gives_the_same_answers(config: TwoTowerConfig) -> None:
    encode = encoder(config)
    compiled = tf.function(lambda x, n: encode(x, held=n), jit_compile=True, autograph=False)
    number = held(2, LENGTH, 3)
    for row, last in enumerate(number.numpy() - 1):
        plain = encode(events(), held=number).numpy()[row, last]
        assert compiled(tf.constant(events()), number).numpy()[row, last] == pytest.approx(plain, abs=1e-4)


@every
def test_bfloat16_gives_nearly_the_same_answers(config: TwoTowerConfig) -> None:
    full = encoder(config)
    with precision("mixed_bfloat16"):
        half = build_encoder(config, MOST)
        half(events())
    half.set_weights(full.get_weights())
    expected, got = full(events()).numpy(), half(events())
    assert got.dtype == tf.bfloat16
    error = tf.cast(got, tf.float32).numpy() - expected
    assert 0 < np.linalg.norm(error) < 5e-2 * np.linalg.norm(expected)


@every
def test_weights_survive_the_file(config: TwoTowerConfig, tmp_path: Path) -> None:
    kept = tf.keras.Sequential([encoder(config)])
    expected = kept(events()).numpy()
    kept.save_weights(str(tmp_path / "weights.h5"))
    fresh = tf.keras.Sequential([build_encoder(config, MOST)])
    assert np.abs(fresh(events()).numpy() - expected).max() > 1e-3
    fresh.load_weights(str(tmp_path / "weights.h5"))
    assert (fresh(events()).numpy() == expected).all()


@every
def test_dropout_is_heard_in_training_only(config: TwoTowerConfig) -> None:
    encode = encoder(dataclasses.replace(config, dropout=0.5))
    assert (encode(events()).numpy() == encode(events()).numpy()).all()
    first, second = (encode(events(), training=True).numpy() for _ in range(2))
    assert (first != second).any()


@pytest.mark.parametrize("name", ["transformer", "bert"])
def test_heads_must_divide_the_width(name: str) -> None:
    with pytest.raises(ValueError, match="3 heads do not divide a width of 8"):
        build_encoder(dataclasses.replace(PLAIN, encoder=name, heads=3), MOST)  # type: ignore[arg-type]


@bert
def test_a_masked_event_is_hidden(config: TwoTowerConfig) -> None:
    encode = encoder(config)
    given = events(2)
    # Position p says that event p + 1 is hidden: here events 2 and 4 of the first history, event 1 of the second.
    masked = np.zeros((2, LENGTH), bool)
    masked[0, [1, 3]], masked[1, 0] = True, True
    number = held(LENGTH, LENGTH)
    plain = encode(given, held=number, masked=tf.constant(masked)).numpy()
    hidden = given.copy()
    hidden[0, [2, 4]] += CHANGE
    hidden[1, 1] -= CHANGE
    assert encode(hidden, held=number, masked=tf.constant(masked)).numpy() == pytest.approx(plain, abs=1e-6)
    seen = given.copy()
    seen[:, 3] += CHANGE
    moved = np.abs(encode(seen, held=number, masked=tf.constant(masked)).numpy() - plain).max(axis=-1)
    assert (moved > 1e-4).all()
    assert np.abs(encode(hidden, held=number).numpy() - encode(given, held=number).numpy()).max() > 1e-3


@attentive
def test_attention_shares_out_what_is_seen_and_nothing_else(config: TwoTowerConfig) -> None:
    encode = encoder(config)
    number = held(2, LENGTH, 4)
    shares = encode.attention(events(), number).numpy()
    bidirectional = config.encoder == "bert"
    length = LENGTH + bidirectional  # the mask token's position
    assert shares.shape == (config.layers, 3, config.heads, length, length)
    assert shares.sum(axis=-1) == pytest.approx(1.0, abs=1e-5)
    for row, events_held in enumerate(number.numpy()):
        for asking in range(length):
            hidden = slice(events_held + 1, None) if bidirectional else slice(asking + 1, None)
            assert (shares[:, row, :, asking, hidden] == 0).all()
