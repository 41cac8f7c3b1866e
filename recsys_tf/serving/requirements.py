"""What a model must reach before it is published: `--require "ndcg@10>=0.05"`, held against the run's report."""

import json
import operator
import re
from dataclasses import dataclass
from typing import Any

from recsys_tf.errors import InputError
from recsys_tf.training.runs import Run

_FORM = re.compile(r"\s*([a-z0-9_@]+)\s*(>=|>)\s*([0-9.eE+-]+)\s*")
_COMPARE = {">=": operator.ge, ">": operator.gt}
# The row of the report in which a model's own figures stand.
_ROW = {"two_tower": "two-tower", "classifier": "classifier"}


@dataclass(frozen=True)
class Requirement:
    """A figure of the report, in lower case, and what it must reach."""

    metric: str
    sign: str
    least: float

    def is_met(self, figure: float) -> bool:
        """Compare a figure with what is required."""
        return bool(_COMPARE[self.sign](figure, self.least))


def parse_requirement(text: str) -> Requirement:
    """Read "METRIC>=NUMBER" or "METRIC>NUMBER". Raises InputError for anything else."""
    match = _FORM.fullmatch(text.lower())
    try:
        if match is not None:
            return Requirement(match[1], match[2], float(match[3]))
    except ValueError:
        pass
    raise InputError(f"{text!r} is no requirement such as 'ndcg@10>=0.05'")


def model_figures(run: Run, name: str) -> dict[str, float]:
    """Return a model's figures on the test side by metric, in lower case, from the run's newest report.

    There are none for a run that was never evaluated.
    """
    path = run.directory / "report.json"
    if not path.is_file():
        return {}
    report: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    rows = report.get("recommenders" if name == "two_tower" else "classifier", {})
    row = rows.get(_ROW[name], {})
    intervals = row.get("intervals", row)
    return {metric.lower(): one["mean"] for metric, one in intervals.items() if isinstance(one, dict)}


def check_requirements(run: Run, requirements: tuple[str, ...]) -> None:
    """Raise InputError, naming the figure, unless the run's models reach everything that is required of them."""
    if not requirements:
        return
    figures = {name: model_figures(run, name) for name in run.models}
    for text in requirements:
        required = parse_requirement(text)
        measured = {name: one[required.metric] for name, one in figures.items() if required.metric in one}
        if not measured:
            known = ", ".join(sorted({metric for one in figures.values() for metric in one}))
            known = known or "none; evaluate the run first"
            raise InputError(f"{text!r}: no model of this run has that figure; known are {known}", file=run.directory)
        for name, figure in measured.items():
            if not required.is_met(figure):
                raise InputError(f"{name} is not published: {required.metric} is {figure:.4f}, {text!r} is required")
