"""One hand for all pictures: colours, canvas and axes, and a figure that carries its caption.

Colours are Okabe & Ito's (2008), told apart by readers with any kind of colour vision; no plot needs colour alone.
"""

from dataclasses import dataclass
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from recsys_tf.publishing import published_file

BLUE, ORANGE, GREEN, VERMILION, SKY = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#56B4E9"
INK, MUTED, LINE = "#1F2933", "#616E7C", "#D9DEE3"


@dataclass(frozen=True)
class Plot:
    """A drawn figure and the sentence to print under it."""

    figure: Figure
    caption: str

    def save(self, path: Path) -> None:
        """Write the figure as a PNG, whole or not at all; the same figure gives the same bytes."""
        with published_file(path) as partial:
            self.figure.savefig(partial, format="png", dpi=160, metadata={"Software": None})


def canvas(width: float, height: float, title: str) -> tuple[Figure, Axes]:
    """Return a figure of so many inches with a title, and its one pair of axes."""
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle(title, x=0.012, ha="left", fontsize=14, fontweight="bold", color=INK)
    axes = figure.subplots()
    style(axes)
    return figure, axes


def style(axes: Axes) -> None:
    """Give axes the house's plain look."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(LINE)
    axes.tick_params(colors=INK, labelsize=9)
    axes.xaxis.label.set_color(MUTED)
    axes.yaxis.label.set_color(MUTED)
