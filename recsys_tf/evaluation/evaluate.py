"""Evaluate a finished run on its test side: figures, pictures, one HTML page and its JSON."""

import dataclasses
import functools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from recsys_tf.config import EvaluateConfig
from recsys_tf.environment import describe_environment
from recsys_tf.errors import InputError
from recsys_tf.evaluation.bootstrap import Difference
from recsys_tf.evaluation.classifier_evaluation import ClassifierFigures, evaluate_classifier, read_ceiling
from recsys_tf.evaluation.classifier_report import classifier_section
from recsys_tf.evaluation.cost_report import cost_section
from recsys_tf.evaluation.explanations import Faithfulness
from recsys_tf.evaluation.heads_section import heads_section
from recsys_tf.evaluation.last_click import LastClick
from recsys_tf.evaluation.measured_recommenders import measure_recommenders
from recsys_tf.evaluation.predictions import Predictions, item_representations, make_predictor
from recsys_tf.evaluation.queries import Queries, TrainingEvents, read_queries, read_training_events
from recsys_tf.evaluation.recommender_evaluation import RecommenderEvaluation, RecommenderFigures, Scores
from recsys_tf.evaluation.recommender_report import recommender_sections
from recsys_tf.models.cosine_recommender import cosine_scores
from recsys_tf.page import Report, plain, write_report
from recsys_tf.training.runs import Run, load_classifier, run_directory


@dataclass(frozen=True)
class Evaluation:
    """All figures of a run.

    classifier: None when none was trained. recommenders, differences and so on: as in `RecommenderEvaluation`, empty
    for a log whose test side holds no item event. queries, possible, users: what the classifier was asked, or without
    one the recommenders.
    """

    classifier: ClassifierFigures | None
    recommenders: dict[str, RecommenderFigures]
    differences: dict[str, dict[str, Difference]]
    slice_sizes: dict[str, dict[str, int]]
    training_seconds: dict[str, float]
    parameters: dict[str, int]
    faithfulness: Faithfulness | None
    last_click: LastClick | None
    queries: int
    possible: int
    users: int
    page: Path


@dataclass(frozen=True)
class _MeasuredClassifier:
    model: Any
    predict: Callable[[Queries], Predictions]
    queries: Queries
    predictions: Predictions
    figures: ClassifierFigures


def evaluate_run(run: Run, config: EvaluateConfig, directory: Path) -> Evaluation:
    """Measure the run's models on its test side, beside simple rules, and write report.html and report.json.

    Raises InputError for settings that measure nothing and for a test side without anything to ask.
    """
    if config.bootstrap_samples < 1 or min(config.ks, default=0) < 1:
        raise InputError(f"bootstrap_samples {config.bootstrap_samples} and ks {config.ks}: all must be at least 1")
    training = read_training_events(run.data)
    classifier = _measure_classifier(run, training, config) if "classifier" in run.models else None
    cosine = functools.partial(_cosine_scorer, run, classifier) if classifier is not None else None
    recommenders = measure_recommenders(run, cosine, training, config)
    asked = _asked(classifier, recommenders)
    if not asked:
        raise InputError("the training or the test side holds no item event: there is nothing to evaluate")
    sections = []
    if classifier is not None:
        figures, predictions, queries = classifier.figures, classifier.predictions, classifier.queries
        sections.append(classifier_section(run, figures, predictions, queries, directory))
    if recommenders is not None:
        sections += recommender_sections(recommenders, config, run.facts["history"].get("two_tower"), directory)
    answering, number = (recommenders.answering, recommenders.queries) if recommenders is not None else ({}, 0)
    sections.append(cost_section(run.facts["history"], answering, number))
    heads = heads_section(run.directory / "heads")
    sections += [heads] if heads is not None else []
    report = Report(
        title=f"{run_directory(run.config).name}: {'; '.join(_models(run).values())}",
        facts=_facts(run, asked, config),
        sections=sections,
        numbers=_numbers(run, classifier, recommenders, asked, config),
    )
    page = write_report(directory, report)
    scored = next(iter(asked.values()))
    return Evaluation(
        classifier.figures if classifier is not None else None,
        recommenders.rows if recommenders is not None else {},
        recommenders.differences if recommenders is not None else {},
        recommenders.slice_sizes if recommenders is not None else {},
        recommenders.training_seconds if recommenders is not None else {},
        recommenders.parameters if recommenders is not None else {},
        recommenders.faithfulness if recommenders is not None else None,
        recommenders.last_click if recommenders is not None else None,
        scored["scored"],
        scored["possible"],
        scored["users"],
        page,
    )


def _measure_classifier(run: Run, training: TrainingEvents, config: EvaluateConfig) -> _MeasuredClassifier:
    settings, space = run.config.classifier, run.data.space
    model = load_classifier(run)
    queries = read_queries(run.data, settings.target, settings.purchase_horizon, config)
    if len(queries) == 0:
        raise InputError(f"no test event has a class for target {settings.target}: there is nothing to evaluate")
    ceiling = read_ceiling(run.config.data / "truth", queries) if settings.target == "next_category" else None
    predict = make_predictor(model, space, settings.inputs)
    predictions = predict(queries)
    figures = evaluate_classifier(predictions.probabilities, queries, training, space, settings, config, ceiling)
    return _MeasuredClassifier(model, predict, queries, predictions, figures)


def _cosine_scorer(run: Run, classifier: _MeasuredClassifier, queries: Queries) -> Callable[[slice], Scores]:
    users = classifier.predict(queries).representations
    items = item_representations(classifier.model, run.data.space, run.config.classifier.inputs)
    return lambda rows: np.asarray(cosine_scores(users[rows], items), np.float32)


def _asked(
    classifier: _MeasuredClassifier | None, recommenders: RecommenderEvaluation | None
) -> dict[str, dict[str, int]]:
    """Count the test events that were scored, how many there are, and their users, by the question."""
    asked = {}
    if classifier is not None:
        one = classifier.queries
        users = len(np.unique(one.user))
        asked["class of the next event"] = {"scored": len(one), "possible": one.possible, "users": users}
    if recommenders is not None:
        asked["next item"] = {
            "scored": recommenders.queries,
            "possible": recommenders.possible,
            "users": recommenders.users,
        }
    return asked


def _models(run: Run) -> dict[str, str]:
    """Name what each trained model does, by the model."""
    names = {
        "classifier": f"{run.config.classifier.target.replace('_', ' ')} by the article's LSTM classifier",
        "two_tower": f"next item by a two-tower model ({run.config.two_tower.encoder})",
    }
    return {model: names[model] for model in run.models}


def _facts(run: Run, asked: dict[str, dict[str, int]], config: EvaluateConfig) -> dict[str, str]:
    counts, split = run.data.facts["counts"], run.data.facts["split"]
    left_out = run.data.facts["left_out"]
    environment = describe_environment()
    seeds = {"classifier": run.config.fit.seed, "two_tower": run.config.two_tower_fit.seed}
    return {
        "models": "; ".join(_models(run).values()),
        "data": f"{counts['users']:,} users, {counts['items']:,} items, {counts['categories']:,} categories",
        "events": f"{counts['training_events']:,} training, {counts['validation_events']:,} validation, "
        f"{counts['test_events']:,} test",
        "split": f"{split['method'].replace('_', '-')}; everything learned is learned from the training side",
        "left out": f"{left_out['bot_like_users']:,} bot-like users, "
        f"{left_out['users_below_the_core']:,} users below the core, {left_out.get('held_out_users', 0):,} held out",
        "scored": "; ".join(
            f"{question}: {n['scored']:,} of {n['possible']:,} test events of {n['users']:,} users"
            for question, n in asked.items()
        ),
        "intervals": f"95 %, {config.bootstrap_samples:,} bootstrap resamples of users",
        "seed": ", ".join(f"{seeds[model]} ({model.replace('_', '-')})" for model in run.models),
        "machine": f"{environment['machine']['cores']} cores, {environment['machine']['processor']}",
        "versions": ", ".join(f"{name} {version}" for name, version in environment["packages"].items()),
        "commit": environment["commit"],
    }


def _numbers(
    run: Run,
    classifier: _MeasuredClassifier | None,
    recommenders: RecommenderEvaluation | None,
    asked: dict[str, dict[str, int]],
    config: EvaluateConfig,
) -> dict[str, Any]:
    """Gather the raw figures of report.json."""
    numbers: dict[str, Any] = {
        **describe_environment(),
        "run": plain(run.facts),
        "models": list(run.models),
        "evaluation": plain(dataclasses.asdict(config)),
        "dataset": plain(run.data.facts),
        "queries": asked,
    }
    if classifier is not None:
        numbers |= {
            "classifier": plain(classifier.figures.rows),
            "best_rule": classifier.figures.best_rule,
            "gain_over_best_rule": plain(classifier.figures.gain),
            "share_of_the_way": classifier.figures.share_of_the_way,
        }
    if recommenders is not None:
        numbers |= {
            "recommenders": plain(recommenders.rows),
            "differences_in_ndcg@10": plain(recommenders.differences),
            "slice_sizes": recommenders.slice_sizes,
            "faithfulness": plain(recommenders.faithfulness),
            "last_click": plain(recommenders.last_click),
            "explained_users": plain(recommenders.explained_users),
        }
    return numbers
