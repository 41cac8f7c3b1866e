"""The page of the service head: a table for each question, and one picture of how often the first guess is right."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from recsys_tf.config import ServiceConfig
from recsys_tf.drawing import BLUE, MUTED, Plot, canvas
from recsys_tf.environment import describe_environment
from recsys_tf.evaluation.plots import save_plots
from recsys_tf.evaluation.service_evaluation import HEAD, ServiceQuestion
from recsys_tf.page import Report, Section, Table, plain, write_report

TITLES = {"unsaid": "Before the user says anything", "said": "After the first words"}
_ABOUT = {
    "unsaid": "Why a user gets in touch, from what they did before the contact, and when the contact comes.",
    "said": "The same, with the contact's first words.",
}


def write_service_report(
    directory: Path,
    run: str,
    questions: Mapping[str, ServiceQuestion],
    reasons: Mapping[str, int],
    config: ServiceConfig,
) -> Path:
    """Write report.html and report.json into the head's folder; reasons: training contacts of each."""
    environment = describe_environment()
    sections = [Section(TITLES[name], _ABOUT[name], [_table(one)]) for name, one in questions.items()]
    picture = save_plots({"service.png": _plot(questions)}, directory)
    sections.append(Section("How often the first guess is right", pictures=picture))
    facts = {
        "model": f"the two-tower model of {run}, frozen",
        "contacts": str(config.contacts or "those beside the run's log"),
        "training contacts": ", ".join(f"{reason} {number:,}" for reason, number in reasons.items()),
        "intervals": f"95 %, {config.bootstrap_samples:,} bootstrap resamples of users",
        "machine": f"{environment['machine']['cores']} cores, {environment['machine']['processor']}",
        "commit": environment["commit"],
    }
    numbers: dict[str, Any] = {
        **environment,
        "service": plain(config),
        "training_contacts": dict(reasons),
        "questions": plain(dict(questions)),
    }
    return write_report(directory, Report(f"{run}: customer service", facts, sections, numbers))


def _table(question: ServiceQuestion) -> Table:
    order = _order(question)
    rule, same = question.ahead_of_rule, question.ahead_of_plain
    return Table(
        header=["reason of the contact", "top-1", "top-3", "macro F1"],
        rows=[
            [one, *(getattr(question.rows[one], name).text() for name in ("top_1", "top_3", "macro_f1"))]
            for one in order
        ],
        caption=(
            f"{question.contacts:,} test contacts of {question.users:,} users. In top-1 the head is "
            f"{rule.interval.text()} ahead of the best rule ({question.best_rule}; p = {rule.p_value:.3f}), and "
            f"{same.interval.text()} ahead of {question.plain} (p = {same.p_value:.3f})."
        ),
        emphasis=[at for at, one in enumerate(order) if one == HEAD],
    )


def _order(question: ServiceQuestion) -> list[str]:
    return sorted(question.rows, key=lambda one: -question.rows[one].top_1.mean)


def _plot(questions: Mapping[str, ServiceQuestion]) -> Plot:
    rows = [(name, one) for name, question in questions.items() for one in _order(question)]
    figure, axes = canvas(8.5, 1.2 + 0.4 * len(rows), "The first guess at the reason of a contact")
    for place, (name, one) in enumerate(reversed(rows)):
        top = questions[name].rows[one].top_1
        colour = BLUE if one == HEAD else MUTED
        axes.plot([top.low, top.high], [place, place], color=colour, lw=3, solid_capstyle="round")
        axes.plot([top.mean], [place], "o" if name == "said" else "s", color=colour, markersize=7)
    labels = [f"{one} ({'words heard' if name == 'said' else 'nothing said'})" for name, one in reversed(rows)]
    axes.set_yticks(range(len(rows)), labels)
    axes.set(xlabel="share of test contacts whose reason was guessed first", xlim=(0, 1))
    return Plot(
        figure, "Right first guesses with 95 % intervals; blue is the head, circles have heard the first words."
    )
