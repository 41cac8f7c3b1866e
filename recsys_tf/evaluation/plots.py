"""The evaluation report's pictures: each says in its caption what to see in it."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator, PercentFormatter

from recsys_tf.drawing import BLUE, INK, LINE, MUTED, SKY, VERMILION, canvas, style
from recsys_tf.drawing import Plot as Plot
from recsys_tf.evaluation.bootstrap import Interval
from recsys_tf.evaluation.classification_metrics import Confusion, Reliability
from recsys_tf.page import Picture


def save_plots(plots: Mapping[str, Plot], directory: Path) -> list[Picture]:
    """Write each plot into the directory under its file name, and return the page's pictures."""
    for file, plot in plots.items():
        plot.save(directory / file)
    return [Picture(file, plot.caption) for file, plot in plots.items()]


def confusion_plot(confusion: Confusion, names: Sequence[str]) -> Plot:
    """Draw shares of each true class (row) by predicted class (column); names [n] belong to confusion.classes [n]."""
    counts = confusion.counts
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    labels = [*names, "other"]
    size = 2.6 + 0.42 * len(labels)
    figure, axes = canvas(size + 1.6, size, f"Where the {len(names)} most frequent classes go")
    image = axes.imshow(shares, cmap="Blues", vmin=0.0, vmax=1.0)
    axes.set_xticks(range(len(labels)), labels, rotation=45, ha="right", rotation_mode="anchor")
    axes.set_yticks(
        range(len(labels)), [f"{name}  ({n:,})" for name, n in zip(labels, counts.sum(axis=1), strict=True)]
    )
    axes.set(xlabel="predicted class", ylabel="true class  (events)")
    axes.set_xticks(np.arange(1, len(labels)) - 0.5, minor=True)
    axes.set_yticks(np.arange(1, len(labels)) - 0.5, minor=True)
    axes.grid(which="minor", color=LINE, linewidth=0.8)
    axes.tick_params(which="both", length=0)
    axes.spines[:].set_visible(False)
    for row, column in zip(*np.nonzero(shares >= 0.005), strict=True):
        shade = INK if shares[row, column] < 0.55 else "white"
        axes.text(column, row, f"{100 * shares[row, column]:.0f}", ha="center", va="center", color=shade, fontsize=8)
    bar = figure.colorbar(image, ax=axes, shrink=0.6, aspect=24, pad=0.02, format=PercentFormatter(1.0))
    bar.set_label("share of the true class' events", color=MUTED)
    bar.outline.set_visible(False)  # type: ignore[operator]
    bar.ax.tick_params(length=0)
    return Plot(
        figure,
        "Each row shows, in percent, where the events of one true class went; the diagonal is that class' recall. "
        "A dark cell off the diagonal is a pair of classes that the model mistakes for each other.",
    )


def learning_curves_plot(
    history: Mapping[str, Sequence[float]], monitor: str = "val_loss", title: str = "Learning curves"
) -> Plot:
    """Draw loss and what else was measured, training and validation, by epoch.

    history holds one list [epochs] per Keras name: loss, accuracy, NDCG@10, HR@10, and val_… of each. The best epoch is
    that of the lowest monitored value, or the highest where the monitor is no loss.
    """
    watched = np.asarray(history[monitor], float)
    best = int(np.nanargmin(watched) if "loss" in monitor else np.nanargmax(watched))
    measured = {name.removeprefix("val_") for name in history}
    shown = [name for name in ("loss", "accuracy", "NDCG@10", "HR@10") if name in measured]
    figure = Figure(figsize=(5.2 * len(shown), 4.0), layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle(title, x=0.012, ha="left", fontsize=14, fontweight="bold", color=INK)
    for axes, name in zip(np.atleast_1d(figure.subplots(1, len(shown))), shown, strict=True):
        style(axes)
        for key, label, colour, dash, mark in (
            (name, "training", BLUE, "--", "o"),
            (f"val_{name}", "validation", VERMILION, "-", "s"),
        ):
            if key in history:
                epochs = np.arange(1, len(history[key]) + 1)
                axes.plot(epochs, history[key], dash, color=colour, label=label, marker=mark, markersize=3.5, lw=1.8)
        axes.axvline(best + 1, color=MUTED, lw=1.0, ls=":", zorder=0, label=f"best epoch: {best + 1}")
        axes.set(xlabel="epoch", ylabel="loss (nats)" if name == "loss" else name)
        axes.set_xlim(0.5, len(watched) + 0.5)
        axes.xaxis.set_major_locator(MaxNLocator(nbins=8, integer=True, min_n_ticks=1))
        axes.grid(axis="y", color=LINE, lw=0.8)
        axes.legend(frameon=False, fontsize=9)
    return Plot(
        figure,
        f"Training (dashed) and validation (solid) by epoch. The weights of epoch {best + 1}, the best by {monitor}, "
        "are kept; where the solid line turns back while the dashed one goes on, the model has begun to memorise.",
    )


def comparison_plot(
    intervals: Mapping[str, Interval], metric: str, models: Sequence[str] = (), ceiling: Interval | None = None
) -> Plot:
    """Draw one bar per model or rule with its 95 % interval, smallest at the bottom; `models` are told apart by colour.

    The ceiling, where one is known, is a vertical line with a band for its interval.
    """
    named = metric[:1].upper() + metric[1:]
    ordered = sorted(intervals.items(), key=lambda pair: pair[1].mean)
    figure, axes = canvas(8.2, 1.7 + 0.46 * len(ordered), f"{named}: models and simple rules")
    means = np.array([interval.mean for _, interval in ordered])
    low, high = (np.array([getattr(interval, end) for _, interval in ordered]) for end in ("low", "high"))
    learned = [name in models for name, _ in ordered]
    colours = [BLUE if one else SKY for one in learned]
    places = np.arange(len(ordered))
    axes.barh(places, means, height=0.62, color=colours, edgecolor="none", zorder=2)
    reach = np.nan_to_num(np.maximum([means - low, high - means], 0.0))
    axes.errorbar(means, places, xerr=reach, fmt="none", ecolor=INK, elinewidth=1.3, capsize=3.5, zorder=3)
    edge = max(float((means + reach[1]).max()), 1e-9 if ceiling is None else ceiling.mean)
    column = axes.get_yaxis_transform()
    for place, (mean, bold) in enumerate(zip(means, learned, strict=True)):
        weight = "bold" if bold else "normal"
        axes.text(1.02, place, f"{mean:.3f}", va="center", color=INK, fontsize=9, weight=weight, transform=column)
    axes.set_yticks(places, [name for name, _ in ordered])
    for label, one in zip(axes.get_yticklabels(), learned, strict=True):
        label.set_fontweight("bold" if one else "normal")
    axes.set(xlabel=f"{metric} (95 % interval)", xlim=(0.0, 1.06 * edge), ylim=(-0.6, len(ordered) - 0.4))
    axes.grid(axis="x", color=LINE, lw=0.8, zorder=0)
    axes.tick_params(axis="y", length=0)
    caption = f"{named} with 95 % bootstrap intervals over users; learned models are dark and bold, rules are light."
    if ceiling is not None:
        axes.axvline(ceiling.mean, color=VERMILION, lw=1.8, ls="--", zorder=4)
        if np.isfinite([ceiling.low, ceiling.high]).all():
            axes.axvspan(ceiling.low, ceiling.high, color=VERMILION, alpha=0.12, lw=0, zorder=1)
        axes.annotate(
            f"ceiling {ceiling.mean:.3f}", (ceiling.mean, 1.0), xycoords=("data", "axes fraction"), xytext=(0, 4),
            textcoords="offset points", ha="center", color=VERMILION, fontsize=9, fontweight="bold",
        )  # fmt: skip
        caption += " No guess from the same histories can be right more often than the dashed line."
    return Plot(figure, caption)


def reliability_plot(reliability: Reliability) -> Plot:
    """Draw measured accuracy against stated confidence, and below it how many answers each bin holds."""
    figure = Figure(figsize=(5.6, 5.8), layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle("Does the model know what it knows?", x=0.02, ha="left", fontsize=14, fontweight="bold", color=INK)
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(4, 1))
    bins = len(reliability.count)
    centres = (np.arange(bins) + 0.5) / bins
    style(upper)
    upper.plot([0, 1], [0, 1], color=MUTED, lw=1.0, ls="--", label="perfectly calibrated", zorder=1)
    filled = reliability.count > 0
    upper.plot(
        reliability.confidence[filled],
        reliability.accuracy[filled],
        "o-",
        color=BLUE,
        lw=1.8,
        ms=6,
        clip_on=False,
        zorder=3,
        label="this model",
    )
    error = reliability.expected_calibration_error
    upper.text(0.97, 0.05, f"calibration error {error:.3f}", ha="right", color=INK, transform=upper.transAxes)
    upper.set(ylabel="accuracy in the bin", xlim=(0, 1), ylim=(0, 1))
    upper.grid(color=LINE, lw=0.8)
    upper.legend(frameon=False, loc="upper left")
    style(lower)
    lower.bar(centres, reliability.count, width=0.9 / bins, color=SKY)
    lower.set(xlabel="confidence: probability of the predicted class", ylabel="answers")
    lower.yaxis.set_major_locator(MaxNLocator(nbins=3, integer=True))
    lower.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    return Plot(
        figure,
        "Points on the diagonal are honest: of the answers given with 70 % confidence, 70 % are right. Below it the "
        f"model is too sure of itself, above it too modest; on average it is off by {100 * error:.1f} points.",
    )
