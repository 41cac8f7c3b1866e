"""How a published figure and a table of them are written in Markdown."""

from collections.abc import Mapping, Sequence
from typing import Any

Result = dict[str, Any]


def markdown_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Lay out a table whose first column is text and whose others are numbers."""
    lines = [header, ["---", *("---:" for _ in header[1:])], *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


def interval(value: Mapping[str, float | None], digits: int = 3) -> str:
    """Write "0.512 [0.498, 0.526]", or the figure alone where the interval is not known."""
    mean, low, high = value["mean"], value["low"], value["high"]
    if low is None or high is None:
        return f"{mean:.{digits}f}"
    return f"{mean:.{digits}f} [{low:.{digits}f}, {high:.{digits}f}]"


def difference(value: Mapping[str, Any], digits: int = 3) -> str:
    """Write "+0.012 (p = 0.002)", a difference in pairs and how likely chance alone would make one as large."""
    p_value = value["p_value"]
    return f"{value['interval']['mean']:+.{digits}f} (p {'< 0.001' if p_value < 0.001 else f'= {p_value:.3f}'})"


def made_by(results: Sequence[Result]) -> str:
    """Name the machines and versions behind results."""
    machines = {f"{one['machine']['cores']} cores, {one['machine']['processor']}" for one in results}
    versions = {f"TensorFlow {one['packages']['tensorflow']}" for one in results}
    return f"{'; '.join(sorted(machines))}; {'; '.join(sorted(versions))}."


def training_seconds(result: Result, model: str) -> float:
    """Return the seconds that a model's epochs took in all."""
    # A run of one model had one number.
    seconds: dict[str, float] | float = result["training_seconds"]
    return seconds[model] if isinstance(seconds, dict) else seconds
