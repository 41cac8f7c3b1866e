"""The attack's figures against scikit-learn and by hand, and where there is nothing to tell."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score, roc_curve

from recsys_tf.config import AttackConfig
from recsys_tf.errors import InputError
from recsys_tf.evaluation.membership import EVERYBODY, auc_and_advantage, measure_attack, measure_groups, roc

FEW = AttackConfig(lengths=(10, 30), bootstrap_samples=50)


def test_by_hand() -> None:
    member = np.array([True, True, False, True, False])
    score = np.array([5.0, 4.0, 3.0, 2.0, 1.0])
    # Pairs in the right order: 5 and 4 above both others, 2 above one of them.
    auc, advantage = auc_and_advantage(member, score)
    assert auc == pytest.approx(5 / 6)
    # At 4: two of three members, and nobody else.
    assert advantage == pytest.approx(2 / 3)
    false, true = roc(member, score)
    assert false.tolist() == [0, 0, 0, 0.5, 0.5, 1]
    assert true.tolist() == pytest.approx([0, 1 / 3, 2 / 3, 2 / 3, 1, 1])
    # Ties pass the threshold together; a score that is the same for everybody tells nothing.
    assert auc_and_advantage(member, np.ones(5)) == (0.5, 0.0)
    assert auc_and_advantage(member, -score)[0] == pytest.approx(1 / 6)


@pytest.mark.parametrize("digits", [1, 6])
def test_as_scikit_learn_has_it(digits: int) -> None:
    random = np.random.default_rng(digits)
    member = random.random(500) < 0.4
    score = np.round(random.normal(size=500) + 0.7 * member, digits)
    auc, advantage = auc_and_advantage(member, score)
    assert auc == pytest.approx(roc_auc_score(member, score))
    false, true, _ = roc_curve(member, score)
    assert advantage == pytest.approx((true - false).max())


def test_intervals_lie_around_the_figures_and_chance_finds_something_too() -> None:
    random = np.random.default_rng(0)
    member = np.repeat([True, False], 300)
    score = random.normal(size=600) + member
    found = measure_attack(member, score, 300, 1)
    # For normal scores one deviation apart the AUC is Φ(1/√2) = 0.760, and the advantage 2Φ(1/2) - 1 = 0.383.
    assert found.auc.low < 0.760 < found.auc.high
    assert found.advantage.low < 0.383 < found.advantage.high
    assert found.advantage.low < found.advantage.mean < found.advantage.high
    assert found.members - found.held_out == pytest.approx(1.0, abs=0.2)
    assert found == measure_attack(member, score, 300, 1)
    nothing = measure_attack(member, random.normal(size=600), 300, 1)
    assert nothing.auc.low < 0.5 < nothing.auc.high
    # The Kolmogorov-Smirnov statistic of two samples of 300 is below 1.36 √(2 / 300) = 0.111 in 95 of 100 cases.
    assert nothing.by_chance == pytest.approx(0.111, abs=0.015)
    assert nothing.advantage.mean < nothing.by_chance + 0.02


def test_groups_by_length_of_history() -> None:
    member = np.tile([True, False], 50)
    events = np.repeat([3, 10, 29, 30, 500], 20)
    score = np.where(events < 10, member, 0).astype(float)
    groups = measure_groups(member, events, {"one": score}, FEW)
    # Ten of either kind are too few to say anything.
    assert list(groups) == [EVERYBODY, "10 to 29 events", "30 events or more"]
    assert [(group.members, group.held_out) for group in groups.values()] == [(50, 50), (20, 20), (20, 20)]
    assert groups[EVERYBODY].attacks["one"].auc.mean == pytest.approx(0.6)
    assert groups["10 to 29 events"].attacks["one"].auc.mean == 0.5


@pytest.mark.parametrize("lengths", [(30, 10), (10, 10), (1, 10)])
def test_lengths_that_do_not_ascend_are_refused(lengths: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match="each above the last"):
        measure_groups(np.array([True, False]), np.ones(2), {}, AttackConfig(lengths=lengths))
