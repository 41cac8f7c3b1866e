"""The service head's table on contacts whose best answer is known."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from recsys_tf.config import ServiceConfig
from recsys_tf.evaluation.service_evaluation import (
    CEILING,
    COUNTS_ALONE,
    HEAD,
    LAST,
    MAJORITY,
    VECTOR_ALONE,
    WORDS_ALONE,
    Ceiling,
    after_last_behavior,
    evaluate_service,
    majority,
)
from recsys_tf.heads.service import COUNTS, SAID, UNSAID, VECTOR, WORDS
from recsys_tf.sequences.dataset import PreparedData
from recsys_tf.sequences.splits import TEST, TRAINING
from recsys_tf.sequences.vocabularies import Vocabulary
from recsys_tf.training.fit_service import STRENGTHS, ContactData, fit_service, fit_softmax, log_loss

CONFIG = ServiceConfig(bootstrap_samples=50)
REASONS = ("a", "b", "c", "d")


def contacts(number: int = 600) -> ContactData:
    """The vector tells the first half of the reasons from the second, the counts nothing, the words odd from even."""
    random = np.random.default_rng(3)
    reason = random.integers(0, 4, number)
    side = np.repeat([0, 1, 2], [number // 2, number // 4, number - number // 2 - number // 4])
    vector = np.stack([np.where(reason < 2, -1.0, 1.0), random.normal(size=number)], axis=1)
    return ContactData(
        reasons=REASONS,
        words=Vocabulary("words", ("even", "odd")),
        user=random.integers(0, 60, number),
        side=side,
        reason=reason,
        last_behavior=np.where(random.random(number) < 0.5, 3, 4),
        spoken=np.ones(number, bool),
        parts={
            VECTOR: vector.astype(np.float32),
            COUNTS: random.normal(size=(number, 3)).astype(np.float32),
            WORDS: np.eye(2, dtype=np.float32)[reason % 2],
        },
    )


def test_the_head_finds_what_is_there_and_the_others_do_not(prepared: PreparedData) -> None:
    data = contacts()
    head = fit_service(data, prepared.space, {})
    truth = np.array(REASONS, object)[data.reason]
    sure = Ceiling(truth, np.ones(len(truth)), np.ones(len(truth)))
    found = evaluate_service(head, data, {"said": sure}, CONFIG)
    unsaid, said = found["unsaid"], found["said"]
    # Half of the answer is known before the words, all of it after them.
    assert 0.35 < unsaid.rows[HEAD].top_1.mean < 0.65
    assert unsaid.rows[VECTOR_ALONE].top_1.mean > 0.35 > unsaid.rows[COUNTS_ALONE].top_1.mean
    assert said.rows[HEAD].top_1.mean == said.rows[HEAD].macro_f1.mean == 1.0
    assert 0.35 < said.rows[WORDS_ALONE].top_1.mean < 0.65
    assert CEILING not in unsaid.rows
    assert (said.rows[CEILING].top_1.mean, said.rows[CEILING].macro_f1.mean) == (1.0, 1.0)
    assert said.contacts == 150
    assert said.best_rule == WORDS_ALONE
    assert said.ahead_of_rule.interval.mean == pytest.approx(1 - said.rows[WORDS_ALONE].top_1.mean)
    assert said.ahead_of_plain.interval.low > 0
    assert unsaid.best_rule in (MAJORITY, LAST)


def test_rules_by_hand() -> None:
    data = ContactData(
        reasons=("a", "b"),
        words=Vocabulary("words", ()),
        user=np.arange(8),
        side=np.array([0, 0, 0, 0, 1, 2, 2, 2]),
        reason=np.array([0, 0, 1, 1, 0, 0, 1, -1]),
        last_behavior=np.array([3, 3, 3, 5, 5, 3, 5, 8]),
        spoken=np.ones(8, bool),
        parts={},
    )
    assert majority(data).tolist() == [[0.5, 0.5]] * 3
    assert after_last_behavior(data) == pytest.approx(np.array([[2 / 3, 1 / 3], [0, 1], [0.5, 0.5]]))


def test_validation_chooses_the_penalty_and_test_contacts_have_no_say() -> None:
    data = contacts()
    chosen = fit_softmax(data, UNSAID)
    garbled = {name: np.where((data.side == TEST)[:, None], 99.0, part) for name, part in data.parts.items()}
    other = dataclasses.replace(
        data,
        reason=np.where(data.side == TEST, 0, data.reason),
        parts={name: part.astype(np.float32) for name, part in garbled.items()},
    )
    assert np.array_equal(fit_softmax(other, UNSAID).weight, chosen.weight)
    # Noise alone: nothing is better than to hold all weights down.
    noise = fit_softmax(data, (COUNTS,))
    assert np.abs(noise.weight).max() < 0.2
    assert min(STRENGTHS) < max(STRENGTHS)


def test_words_are_asked_about_where_there_are_any(prepared: PreparedData) -> None:
    data = contacts()
    # Every second contact is silent: its words say nothing, and it is no question of those with words.
    spoken = np.arange(600) % 2 == 0
    parts = data.parts | {WORDS: data.parts[WORDS] * spoken[:, None]}
    some = dataclasses.replace(data, spoken=spoken, parts=parts)
    found = evaluate_service(fit_service(some, prepared.space, {}), some, {}, CONFIG)
    assert (found["unsaid"].contacts, found["said"].contacts) == (150, 75)
    assert found["said"].rows[HEAD].top_1.mean == 1.0
    silent = dataclasses.replace(data, spoken=np.zeros(600, bool))
    assert list(evaluate_service(fit_service(silent, prepared.space, {}), silent, {}, CONFIG)) == ["unsaid"]


def test_log_loss_by_hand() -> None:
    probability = np.array([[0.5, 0.5], [0.1, 0.9]], np.float32)
    assert log_loss(probability, np.array([0, 1])) == pytest.approx(-(np.log(0.5) + np.log(0.9)) / 2, rel=1e-6)


def test_parts_stand_side_by_side_in_their_order() -> None:
    data = contacts()
    found = data.inputs(SAID, TRAINING)
    assert found.shape == (300, 7)
    np.testing.assert_array_equal(found[:, 5:], data.parts[WORDS][:300])
    assert tf.constant(found).dtype == tf.float32
