"""The page's section about what the last click is worth, with its picture."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke

from recsys_tf.drawing import BLUE, INK, LINE, MUTED, Plot, style
from recsys_tf.evaluation.bootstrap import Interval
from recsys_tf.evaluation.last_click import LastClick, LessKnown
from recsys_tf.evaluation.plots import save_plots
from recsys_tf.page import Section, Table


def last_click_section(found: LastClick, directory: Path) -> Section:
    """Lay out the figures, and draw the picture into the directory."""
    newest = found.without_newest
    text = (
        "The same questions, asked with less of what the user just did. A recommender that is brought up to date "
        "once a day answers from the history as it stood a day ago; this one is sent the history with the request, so "
        f"that the last click counts at once. Without the newest event NDCG@10 falls by {newest.lost.text()}."
    )
    table = Table(
        ["what is known", "NDCG@10", "all of it adds", "questions that know less"],
        [
            [f"everything, {_at_most(found)}", found.everything.text(), "–", "–"],
            *(
                [name, one.ndcg.text(), one.lost.text(), f"{100 * one.shortened:.0f} %"]
                for name, one in [*_by_number(found).items(), *_by_age(found).items()]
            ),
        ],
        f"{found.questions:,} questions of the test side, 95 % intervals over users; the event that is asked for is "
        "never known. A cut that shortens no history is left out.",
        [0],
    )
    return Section(
        "What the last click is worth", text, [table], save_plots({"last_click.png": _plot(found)}, directory)
    )


def _plot(found: LastClick) -> Plot:
    figure = Figure(figsize=(11.0, 4.4), layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle("What the last click is worth", x=0.012, ha="left", fontsize=14, fontweight="bold", color=INK)
    left, right = figure.subplots(1, 2, sharey=True)
    numbers = {f"{number}": one.ndcg for number, one in found.by_number.items()}
    _draw(left, numbers | {f"all, up\nto {found.longest:,}": found.everything})
    left.set(xlabel="newest events known", ylabel="NDCG@10 (95 % interval)")
    left.set_title("by how much is known", loc="left", fontsize=11, color=INK)
    ages = {f"{age}\nago": one.ndcg for age, one in reversed(found.by_age.items())}
    _draw(right, ages | {"1 event\nago": found.without_newest.ndcg, "now": found.everything})
    right.set(xlabel="the history as it stood")
    right.set_title("by how fresh it is", loc="left", fontsize=11, color=INK)
    right.tick_params(labelleft=True)
    left.set_ylim(0.0, 1.12 * _highest([*numbers.values(), found.everything, *ages.values()]))
    return Plot(
        figure,
        f"NDCG@10 of {found.questions:,} questions, with 95 % bootstrap intervals over users; the dashed line is "
        "everything known. Left: how few of the newest events are enough; where fewer are better, older ones distract. "
        "Right: what an answer loses that comes from an older history; the steeper the end, the more the last click is "
        "worth.",
    )


def _draw(axes: Axes, points: dict[str, Interval]) -> None:
    """Draw a dot with its interval for each name, from the least known to everything."""
    style(axes)
    places, means = np.arange(len(points)), np.array([one.mean for one in points.values()])
    ends = np.array([[one.low, one.high] for one in points.values()])
    reach = np.nan_to_num(np.maximum([means - ends[:, 0], ends[:, 1] - means], 0.0))
    axes.axhline(means[-1], color=MUTED, lw=1.0, ls="--", zorder=1)
    axes.errorbar(places, means, yerr=reach, fmt="o-", color=BLUE, lw=1.8, elinewidth=1.6, markersize=6, zorder=3)
    for place, mean, up in zip(places, means, reach[1], strict=True):
        axes.annotate(
            f"{mean:.3f}", (place, mean + up), xytext=(0, 5), textcoords="offset points", ha="center", color=INK,
            fontsize=9, path_effects=[withStroke(linewidth=3, foreground="white")], zorder=4,
        )  # fmt: skip
    axes.set_xticks(places, list(points))
    axes.set_xlim(-0.5, len(points) - 0.5)
    axes.grid(axis="y", color=LINE, lw=0.8, zorder=0)


def _highest(intervals: Sequence[Interval]) -> float:
    return max([1e-9, *(float(np.nanmax([one.mean, one.high])) for one in intervals)])


def _at_most(found: LastClick) -> str:
    return f"up to {found.longest:,} event{'' if found.longest == 1 else 's'}"


def _by_number(found: LastClick) -> dict[str, LessKnown]:
    named = {0: "nothing, as of a new user", 1: "the newest event"}
    return {named.get(number, f"the newest {number} events"): one for number, one in found.by_number.items()}


def _by_age(found: LastClick) -> dict[str, LessKnown]:
    ages = {f"the history as it stood {age} before": one for age, one in found.by_age.items()}
    return {"everything but the newest event": found.without_newest} | ages
