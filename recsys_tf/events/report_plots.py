"""The pictures of the data-quality report."""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from recsys_tf.drawing import BLUE, INK, LINE, MUTED, SKY, VERMILION, Plot, canvas
from recsys_tf.events.schema import BEHAVIORS, has_time

_THOUSANDS = FuncFormatter(lambda value, _: f"{value:,.0f}")
_DAY_MS = 86_400_000


def quality_plots(events: pd.DataFrame, reasons: Mapping[str, int]) -> dict[str, Plot]:
    """Draw what a reader wants to see of a log, by file name; those about time are there for a log with times."""
    plots = {"behaviors.png": behavior_plot(events["behavior"])}
    if has_time(events):
        timestamp = events["timestamp"]
        plots["days.png"] = day_plot(timestamp)
        plots["hours.png"] = hour_plot(timestamp)
    plots["lengths.png"] = length_plot(events["user_id"])
    plots["popularity.png"] = popularity_plot(events.loc[events["item_id"] != "", "item_id"])
    if reasons:
        plots["reasons.png"] = reason_plot(reasons)
    return plots


def behavior_plot(behavior: pd.Series) -> Plot:
    """Draw how often each behaviour occurs."""
    counts = behavior.value_counts().reindex(list(BEHAVIORS), fill_value=0)
    return Plot(
        _bars("Behaviour mix", list(counts.index), np.asarray(counts, np.int64), "events", BLUE),
        "How often each behaviour occurs. A funnel narrows from views to purchases; a log that holds few or no "
        "purchases cannot teach a model what is bought.",
    )


def reason_plot(reasons: Mapping[str, int]) -> Plot:
    """Draw how many rows each reason rejects."""
    ordered = dict(sorted(reasons.items(), key=lambda pair: -pair[1]))
    return Plot(
        _bars("Reasons for rejection", list(ordered), np.array(list(ordered.values())), "rows", VERMILION),
        "Each rejected row counts once, for the first reason that applies; all of them stand in rejects.csv.",
    )


def day_plot(timestamp: pd.Series) -> Plot:
    """Draw events per day."""
    day = timestamp // _DAY_MS
    counts = np.bincount(day - day.min())
    figure, axes = canvas(8.2, 3.4, "Events per day")
    days = (np.arange(len(counts)) + int(day.min())).astype("datetime64[D]")
    axes.plot(days, counts, color=BLUE, lw=1.6)
    axes.fill_between(days, counts, color=SKY, alpha=0.25, lw=0)
    axes.set(xlabel="day (UTC)", ylabel="events", ylim=(0, None))
    axes.xaxis.set_major_locator(locator := AutoDateLocator(maxticks=8))  # type: ignore[no-untyped-call]
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))  # type: ignore[no-untyped-call]
    axes.yaxis.set_major_formatter(_THOUSANDS)
    axes.grid(axis="y", color=LINE, lw=0.8)
    return Plot(figure, "Look for gaps (days that were not logged), jumps (campaigns or bots) and the weekly rhythm.")


def hour_plot(timestamp: pd.Series) -> Plot:
    """Draw events per hour of the day."""
    counts = np.bincount(timestamp // 3_600_000 % 24, minlength=24)
    figure, axes = canvas(8.2, 3.2, "Events per hour of the day")
    axes.bar(np.arange(24), counts, width=0.8, color=BLUE)
    axes.set(xlabel="hour (UTC)", ylabel="events", xticks=range(0, 24, 2))
    axes.yaxis.set_major_formatter(_THOUSANDS)
    axes.grid(axis="y", color=LINE, lw=0.8)
    axes.set_axisbelow(True)
    return Plot(figure, "People sleep; a log without a quiet night is in another time zone, or is not made by people.")


def length_plot(user: pd.Series) -> Plot:
    """Draw how many users have how many events, both on log axes."""
    lengths = user.value_counts().to_numpy()
    figure, axes = canvas(8.2, 3.6, "Sequence lengths")
    edges = np.unique(np.round(np.logspace(0, np.log10(lengths.max() + 1), 40)))
    axes.hist(lengths, bins=edges.tolist(), color=BLUE, edgecolor="white", lw=0.5)
    axes.set(xscale="log", yscale="log", xlabel="events of a user", ylabel="users")
    median = float(np.median(lengths))
    axes.axvline(median, color=INK, lw=1.0, ls=":")
    axes.text(0.98, 0.92, f"median {median:,.0f} (dotted line)", ha="right", color=MUTED, transform=axes.transAxes)
    axes.grid(color=LINE, lw=0.8)
    axes.set_axisbelow(True)
    return Plot(
        figure,
        "Most users have short sequences and a few very long ones. Users far to the right are wholesale customers or "
        "bots; histories longer than max_length are cut to their newest events.",
    )


def popularity_plot(item: pd.Series) -> Plot:
    """Draw each item's events against its rank, both on log axes."""
    counts = item.value_counts().to_numpy()
    figure, axes = canvas(8.2, 3.6, "Item popularity")
    axes.plot(np.arange(1, len(counts) + 1), counts, color=BLUE, lw=2)
    axes.set(xscale="log", yscale="log", xlabel="rank of the item", ylabel="events")
    top = counts[: max(len(counts) // 100, 1)].sum() / max(counts.sum(), 1)
    axes.text(0.98, 0.92, f"the top 1 % of the items draw {top:.0%} of the events", ha="right", color=MUTED,
              transform=axes.transAxes)  # fmt: skip
    axes.grid(color=LINE, lw=0.8)
    return Plot(
        figure,
        "A straight line is a power law. The steeper it is, the better a list of the most popular items does, and the "
        "less most items are ever shown.",
    )


def _bars(title: str, names: list[str], counts: npt.NDArray[np.int64], unit: str, color: str) -> Figure:
    figure, axes = canvas(8.2, 1.4 + 0.36 * len(names), title)
    places = np.arange(len(names))[::-1]
    axes.barh(places, counts, color=color, height=0.66)
    edge = max(int(counts.max(initial=0)), 1)
    total = max(int(counts.sum()), 1)
    for place, count in zip(places, counts, strict=True):
        axes.text(count + 0.01 * edge, place, f"{count:,}  ({count / total:.1%})", va="center", color=INK, fontsize=9)
    axes.set_yticks(places, names)
    axes.set(xlabel=unit, xlim=(0, 1.22 * edge))
    axes.xaxis.set_major_formatter(_THOUSANDS)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x", color=LINE, lw=0.8)
    axes.set_axisbelow(True)
    return figure
