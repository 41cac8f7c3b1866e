"""The page's section about the classifier: its figures beside the simple rules, and its pictures."""

import math
from pathlib import Path

from recsys_tf.evaluation.classification_metrics import confusion, reliability
from recsys_tf.evaluation.classifier_evaluation import ClassifierFigures
from recsys_tf.evaluation.plots import (
    comparison_plot,
    confusion_plot,
    learning_curves_plot,
    reliability_plot,
    save_plots,
)
from recsys_tf.evaluation.predictions import Predictions
from recsys_tf.evaluation.queries import Queries
from recsys_tf.page import Picture, Section, Table
from recsys_tf.sequences.labels import class_names
from recsys_tf.training.runs import Run

_SHOWN_CLASSES = 15

_COLUMNS = {
    "accuracy": "accuracy",
    "top5_accuracy": "top-5 accuracy",
    "weighted_recall": "weighted recall",
    "macro_recall": "macro recall",
    "macro_f1": "macro F1",
    "weighted_f1": "weighted F1",
}


def classifier_section(
    run: Run, figures: ClassifierFigures, predictions: Predictions, queries: Queries, directory: Path
) -> Section:
    """Lay out a classifier's figures and draw its pictures into the directory; predictions and queries are paired."""
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
    return Section(
        "The class of the next event", text, [table], _pictures(run, figures, predictions, queries, directory)
    )


def _pictures(
    run: Run, figures: ClassifierFigures, predictions: Predictions, queries: Queries, directory: Path
) -> list[Picture]:
    names = class_names(run.data.space, run.config.classifier.target)
    shown = confusion(queries.label, figures.predicted, _SHOWN_CLASSES)
    labels = [names[c] if c >= 0 else "not seen in training" for c in shown.classes]
    confidence = predictions.probabilities.max(axis=1)
    history = run.facts["history"]["classifier"]
    monitor = "val_accuracy" if "val_accuracy" in history else "loss"
    accuracies = {name: row["accuracy"] for name, row in figures.rows.items() if name != "ceiling"}
    ceiling = figures.rows.get("ceiling", {}).get("accuracy")
    plots = {
        "accuracy.png": comparison_plot(accuracies, "accuracy", ["classifier"], ceiling),
        "learning_curves.png": learning_curves_plot(history, monitor, "Learning curves of the classifier"),
        "confusion.png": confusion_plot(shown, labels),
        "reliability.png": reliability_plot(reliability(confidence, figures.right["classifier"])),
    }
    return save_plots(plots, directory)
