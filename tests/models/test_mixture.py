"""The five voices of the mixture, each against a slow version that walks through every history."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import tensorflow as tf

from recsys_tf.models.mixture import VOICES, Counts, Followers, Mixture, fingerprint
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
BEHAVIORS = np.array([[2] * held + [0] * (10 - held) for held in (8, 3, 4, 10, 1)])
# The newest event of the second user is a search that training has seen, of the third one that it has not.
SEARCHED = {1: [7, 5, 0], 2: [5, 7, 0]}
FOUND = {2: 0.5, 6: 0.25}


def ids() -> dict[str, Any]:
    words = np.zeros((*HISTORIES.shape, 3), np.int64)
    for user, searched in SEARCHED.items():
        words[user, np.count_nonzero(BEHAVIORS[user]) - 1] = searched
    # An older search says nothing.
    words[3, 6] = SEARCHED[1]
    return {"row": tf.constant(HISTORIES), "behavior": tf.constant(BEHAVIORS), "words": tf.constant(words)}


def counts() -> Counts:
    keys = np.sort([int(fingerprint(np.array(words))) for words in (SEARCHED[1], [9, 0, 0])])
    at = int(np.searchsorted(keys, int(fingerprint(np.array(SEARCHED[1])))))
    items, shares = np.full((2, 2), 1, np.int32), np.full((2, 2), 0.1, np.float32)
    items[at], shares[at] = list(FOUND), list(FOUND.values())
    return Counts(transitions(), Followers(items, shares), keys)


def transitions() -> Followers:
    """Up to three followers of every row; the shares of a row may add up to less than one."""
    random = np.random.default_rng(2)
    followers = np.stack([random.permutation(ITEMS)[:3] for _ in range(ITEMS + FIRST)]).astype(np.int32)
    shares = np.sort(random.uniform(0.05, 0.3, followers.shape).astype(np.float32))[:, ::-1].copy()
    followers[4, 1:], shares[4, 1:] = -1, 0.0
    followers[6], shares[6] = -1, 0.0
    followers[:FIRST], shares[:FIRST] = -1, 0.0
    return Followers(followers, shares)


def scores() -> npt.NDArray[np.float32]:
    return np.random.default_rng(3).normal(size=(len(HISTORIES), ITEMS)).astype(np.float32)


def mixed(weights: list[float], tuned: bool = False) -> npt.NDArray[np.float32]:
    mixture = Mixture(np.array(weights, np.float32), counts(), tuned)
    answer: npt.NDArray[np.float32] = mixture(tf.constant(scores()), ids()).numpy()
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
                    for follower, share in zip(known.items[row], known.shares[row], strict=True):
                        if follower >= 0:
                            spoken[user, follower] += 0.5**age / total * share
            case "recent":
                total = sum(0.7**age for age in range(len(newest_first)))
                for age, row in enumerate(newest_first):
                    spoken[user, row - FIRST] += 0.7**age / total
            case "frequent":
                for row in newest_first:
                    spoken[user, row - FIRST] += 1 / len(newest_first)
            case "newest":
                for row in newest_first[:1]:
                    spoken[user, row - FIRST] += 1
            case "searched":
                for item, share in FOUND.items() if user == 1 else ():
                    spoken[user, item] += share
    return spoken


def test_the_towers_alone_are_a_softmax() -> None:
    assert mixed([1.0, 0.0, 0.0, 0.0, 0.0, 0.0]) == pytest.approx(softmax(), abs=1e-6)


@pytest.mark.parametrize("tuned", [False, True])
@pytest.mark.parametrize("voice", VOICES[1:])
def test_every_voice_alone(voice: str, tuned: bool) -> None:
    weights = [1.0 if name == voice else 0.0 for name in VOICES]
    expected = slow_voice(voice)
    assert mixed(weights, tuned) == pytest.approx(expected, abs=1e-6)
    assert expected.any(axis=1).sum() >= (1 if voice == "searched" else 2)
    assert not expected[EMPTY].any()


@pytest.mark.parametrize("tuned", [False, True])
def test_the_voices_together(tuned: bool) -> None:
    weights = [0.4, 0.2, 0.1, 0.1, 0.1, 0.1]
    expected = weights[0] * softmax() + sum(
        weight * slow_voice(voice) for weight, voice in zip(weights[1:], VOICES[1:], strict=True)
    )
    got = mixed(weights, tuned)
    assert got == pytest.approx(expected, abs=1e-6)
    assert (got >= 0).all()
    assert (got.sum(axis=1) <= 1 + 1e-5).all()


def test_an_empty_history_hears_only_the_towers() -> None:
    got = mixed([0.4, 0.2, 0.1, 0.1, 0.1, 0.1])
    assert got[EMPTY] == pytest.approx(0.4 * softmax()[EMPTY], abs=1e-6)


def test_the_weights_of_a_search_can_be_changed() -> None:
    mixture = Mixture(np.array([1.0, 0.0, 0.0, 0.0, 0.0, 0.0], np.float32), counts(), tuned=True)
    assert mixture.weights is not None
    mixture.weights.assign([0.0, 0.0, 1.0, 0.0, 0.0, 0.0])
    got = mixture(tf.constant(scores()), ids()).numpy()
    assert got == pytest.approx(slow_voice("recent"), abs=1e-6)


@pytest.mark.parametrize("length", [1, 2])
def test_a_history_may_be_shorter_than_what_is_looked_back_at(length: int) -> None:
    mixture = Mixture(np.array([0.5, 0.5, 0.0, 0.0, 0.0, 0.0], np.float32), counts())
    rows = tf.constant([[1, 9][:length]], tf.int64)
    history = {"row": rows, "behavior": tf.ones_like(rows), "words": tf.zeros([1, length, 0], tf.int64)}
    got = mixture(tf.zeros([1, ITEMS]), history).numpy()[0]
    expected = np.full(ITEMS, 0.5 / ITEMS)
    if length == 2:
        expected[transitions().items[9]] += 0.5 * transitions().shares[9]
    assert got == pytest.approx(expected, abs=1e-6)


def test_compiled_it_answers_the_same() -> None:
    mixture = Mixture(np.array([0.4, 0.2, 0.1, 0.1, 0.1, 0.1], np.float32), counts())
    spec_of_ids = {name: tf.TensorSpec([None] * len(value.shape), tf.int64) for name, value in ids().items()}
    spec = [tf.TensorSpec([None, ITEMS], tf.float32), spec_of_ids]
    compiled = tf.function(mixture, input_signature=spec, autograph=False)
    assert compiled(scores(), ids()).numpy() == pytest.approx(mixed([0.4, 0.2, 0.1, 0.1, 0.1, 0.1]), abs=1e-6)


def test_a_fingerprint_does_not_depend_on_padding_and_does_on_the_order() -> None:
    keys = [int(fingerprint(np.array(words))) for words in ([4, 9], [4, 9, 0, 0], [9, 4], [4], [0, 0], [])]
    assert keys[0] == keys[1]
    assert len(set(keys)) == 4
    assert keys[4] == keys[5] == 0
    many = np.random.default_rng(0).integers(1, 5000, (100_000, 6))
    assert len(np.unique(fingerprint(many).numpy())) == len(np.unique(many, axis=0))


def test_without_searches_in_training_the_voice_is_silent() -> None:
    nothing = Counts(
        transitions(), Followers(np.zeros((0, 1), np.int32), np.zeros((0, 1), np.float32)), np.zeros(0, int)
    )
    mixture = Mixture(np.array([0.5, 0.0, 0.0, 0.0, 0.5, 0.0], np.float32), nothing)
    assert mixture(tf.constant(scores()), ids()).numpy() == pytest.approx(0.5 * softmax(), abs=1e-6)
