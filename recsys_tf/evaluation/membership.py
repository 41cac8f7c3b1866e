"""How well a score tells users a model was trained on from users it has never seen: ROC AUC and advantage.

A membership-inference attack by a threshold (Yeom et al. 2018): whoever's score is high enough is said to be a member.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from recsys_tf.config import AttackConfig
from recsys_tf.errors import InputError
from recsys_tf.evaluation.bootstrap import Interval

Array = npt.NDArray[Any]
Bools = npt.NDArray[np.bool_]

EVERYBODY = "everybody"
# Of members, and of users who were held out, in a group that is measured.
FEWEST = 20


@dataclass(frozen=True)
class Attack:
    """One score's row.

    auc: how often a member has a higher score than somebody who was held out. advantage: members who are recognised
    less others who are taken for members, as shares, at the threshold where that is most. by_chance: the advantage that
    19 of 20 shuffles of who is a member stay below, since the best threshold finds some in any numbers. members,
    held_out: mean scores.
    """

    auc: Interval
    advantage: Interval
    by_chance: float
    members: float
    held_out: float


@dataclass(frozen=True)
class Group:
    """Users of some length of history, and how well each score does on them."""

    members: int
    held_out: int
    attacks: dict[str, Attack]


def measure_groups(member: Bools, events: Array, scores: Mapping[str, Array], config: AttackConfig) -> dict[str, Group]:
    """Measure scores [users] against who is a member [users]: everybody, then by length of history.

    events: training events of each user, int [users]. A group without 20 users of either kind is left out. Raises
    InputError for lengths that are not ascending.
    """
    groups = {EVERYBODY: np.ones(len(member), dtype=bool), **_by_length(events, config.lengths)}
    return {
        name: Group(
            int((member & chosen).sum()),
            int((~member & chosen).sum()),
            {
                one: measure_attack(member[chosen], score[chosen], config.bootstrap_samples, config.seed)
                for one, score in scores.items()
            },
        )
        for name, chosen in groups.items()
        if min((member & chosen).sum(), (~member & chosen).sum()) >= FEWEST
    }


def measure_attack(member: Bools, score: Array, samples: int, seed: int) -> Attack:
    """Measure a score [users], higher for members, with intervals over resamples of the users of either kind.

    The best threshold of a resample is better than that of everybody; the interval of the advantage is shifted back by
    that bias (Efron & Tibshirani 1993, chapter 10).
    """
    random = np.random.default_rng(seed)
    inside, outside = score[member], score[~member]
    labels = np.repeat([True, False], [len(inside), len(outside)])
    resampled = np.array(
        [
            auc_and_advantage(labels, np.concatenate([random.choice(one, len(one)) for one in (inside, outside)]))
            for _ in range(samples)
        ]
    )
    shuffled = [auc_and_advantage(random.permutation(member), score)[1] for _ in range(samples)]
    auc, advantage = auc_and_advantage(member, score)
    centred = np.clip(resampled[:, 1] - resampled[:, 1].mean() + advantage, 0.0, 1.0)
    return Attack(
        _interval(auc, resampled[:, 0]),
        _interval(advantage, centred),
        float(np.percentile(shuffled, 95)),
        float(inside.mean()),
        float(outside.mean()),
    )


def auc_and_advantage(member: Bools, score: Array) -> tuple[float, float]:
    """Return the area under the ROC curve, and its greatest height above the diagonal."""
    false, true = roc(member, score)
    return float(np.trapezoid(true, false)), float((true - false).max())


def roc(member: Bools, score: Array) -> tuple[Array, Array]:
    """Return shares of others and of members at or above each threshold, from 0 to 1: float64 [different scores + 1].

    member: bool [users], of both kinds; score: [users].
    """
    order = np.argsort(-score, kind="stable")
    score, member = score[order], member[order]
    # Users of one score pass the threshold together.
    last = np.flatnonzero(np.append(score[1:] != score[:-1], True))
    true, false = np.cumsum(member)[last], np.cumsum(~member)[last]
    return np.append(0.0, false / false[-1]), np.append(0.0, true / true[-1])


def _by_length(events: Array, lengths: Sequence[int]) -> dict[str, Bools]:
    bounds = [1, *lengths]
    if sorted(set(bounds)) != bounds:
        raise InputError(
            f"lengths {' '.join(map(str, lengths))}: give numbers of events from 2 on, each above the last"
        )
    named = {}
    for low, high in zip(bounds, [*lengths, None], strict=True):
        name = f"{low} to {high - 1} events" if high is not None else f"{low} events or more"
        named[name] = (events >= low) & (True if high is None else events < high)
    return named


def _interval(figure: float, resampled: Array) -> Interval:
    low, high = np.percentile(resampled, [2.5, 97.5])
    return Interval(figure, float(low), float(high))
