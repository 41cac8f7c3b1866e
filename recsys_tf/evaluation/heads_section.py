"""The page's section about the heads that were trained on the run: each one's best figure beside the best rule's."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from recsys_tf.evaluation.ads_evaluation import COUNTS
from recsys_tf.evaluation.ads_evaluation import HEAD as ADS_HEAD
from recsys_tf.evaluation.risk_report import OURS
from recsys_tf.evaluation.risk_report import TITLES as RISK_TITLES
from recsys_tf.evaluation.service_evaluation import HEAD as SERVICE_HEAD
from recsys_tf.evaluation.service_report import TITLES as SERVICE_TITLES
from recsys_tf.page import Section, Table

_Row = tuple[str, str, str, str, str]


def heads_section(heads: Path) -> Section | None:
    """Lay out what the reports in `<run>/heads/` say; None where no head has been trained."""
    rows = [row for name, read in _READERS.items() for row in _rows(heads / name / "report.json", read)]
    if not rows:
        return None
    text = (
        "Small models on the frozen representation (`run.py train --head NAME`). The whole of each stands in "
        "heads/NAME/report.html beside this page."
    )
    table = Table(
        ["head", "question", "figure", "the head", "without the representation"],
        rows,
        "The best of the head's own scores, and the best of what does without it, by the mean of the figure.",
    )
    return Section("Heads on the representation", text, [table])


def _rows(report: Path, read: Any) -> Iterator[_Row]:
    if report.is_file():
        yield from read(json.loads(report.read_text(encoding="utf-8")))


def _risk(report: Mapping[str, Any]) -> Iterator[_Row]:
    for task, found in report["tasks"].items():
        best = {
            ours: max(
                (row["auc"] for name, row in found["detectors"].items() if (name in OURS) == ours),
                key=lambda auc: float(auc["mean"]),
            )
            for ours in (True, False)
        }
        yield "risk", RISK_TITLES[task], "ROC AUC, higher is better", _text(best[True]), _text(best[False])


def _ads(report: Mapping[str, Any]) -> Iterator[_Row]:
    rows = report["probabilities"]["rows"]
    own, counts = rows[ADS_HEAD]["log_loss"], rows[COUNTS]["log_loss"]
    yield "ads", "Is what is shown clicked?", "log loss, lower is better", _text(own, 4), _text(counts, 4)


def _service(report: Mapping[str, Any]) -> Iterator[_Row]:
    for name, question in report["questions"].items():
        rows = question["rows"]
        own, plain = rows[SERVICE_HEAD]["top_1"], rows[question["plain"]]["top_1"]
        yield "service", SERVICE_TITLES[name], "top-1, higher is better", _text(own), _text(plain)


def _text(interval: Mapping[str, float], digits: int = 3) -> str:
    return f"{interval['mean']:.{digits}f} [{interval['low']:.{digits}f}, {interval['high']:.{digits}f}]"


_READERS = {"risk": _risk, "ads": _ads, "service": _service}
