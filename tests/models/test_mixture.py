"""The four voices of the mixture, each against a slow version that walks through every history."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import tensorflow as tf

from recsys_tf.models.mixture import VOICES, Mixture, Transitions
from recsys_tf.sequences.vocabularies import FIRST, UNKNOWN

ITEMS = 7
# Oldest first: searches (0) and an unknown item between them, the start token at the front, padding at the end.
HISTORIES = np.array(
    [
        [1, 3, 0, 5, 5, UNKNOWN, 9, 4, 0, 0],
        [1, 6, 0, 0, 0, 0, 0, 0, 0, 0],
        [1, 0, 0, UNKNOWN, 0, 0, 0, 0, 0, 0],
        [1, 8, 8, 8, 8, 3, 0, 8, 0, 8],
        [1, 0, 0, 0, 0, 0, 0, 0, 0, 0],
    ]
)
EMPTY = [2, 4]


def transitions() -> Transitions:
    """Up to three followers of every row; the shares of a row may add up to less than one."""
    random = np.random.default_rng(2)
    followers = np.stack([random.permutation(ITEMS)[:3] for _ in range(ITEMS + FIRST)]).astype(np.int32)
    shares = np.sort(random.uniform(0.05, 0.3, followers.shape).astype(np.float32))[:, ::-1].copy()
    followers[4, 1:], shares[4, 1:] = -1, 0.0
    followers[6], shares[6] = -1, 0.0
    followers[:FIRST], shares[:FIRST] = -1, 0.0
    return Transitions(followers, shares)


def scores() -> npt.NDArray[np.float32]:
    return np.random.default_rng(3).normal(size=(len(HISTORIES), ITEMS)).astype(np.float32)


def mixed(weights: list[float], tuned: bool = False) -> npt.NDArray[np.float32]:
    mixture = Mixture(np.array(weights, np.float32), transitions(), tuned)
    answer: npt.NDArray[np.float32] = mixture(tf.constant(scores()), tf.constant(HISTORIES)).numpy()
    return answer


def softmax() -> Any:
    exponentials = np.exp(scores().astype(np.float64))
    return exponentials / exponentials.sum(axis=1, keepdims=True)


def own_items(history: Any) -> list[int]:
    return [int(row) for row in history if row >= FIRST]


def slow_voice(voice: str) -> Any:
    spoken = np.zeros((len(HISTORIES), ITEMS))
    known = transitions()
    for user, history in enumerate(HISTORIES):
        newest_first = own_items(history)[::-1]
        match voice:
            case "transitions":
                last = newest_first[:3]
                total = sum(0.5**age for age in range(len(last)))
                for age, row in enumerate(last):
                    for follower, share in zip(known.followers[row], known.shares[row], strict=True):
                        if follower >= 0:
                            spoken[user, follower] += 0.5**age / total * share
            case "recent":
                total = sum(0.7**age for age in range(len(newest_first)))
                for age, row in enumerate(newest_first):
                    spoken[user, row - FIRST] += 0.7**age / total
            case "frequent":
                for row in newest_first:
                    spoken[user, row - FIRST] += 1 / len(newest_first)
    return spoken


def test_the_towers_alone_are_a_softmax() -> None:
    assert mixed([1.0, 0.0, 0.0, 0.0]) == pytest.approx(softmax(), abs=1e-6)


@pytest.mark.parametrize("tuned", [False, True])
@pytest.mark.parametrize("voice", VOICES[1:])
def test_every_voice_alone(voice: str, tuned: bool) -> None:
    weights = [1.0 if name == voice else 0.0 for name in VOICES]
    expected = slow_voice(voice)
    assert mixed(weights, tuned) == pytest.approx(expected, abs=1e-6)
    assert expected.any(axis=1).sum() >= 2
    assert not expected[EMPTY].any()


@pytest.mark.parametrize("tuned", [False, True])
def test_the_voices_together(tuned: bool) -> None:
    weights = [0.4, 0.3, 0.2, 0.1]
    expected = weights[0] * softmax() + sum(
        weight * slow_voice(voice) for weight, voice in zip(weights[1:], VOICES[1:], strict=True)
    )
    got = mixed(weights, tuned)
    assert got == pytest.approx(expected, abs=1e-6)
    assert (got >= 0).all()
    assert (got.sum(axis=1) <= 1 + 1e-5).all()


def test_an_empty_history_hears_only_the_towers() -> None:
    got = mixed([0.4, 0.3, 0.2, 0.1])
    assert got[EMPTY] == pytest.approx(0.4 * softmax()[EMPTY], abs=1e-6)


def test_the_weights_of_a_search_can_be_changed() -> None:
    mixture = Mixture(np.array([1.0, 0.0, 0.0, 0.0], np.float32), transitions(), tuned=True)
    assert mixture.weights is not None
    mixture.weights.assign([0.0, 0.0, 1.0, 0.0])
    got = mixture(tf.constant(scores()), tf.constant(HISTORIES)).numpy()
    assert got == pytest.approx(slow_voice("recent"), abs=1e-6)


@pytest.mark.parametrize("length", [1, 2])
def test_a_history_may_be_shorter_than_what_is_looked_back_at(length: int) -> None:
    mixture = Mixture(np.array([0.5, 0.5, 0.0, 0.0], np.float32), transitions())
    rows = tf.constant([[1, 9][:length]], tf.int64)
    got = mixture(tf.zeros([1, ITEMS]), rows).numpy()[0]
    expected = np.full(ITEMS, 0.5 / ITEMS)
    if length == 2:
        expected[transitions().followers[9]] += 0.5 * transitions().shares[9]
    assert got == pytest.approx(expected, abs=1e-6)


def test_compiled_it_answers_the_same() -> None:
    mixture = Mixture(np.array([0.4, 0.3, 0.2, 0.1], np.float32), transitions())
    spec = [tf.TensorSpec([None, ITEMS], tf.float32), tf.TensorSpec([None, None], tf.int64)]
    compiled = tf.function(mixture, input_signature=spec, autograph=False)
    assert compiled(scores(), HISTORIES).numpy() == pytest.approx(mixed([0.4, 0.3, 0.2, 0.1]), abs=1e-6)
