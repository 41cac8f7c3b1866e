"""Pictures of recommenders: where they are good, and what their quality costs."""

from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter
from matplotlib.transforms import Bbox, BboxBase

from recsys_tf.drawing import BLUE, GREEN, INK, LINE, MUTED, ORANGE, VERMILION, Plot, canvas, style
from recsys_tf.evaluation.bootstrap import Interval
from recsys_tf.evaluation.ranking_metrics import Floats

_Across = Literal["left", "right"]
_Up = Literal["center", "bottom", "top"]

_MARKS = ((BLUE, "o"), (VERMILION, "s"), (ORANGE, "D"), (GREEN, "^"))
# Where a name may stand beside its point: offset in points, and the edge of the text that is put there.
_PLACES: tuple[tuple[tuple[int, int], _Across, _Up], ...] = (
    ((8, 0), "left", "center"),
    ((-8, 0), "right", "center"),
    ((6, 7), "left", "bottom"),
    ((6, -7), "left", "top"),
    ((-6, 7), "right", "bottom"),
    ((-6, -7), "right", "top"),
    ((6, 20), "left", "bottom"),
    ((6, -20), "left", "top"),
    ((-6, 20), "right", "bottom"),
    ((-6, -20), "right", "top"),
)


def slices_plot(
    slices: Mapping[str, Mapping[str, Mapping[str, Interval]]], sizes: Mapping[str, Mapping[str, int]], metric: str
) -> Plot:
    """Draw a panel for each group of slices, and in it for each slice a dot per recommender with its 95 % interval.

    slices: recommender → group → slice → interval, four recommenders at most; sizes: group → slice → queries.
    """
    groups = list(sizes)
    rows = [groups[start : start + 2] for start in range(0, len(groups), 2)]
    most = [max(len(sizes[group]) for group in row) for row in rows]
    figure = Figure(figsize=(12.0, 1.3 + sum(0.85 + 0.62 * n for n in most)), layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle(f"{metric} by kind of question", x=0.012, ha="left", fontsize=14, fontweight="bold", color=INK)
    panels = np.atleast_1d(figure.subplots(len(rows), 2, height_ratios=[0.85 + 0.62 * n for n in most], squeeze=False))
    for axes, group in zip(panels.ravel(), groups, strict=False):
        _draw_group(axes, {name: found[group] for name, found in slices.items()}, sizes[group])
        axes.set_title(group, loc="left", fontsize=11, color=INK)
        axes.set_xlabel(f"{metric} (95 % interval)")
    for axes in panels.ravel()[len(groups) :]:
        axes.set_axis_off()
    handles, labels = panels.ravel()[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower left", ncols=len(labels), frameon=False, fontsize=10)
    return Plot(
        figure,
        f"{metric} of the queries of each kind (their number in brackets), with 95 % bootstrap intervals over users. "
        "Compare dots within a slice; slices differ in how hard their questions are.",
    )


def quality_against_time_plot(points: Mapping[str, tuple[float, Interval]], metric: str = "NDCG@10") -> Plot:
    """Draw quality against training time, in seconds on a logarithmic axis: name → (seconds, interval)."""
    return _quality_plot(points, metric, f"{metric} against training time", "training time (seconds, logarithmic)")


def quality_against_parameters_plot(points: Mapping[str, tuple[float, Interval]], metric: str = "NDCG@10") -> Plot:
    """Draw quality against the number of weights, on a logarithmic axis: name → (parameters, interval)."""
    return _quality_plot(points, metric, f"{metric} against size", "parameters (logarithmic)")


def _draw_group(axes: Axes, found: Mapping[str, Mapping[str, Interval]], sizes: Mapping[str, int]) -> None:
    style(axes)
    names = list(sizes)
    step = 0.7 / len(found)
    for number, ((name, intervals), (colour, mark)) in enumerate(zip(found.items(), _MARKS, strict=False)):
        means = np.array([intervals[one].mean for one in names])
        ends = np.array([[intervals[one].low, intervals[one].high] for one in names])
        reach = np.nan_to_num(np.maximum([means - ends[:, 0], ends[:, 1] - means], 0.0))
        places = np.arange(len(names)) + (number - (len(found) - 1) / 2) * step
        axes.errorbar(
            means, places, xerr=reach, fmt=mark, color=colour, markersize=5.5, elinewidth=1.6, label=name, zorder=3
        )
    for border in np.arange(1, len(names)) - 0.5:
        axes.axhline(border, color=LINE, lw=0.8, zorder=0)
    axes.set_yticks(range(len(names)), [f"{name}  ({sizes[name]:,})" for name in names])
    axes.set(ylim=(len(names) - 0.5, -0.5))
    # Room for the half of a dot at 0 that stands left of it.
    axes.set_xlim(-0.02 * axes.get_xlim()[1], axes.get_xlim()[1])
    axes.grid(axis="x", color=LINE, lw=0.8, zorder=0)
    axes.tick_params(axis="y", length=0)


def _quality_plot(points: Mapping[str, tuple[float, Interval]], metric: str, title: str, across: str) -> Plot:
    figure, axes = canvas(8.2, 5.2, title)
    costs = np.array([cost for cost, _ in points.values()], float)
    intervals = [interval for _, interval in points.values()]
    means = np.array([interval.mean for interval in intervals])
    low, high = (np.array([getattr(one, end) for one in intervals]) for end in ("low", "high"))
    reach = np.nan_to_num(np.maximum([means - low, high - means], 0.0))
    axes.errorbar(costs, means, yerr=reach, fmt="o", color=BLUE, ecolor=MUTED, elinewidth=1.2, capsize=3, zorder=3)
    margin = max(10 ** (0.12 * np.ptp(np.log10(costs))), 1.5)
    axes.set(xscale="log", xlim=(costs.min() / margin, costs.max() * margin))
    axes.set(xlabel=across, ylabel=f"{metric} (95 % interval)")
    # Over many decades the numbers between their ends would run into each other.
    wide = np.ptp(np.log10(costs)) + 2 * np.log10(margin) > 3
    axes.xaxis.set_major_locator(LogLocator(subs=(1.0,) if wide else (1.0, 2.0, 5.0)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: _short(value)))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.grid(color=LINE, lw=0.8, zorder=0)
    _name_points(figure, axes, list(points), np.column_stack([costs, means]), reach)
    return Plot(
        figure,
        f"{metric} with 95 % bootstrap intervals over users. Up and to the left is better: a model below and to the "
        "right of another one costs more and gives less.",
    )


def _name_points(figure: Figure, axes: Axes, names: Sequence[str], points: Floats, reach: Floats) -> None:
    """Write each point's name beside it where it hides the least: points [n, 2], reach [2, n] down and up from them."""
    figure.draw_without_rendering()
    pixels = figure.dpi / 72.0
    taken = [
        Bbox([axes.transData.transform((x, y - down)) - 4 * pixels, axes.transData.transform((x, y + up)) + 4 * pixels])
        for (x, y), down, up in zip(points, *reach, strict=True)
    ]
    for name, point in zip(names, points, strict=True):
        places = []
        for (x, y), across, up in _PLACES:
            label = axes.annotate(
                name, (point[0], point[1]), xytext=(x, y), textcoords="offset points", ha=across, va=up, color=INK,
                fontsize=9,
            )  # fmt: skip
            box = label.get_window_extent()
            hidden = sum(_common_area(box, other) for other in taken)
            outside = box.width * box.height - _common_area(box, axes.bbox)
            places.append((hidden + outside, label, box))
        best = min(range(len(places)), key=lambda i: places[i][0])
        taken.append(places[best][2])
        for i, (_, label, _) in enumerate(places):
            if i != best:
                label.remove()


def _common_area(box: BboxBase, other: BboxBase) -> float:
    common = Bbox.intersection(box, other)
    return 0.0 if common is None else float(common.width * common.height)


def _short(value: float) -> str:
    return f"{value / 1e6:g} M" if value >= 1e6 else f"{value:,.10g}"
