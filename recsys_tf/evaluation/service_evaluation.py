"""Does the service head know why a user gets in touch? On contacts of the test window, before and after their words."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pandas as pd
import tensorflow as tf

from recsys_tf.config import ServiceConfig
from recsys_tf.evaluation.bootstrap import (
    Difference,
    Interval,
    class_average_intervals,
    clustered_intervals,
    paired_difference,
)
from recsys_tf.evaluation.classification_metrics import correct, top_k_correct
from recsys_tf.heads.linear_softmax import LinearSoftmax
from recsys_tf.heads.service import COUNTS, SAID, UNSAID, VECTOR, WORDS, ServiceHead
from recsys_tf.sequences.splits import TEST, TRAINING
from recsys_tf.training.fit_service import ContactData, fit_softmax

Array = npt.NDArray[Any]
Ints = npt.NDArray[np.int64]

HEAD, CEILING = "service head", "ceiling"
MAJORITY, LAST = "majority", "last behaviour"
COUNTS_ALONE, COUNTS_AND_WORDS = "counts without the representation", "counts and words without the representation"
VECTOR_ALONE, WORDS_ALONE = "representation alone", "words alone"
# What looks neither at the representation nor at more than one event.
RULES: Final = (MAJORITY, LAST, WORDS_ALONE)
TOP = 3


@dataclass(frozen=True)
class ServiceRow:
    """One row of the table."""

    top_1: Interval
    top_3: Interval
    macro_f1: Interval


@dataclass(frozen=True)
class ServiceQuestion:
    """One question: contacts and users, a row for everybody who answers it, and what the head is ahead in top-1.

    ahead_of_rule: of the best of RULES; ahead_of_plain: of the same softmax without the representation.
    """

    contacts: int
    users: int
    rows: dict[str, ServiceRow]
    best_rule: str
    ahead_of_rule: Difference
    plain: str
    ahead_of_plain: Difference


@dataclass(frozen=True)
class Ceiling:
    """The simulator's best guesses at contacts [contacts]: a reason, its probability, and that of the best three."""

    guess: npt.NDArray[np.object_]
    probability: Array
    top_3: Array


def evaluate_service(
    head: ServiceHead, data: ContactData, ceilings: Mapping[str, Ceiling], config: ServiceConfig
) -> dict[str, ServiceQuestion]:
    """Return the questions "unsaid", before the user says anything, and "said", after the first words, where known.

    ceilings: by question, of all contacts in the order of `data`; empty where nobody knows the truth.
    """
    softmax: dict[str, tuple[LinearSoftmax, tuple[str, ...]]] = {
        "unsaid": (head.unsaid, UNSAID),
        "said": (head.said, SAID),
    }
    others: dict[str, dict[str, tuple[str, ...]]] = {
        "unsaid": {COUNTS_ALONE: (COUNTS,), VECTOR_ALONE: (VECTOR,)},
        "said": {COUNTS_AND_WORDS: (COUNTS, WORDS), WORDS_ALONE: (WORDS,)},
    }
    asked = {"unsaid": data, "said": data.with_words()}
    questions = {}
    for name, (own, parts) in softmax.items():
        if (cases := asked[name]) is None:
            continue
        scores = {HEAD: own(tf.constant(cases.inputs(parts, TEST))).numpy()}
        for other, of in others[name].items():
            scores[other] = fit_softmax(cases, of)(tf.constant(cases.inputs(of, TEST))).numpy()
        scores |= {MAJORITY: majority(cases), LAST: after_last_behavior(cases)}
        plain = COUNTS_ALONE if name == "unsaid" else COUNTS_AND_WORDS
        questions[name] = _question(cases, scores, ceilings.get(name), plain, config)
    return questions


def majority(data: ContactData) -> Array:
    """How frequent each reason is among the training contacts, for every test contact: [contacts, reasons]."""
    counts = np.bincount(data.labels(TRAINING), minlength=len(data.reasons))
    return np.tile(counts / counts.sum(), (int((data.side == TEST).sum()), 1))


def after_last_behavior(data: ContactData) -> Array:
    """How frequent each reason is among the training contacts that the same last behaviour came before.

    A behaviour that no training contact followed has the frequencies of all. Returns [test contacts, reasons].
    """
    known, asked = data.last_behavior[data.side == TRAINING], data.last_behavior[data.side == TEST]
    counts = np.zeros((int(data.last_behavior.max(initial=0)) + 1, len(data.reasons)))
    np.add.at(counts, (known, data.labels(TRAINING)), 1.0)
    total = counts.sum(axis=1, keepdims=True)
    shares = np.where(total > 0, counts / np.maximum(total, 1.0), counts.sum(axis=0) / counts.sum())
    found: Array = shares[asked]
    return found


def _question(
    data: ContactData, scores: Mapping[str, Array], ceiling: Ceiling | None, plain: str, config: ServiceConfig
) -> ServiceQuestion:
    truth, clusters = data.labels(TEST), data.user[data.side == TEST]
    predicted = {name: score.argmax(axis=1).astype(np.int64) for name, score in scores.items()}
    right = {name: correct(truth, one) for name, one in predicted.items()}
    among = {name: _among(score, truth) for name, score in scores.items()}
    rows = {name: _row(right[name], among[name], truth, predicted[name], clusters, config) for name in scores}
    if ceiling is not None:
        test = data.side == TEST
        guess = _numbers(ceiling.guess[test], data.reasons)
        rows[CEILING] = _row(ceiling.probability[test], ceiling.top_3[test], truth, guess, clusters, config)
    best = max((name for name in RULES if name in right), key=lambda name: right[name].mean())
    rule, same = (
        paired_difference(right[HEAD], right[other], clusters, config.bootstrap_samples, config.seed)
        for other in (best, plain)
    )
    return ServiceQuestion(len(truth), len(np.unique(clusters)), rows, best, rule, plain, same)


def _among(score: Array, truth: Ints) -> Array:
    return top_k_correct(score.astype(np.float32), truth, TOP)


def _row(right: Array, among: Array, truth: Ints, predicted: Ints, clusters: Ints, config: ServiceConfig) -> ServiceRow:
    samples, seed = config.bootstrap_samples, config.seed
    means = clustered_intervals({"top_1": right, "top_3": among}, clusters, samples, seed)
    averages = class_average_intervals(truth, predicted, clusters, samples, seed)
    return ServiceRow(means["top_1"], means["top_3"], averages["macro_f1"])


def _numbers(reasons: Any, known: Sequence[str]) -> Ints:
    found: Ints = pd.Index(known).get_indexer(pd.Index(reasons)).astype(np.int64)
    return found
