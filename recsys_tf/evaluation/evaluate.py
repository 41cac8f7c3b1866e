"""Evaluate a finished run on its test side: figures, pictures, one HTML page and its JSON."""

import dataclasses
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from recsys_tf.config import EvaluateConfig
from recsys_tf.environment import describe_environment
from recsys_tf.errors import InputError
from recsys_tf.evaluation.classification_metrics import confusion, reliability
from recsys_tf.evaluation.classifier_evaluation import ClassifierFigures, evaluate_classifier, read_ceiling
from recsys_tf.evaluation.plots import Plot, comparison_plot, confusion_plot, learning_curves_plot, reliability_plot
from recsys_tf.evaluation.predictions import Predictions, item_representations, make_predictor
from recsys_tf.evaluation.queries import Queries, TrainingEvents, read_queries, read_training_events
from recsys_tf.evaluation.recommender_evaluation import (
    RecommenderFigures,
    Scores,
    baseline_scores,
    evaluate_recommenders,
)
from recsys_tf.models.cosine_recommender import cosine_scores
from recsys_tf.page import Picture, Report, Section, Table, plain, write_report
from recsys_tf.sequences.labels import class_names
from recsys_tf.training.runs import Run, load_classifier, run_directory

COSINE = "cosine of the classifier"
_SHOWN_CLASSES = 15


@dataclass(frozen=True)
class Evaluation:
    """All figures of a run; recommenders is empty for a log whose test side holds no item event."""

    classifier: ClassifierFigures
    recommenders: dict[str, RecommenderFigures]
    queries: int
    possible: int
    users: int
    page: Path


def evaluate_run(run: Run, config: EvaluateConfig, directory: Path) -> Evaluation:
    """Measure the run's classifier and the recommenders on its test side and write report.html and report.json."""
    if config.bootstrap_samples < 1 or min(config.ks, default=0) < 1:
        raise InputError(f"bootstrap_samples {config.bootstrap_samples} and ks {config.ks}: all must be at least 1")
    settings = run.config.classifier
    model = load_classifier(run)
    training = read_training_events(run.data)
    queries = read_queries(run.data, settings.target, settings.purchase_horizon, config.max_queries, config.seed)
    truth = run.config.data / "truth"
    ceiling = read_ceiling(truth, queries) if settings.target == "next_category" and len(queries) else None
    if len(queries) == 0:
        raise InputError(f"no test event has a class for target {settings.target}: there is nothing to evaluate")
    predict = make_predictor(model, run.data.space, settings.inputs)
    predictions = predict(queries)
    classifier = evaluate_classifier(
        predictions.probabilities, queries, training, run.data.space, settings, config, ceiling
    )
    recommenders = _evaluate_recommenders(run, model, predict, training, config, truth)
    report = Report(
        title=f"{run_directory(run.config).name}: {settings.target.replace('_', ' ')} by the article's LSTM classifier",
        facts=_facts(run, queries, config),
        sections=[
            _classifier_section(classifier, _classifier_pictures(run, classifier, predictions, queries, directory)),
            *_recommender_sections(recommenders, config, directory),
        ],
        numbers={
            **describe_environment(),
            "run": plain(run.facts),
            "evaluation": plain(dataclasses.asdict(config)),
            "dataset": plain(run.data.facts),
            "queries": {"scored": len(queries), "possible": queries.possible},
            "classifier": plain(classifier.rows),
            "best_rule": classifier.best_rule,
            "gain_over_best_rule": plain(classifier.gain),
            "share_of_the_way": classifier.share_of_the_way,
            "recommenders": plain(recommenders),
        },
    )
    page = write_report(directory, report)
    users = len(np.unique(queries.user))
    return Evaluation(classifier, recommenders, len(queries), queries.possible, users, page)


def _evaluate_recommenders(
    run: Run,
    model: Any,
    predict: Callable[[Queries], Predictions],
    training: TrainingEvents,
    config: EvaluateConfig,
    truth: Path,
) -> dict[str, RecommenderFigures]:
    queries = read_queries(run.data, "next_item", 1, config.max_queries, config.seed)
    catalogue = run.data.space.catalogue
    train = training.interactions(len(catalogue))
    if len(queries) == 0 or len(train.item) == 0:
        return {}
    inputs = run.config.classifier.inputs
    users = predict(queries).representations
    items = item_representations(model, run.data.space, inputs)

    def cosine(rows: slice) -> Scores:
        return np.asarray(cosine_scores(users[rows], items), np.float32)

    scorers = {COSINE: cosine, **baseline_scores(train, queries.histories())}
    return evaluate_recommenders(scorers, queries, catalogue.item_ids, config, truth if config.online else None)


def _facts(run: Run, queries: Queries, config: EvaluateConfig) -> dict[str, str]:
    counts, split = run.data.facts["counts"], run.data.facts["split"]
    left_out = run.data.facts["left_out"]
    environment = describe_environment()
    return {
        "data": f"{counts['users']:,} users, {counts['items']:,} items, {counts['categories']:,} categories",
        "events": f"{counts['training_events']:,} training, {counts['validation_events']:,} validation, "
        f"{counts['test_events']:,} test",
        "split": f"{split['method'].replace('_', '-')}; everything learned is learned from the training side",
        "left out": f"{left_out['bot_like_users']:,} bot-like users, "
        f"{left_out['users_below_the_core']:,} users below the core",
        "scored": f"{len(queries):,} of {queries.possible:,} test events of {len(np.unique(queries.user)):,} users",
        "intervals": f"95 %, {config.bootstrap_samples:,} bootstrap resamples of users",
        "seed": str(run.config.fit.seed),
        "machine": f"{environment['machine']['cores']} cores, {environment['machine']['processor']}",
        "versions": ", ".join(f"{name} {version}" for name, version in environment["packages"].items()),
        "commit": environment["commit"],
    }


_COLUMNS = {
    "accuracy": "accuracy",
    "top5_accuracy": "top-5 accuracy",
    "weighted_recall": "weighted recall",
    "macro_recall": "macro recall",
    "macro_f1": "macro F1",
    "weighted_f1": "weighted F1",
}


def _classifier_section(figures: ClassifierFigures, pictures: list[Picture]) -> Section:
    order = sorted(figures.rows, key=lambda name: -figures.rows[name]["accuracy"].mean)
    rows = [
        [name, *(figures.rows[name][c].text() if c in figures.rows[name] else "–" for c in _COLUMNS)] for name in order
    ]
    gain, p_value = figures.gain["interval"], figures.gain["p_value"]
    text = (
        ""
        if math.isnan(p_value)
        else (
            f"On the same events the classifier is right {100 * gain.mean:+.1f} points more often than the best simple "
            f"rule, {figures.best_rule} (95 % interval {100 * gain.low:+.1f} to {100 * gain.high:+.1f}, "
            f"p = {p_value:.2g}). "
        )
    )
    if figures.share_of_the_way is not None:
        text += (
            f"That is {100 * figures.share_of_the_way:.0f} % of the way from that rule to the ceiling: the best guess "
            "that anyone could make who knew the users' true interests besides the history (an upper bound). "
        )
    text += "Weighted recall of single-label classes equals accuracy; macro recall gives every class the same weight."
    table = Table(
        ["", *_COLUMNS.values()],
        rows,
        "Figures on the test side; intervals resample users.",
        [order.index("classifier")],
    )
    return Section("The class of the next event", text, [table], pictures)


def _classifier_pictures(
    run: Run, figures: ClassifierFigures, predictions: Predictions, queries: Queries, directory: Path
) -> list[Picture]:
    names = class_names(run.data.space, run.config.classifier.target)
    shown = confusion(queries.label, figures.predicted, _SHOWN_CLASSES)
    labels = [names[c] if c >= 0 else "not seen in training" for c in shown.classes]
    confidence = predictions.probabilities.max(axis=1)
    history = run.facts["history"]
    monitor = "val_accuracy" if "val_accuracy" in history else "loss"
    accuracies = {name: row["accuracy"] for name, row in figures.rows.items() if name != "ceiling"}
    ceiling = figures.rows.get("ceiling", {}).get("accuracy")
    plots = {
        "accuracy.png": comparison_plot(accuracies, "accuracy", ["classifier"], ceiling),
        "learning_curves.png": learning_curves_plot(history, monitor),
        "confusion.png": confusion_plot(shown, labels),
        "reliability.png": reliability_plot(reliability(confidence, figures.right["classifier"])),
    }
    return _save(plots, directory)


def _recommender_sections(
    figures: dict[str, RecommenderFigures], config: EvaluateConfig, directory: Path
) -> list[Section]:
    if not figures:
        return []
    k = 10 if 10 in config.ks else max(config.ks)
    main = f"NDCG@{k}"
    order = sorted(figures, key=lambda name: -figures[name].intervals[main].mean)
    tables = [
        Table(
            ["", *(f"{metric}@{k}" for k in config.ks)],
            [[name, *(figures[name].intervals[f"{metric}@{k}"].text() for k in config.ks)] for name in order],
            f"{metric}@k over the whole catalogue{', seen items removed' if config.remove_seen else ''}; "
            "ties count against a recommender.",
            [order.index(COSINE)],
        )
        for metric in ("NDCG", "HR", "MRR")
    ]
    lists = Table(
        ["", "coverage@10", "Gini@10"],
        [[name, *(f"{value:.3f}" for value in figures[name].lists.values())] for name in order],
        "Share of the catalogue in at least one list of ten, and how unevenly lists show it (1 is most uneven).",
    )
    plots = {"ndcg.png": comparison_plot({name: figures[name].intervals[main] for name in figures}, main, [COSINE])}
    sections = [
        Section(
            "The next item",
            "The article's recommender ranks items by the cosine between the user's representation (the layer before "
            "the softmax) and the item's, encoded as a single view by the same encoder. It was trained to tell "
            "categories apart, not items: compare it with the simple rules before putting it to use.",
            [*tables, lists],
            _save(plots, directory),
        )
    ]
    if all(row.online for row in figures.values()):
        rates = list(next(iter(figures.values())).online)
        table = Table(
            ["", *rates],
            [[name, *(figures[name].online[rate].text(4) for rate in rates)] for name in order],
            "Expected by the simulator's judge, who knows what the users want: clicks per item shown in a list of ten, "
            "and purchases per list (article section 10.4).",
        )
        sections.append(Section("Simulated clicks and purchases", "", [table]))
    return sections


def _save(plots: dict[str, Plot], directory: Path) -> list[Picture]:
    for file, plot in plots.items():
        plot.save(directory / file)
    return [Picture(file, plot.caption) for file, plot in plots.items()]
