"""How good the classifier is: the article's accuracy and recall, simple rules beside it, and the ceiling above it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from recsys_tf.config import ClassifierConfig, EvaluateConfig
from recsys_tf.errors import InputError
from recsys_tf.evaluation.bootstrap import (
    Interval,
    class_average_intervals,
    clustered_intervals,
    paired_difference,
)
from recsys_tf.evaluation.class_rules import ClassTransitions, LastClass, MajorityClass, MarkovClass, MostFrequentClass
from recsys_tf.evaluation.classification_metrics import classification_metrics, correct, log_losses, top_k_correct
from recsys_tf.evaluation.queries import Ints, Queries, TrainingEvents
from recsys_tf.sequences.feature_space import FeatureSpace
from recsys_tf.sequences.labels import EventClasses, class_names

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class ClassifierFigures:
    """Everything measured about a classifier.

    rows: metric → interval, by the name of the model ("classifier") and of each rule, and "ceiling" where the truth is
    known. right: 0 or 1 per query, by the same names. predicted: the model's classes [queries].
    plain: accuracy, recall and F1 as scikit-learn has them, the article's own measures (section 5.2).
    gain: accuracy over the best simple rule on the same events, with its p-value; best_rule: that rule's name.
    """

    rows: dict[str, dict[str, Interval]]
    right: dict[str, npt.NDArray[np.float64]]
    predicted: Ints
    plain: dict[str, float]
    best_rule: str
    gain: dict[str, Any]

    @property
    def share_of_the_way(self) -> float | None:
        """How far the classifier has come from the best simple rule (0) to the ceiling (1), where there is one."""
        if "ceiling" not in self.rows:
            return None
        low, high = (self.rows[name]["accuracy"].mean for name in (self.best_rule, "ceiling"))
        return (self.rows["classifier"]["accuracy"].mean - low) / (high - low) if high > low else None


def evaluate_classifier(
    probabilities: Floats,
    queries: Queries,
    training: TrainingEvents,
    space: FeatureSpace,
    classifier: ClassifierConfig,
    config: EvaluateConfig,
    ceiling: npt.NDArray[np.float64] | None,
) -> ClassifierFigures:
    """Measure a classifier by its probabilities [queries, classes] beside the simple rules on the same events.

    ceiling: the best possible guess's probability of being right, [queries], when the log is simulated.
    """
    if len(queries) == 0:
        raise InputError("the test side holds no event with a class: nothing to evaluate")
    rows, right = {}, {}
    predicted = probabilities.argmax(axis=1).astype(np.int64)
    answers = {"classifier": (predicted, probabilities), **_rule_answers(queries, training, space, classifier)}
    for name, (guess, scores) in answers.items():
        right[name] = correct(queries.label, guess)
        values = {"accuracy": right[name]}
        known = np.where(queries.label >= 0, queries.label, -1)
        if scores is not None and scores.shape[1] > 5:
            values["top5_accuracy"] = top_k_correct(scores, known, 5)
        if name == "classifier":
            values["log_loss"] = log_losses(probabilities, known)
        samples, seed = config.bootstrap_samples, config.seed
        rows[name] = clustered_intervals(values, queries.clusters, samples, seed)
        rows[name] |= class_average_intervals(queries.label, guess, queries.clusters, samples, seed)
        # Weighted recall of single-label classes is accuracy: each class counts by its share, and the shares cancel.
        rows[name]["weighted_recall"] = rows[name]["accuracy"]
    rules = [name for name in rows if name != "classifier"]
    best = max(rules, key=lambda name: rows[name]["accuracy"].mean)
    gain = paired_difference(right["classifier"], right[best], queries.clusters, config.bootstrap_samples, config.seed)
    if ceiling is not None:
        rows["ceiling"] = clustered_intervals(
            {"accuracy": ceiling}, queries.clusters, config.bootstrap_samples, config.seed
        )
    plain = classification_metrics(queries.label, predicted)
    significance = {"interval": gain.interval, "p_value": gain.p_value}
    return ClassifierFigures(rows, right, predicted, plain, best, significance)


def read_ceiling(truth: Path, queries: Queries) -> npt.NDArray[np.float64] | None:
    """Read, for each query, the probability that the best possible guess of the next category is right.

    truth: the folder beside a simulated log; None is returned where there is none. An empty history has no event to
    look the truth up by and counts as certain: the figure stays an upper bound.
    """
    path = truth / "events.csv.gz"
    if not path.is_file():
        return None
    table = pd.read_csv(path, dtype={"user_id": "str"}, usecols=["user_id", "timestamp", "probability"])
    asked = pd.MultiIndex.from_arrays([queries.user, queries.last_timestamp])
    known = pd.Series(table["probability"].to_numpy(), index=pd.MultiIndex.from_frame(table[["user_id", "timestamp"]]))
    found = known[~known.index.duplicated()].reindex(asked).to_numpy(dtype=np.float64)
    if np.isnan(found).mean() > 0.05:
        # A truth that knows few of the events belongs to another log.
        return None
    return np.where(np.isnan(found), 1.0, found)


def _rule_answers(
    queries: Queries, training: TrainingEvents, space: FeatureSpace, config: ClassifierConfig
) -> dict[str, tuple[Ints, Floats | None]]:
    """Predict with every simple rule that fits the target: classes [queries] and scores [queries, classes]."""
    classes = len(class_names(space, config.target))
    label_of = EventClasses(space, config.target, config.purchase_horizon)
    side_end = _end_of_each_user(training.user)
    labels = label_of(training.row, training.behavior, side_end).numpy()
    transitions = _transitions(training.user, labels, classes)
    if config.target == "will_purchase":
        # The class is a property of a moment here, not of an event: a history holds no classes to look at.
        history = np.zeros((len(queries), 1), np.int64)
        rules: dict[str, Any] = {"majority": MajorityClass}
    else:
        shape = queries.ids["row"].shape
        flat = label_of(queries.ids["row"].reshape(-1), queries.ids["behavior"].reshape(-1), None)
        history = np.maximum(flat.numpy().reshape(shape), -1) + 1
        rules = {
            "majority": MajorityClass,
            "last": LastClass,
            "most frequent of the user": MostFrequentClass,
            "first-order Markov": MarkovClass,
        }
    answers: dict[str, tuple[Ints, Floats | None]] = {}
    dense = len(queries) * classes <= 50_000_000
    for name, rule in rules.items():
        fitted = rule.fit(transitions)
        scores = fitted.scores(history, queries.held)[:, 1:] if dense else None
        answers[name] = (fitted.predict(history, queries.held) - 1, scores)
    return answers


def _transitions(user: Ints, labels: Ints, classes: int) -> ClassTransitions:
    """Pair each training event's class with the class before it; events without a class are passed over."""
    has_class = labels >= 0
    user, labels = user[has_class], labels[has_class] + 1
    previous = np.concatenate([[0], labels[:-1]])
    previous[np.diff(user, prepend=-1) != 0] = 0
    return ClassTransitions(previous, labels, classes + 1)


def _end_of_each_user(user: Ints) -> Ints:
    _, first, count = np.unique(user, return_index=True, return_counts=True)
    return np.repeat(first + count, count)
