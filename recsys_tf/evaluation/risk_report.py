"""The page of the risk head: a table for each question and a picture of what the scores can tell apart."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from recsys_tf.config import RiskConfig
from recsys_tf.drawing import BLUE, MUTED, Plot, canvas
from recsys_tf.environment import describe_environment
from recsys_tf.evaluation.plots import save_plots
from recsys_tf.evaluation.risk_evaluation import ESTRANGEMENT, ISOLATION, SURPRISE, TOGETHER, RiskTask
from recsys_tf.page import Report, Section, Table, plain, write_report

TITLES = {"bots": "Bots among people", "take_over": "Accounts that somebody else went on with"}
_ABOUT = {
    "bots": "Users of the test side, of whom the simulator knows which are bots. The model never saw a bot: cleaning "
    "leaves them out of training.",
    "take_over": "Each account once as it is and once with the newest events of another one in place of its own.",
}
OURS = (SURPRISE, ESTRANGEMENT, ISOLATION, TOGETHER)


def write_risk_report(directory: Path, run: str, tasks: Mapping[str, RiskTask], config: RiskConfig) -> Path:
    """Write report.html and report.json into the head's folder."""
    environment = describe_environment()
    sections = [_section(name, task, directory) for name, task in tasks.items()]
    facts = {
        "model": f"the two-tower model of {run}, frozen",
        "newest events that count": str(config.recent),
        "intervals": f"95 %, {config.bootstrap_samples:,} bootstrap resamples of users",
        "machine": f"{environment['machine']['cores']} cores, {environment['machine']['processor']}",
        "commit": environment["commit"],
    }
    numbers: dict[str, Any] = {**environment, "risk": plain(config), "tasks": plain(dict(tasks))}
    return write_report(directory, Report(f"{run}: risk", facts, sections, numbers))


def _section(name: str, task: RiskTask, directory: Path) -> Section:
    order = sorted(task.detectors, key=lambda one: -task.detectors[one].auc.mean)
    table = Table(
        header=["score", "ROC AUC", "precision of the 1 % flagged"],
        rows=[[one, task.detectors[one].auc.text(), task.detectors[one].precision.text()] for one in order],
        caption=f"{task.cases:,} cases, {task.wrong:,} of them wrong; what is ours in bold.",
        emphasis=[at for at, one in enumerate(order) if one in OURS],
    )
    return Section(
        TITLES[name], _ABOUT[name], [table], save_plots({f"{name}.png": _plot(name, task, order)}, directory)
    )


def _plot(name: str, task: RiskTask, order: list[str]) -> Plot:
    figure, axes = canvas(7.5, 1.2 + 0.45 * len(order), TITLES[name])
    for place, one in enumerate(reversed(order)):
        auc = task.detectors[one].auc
        colour = BLUE if one in OURS else MUTED
        axes.plot([auc.low, auc.high], [place, place], color=colour, lw=3, solid_capstyle="round")
        axes.plot([auc.mean], [place], "o", color=colour, markersize=7)
    axes.axvline(0.5, color=MUTED, lw=1, ls=":")
    axes.set_yticks(range(len(order)), list(reversed(order)))
    axes.set(xlabel="ROC AUC (0.5: no better than chance)", xlim=(min(0.45, axes.get_xlim()[0]), 1.01))
    return Plot(figure, "How well each score tells wrong from right, with 95 % intervals; blue is made of the model.")
