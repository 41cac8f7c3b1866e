"""The page of the attack: how well each score tells members from others, by length of history, and the ROC curves."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from recsys_tf.config import AttackConfig
from recsys_tf.drawing import BLUE, GREEN, MUTED, ORANGE, Plot, canvas
from recsys_tf.environment import describe_environment
from recsys_tf.evaluation.membership import EVERYBODY, Array, Attack, Bools, Group, roc
from recsys_tf.evaluation.membership_scores import CALIBRATED, KNOWN_ITEMS, LOSS, POPULARITY
from recsys_tf.evaluation.plots import save_plots
from recsys_tf.page import Report, Section, Table, plain, write_report

_COLOURS = {LOSS: BLUE, CALIBRATED: GREEN, KNOWN_ITEMS: ORANGE, POPULARITY: MUTED}


def write_membership_report(
    directory: Path,
    run: str,
    groups: Mapping[str, Group],
    member: Bools,
    scores: Mapping[str, Array],
    config: AttackConfig,
) -> Path:
    """Write report.html and report.json into the attack's folder; member bool [users], each of scores [users]."""
    environment = describe_environment()
    facts = {
        "model": f"the two-tower model of {run}, frozen, without its mixture",
        "intervals": f"95 %, {config.bootstrap_samples:,} bootstrap resamples of users",
        "machine": f"{environment['machine']['cores']} cores, {environment['machine']['processor']}",
        "commit": environment["commit"],
    }
    everybody = groups[EVERYBODY]
    about = (
        f"{everybody.members:,} users whom the model was trained on (members) and {everybody.held_out:,} who were held "
        "out of preparation, all judged by their events before the validation window, as the model knows them."
    )
    table = Table(
        header=["score", "ROC AUC", "advantage", "by chance, below", "mean, members", "mean, held out"],
        rows=[_row(name, one) for name, one in everybody.attacks.items()],
        caption="ROC AUC 0.5 and advantage 0: nothing can be told. The advantage is the greatest share of members that "
        "any threshold recognises, less the share of others that it takes for members; the best threshold finds some "
        "in any numbers, in 19 of 20 shuffles less than stands under by chance.",
    )
    pictures = save_plots({"roc.png": _roc_plot(member, scores)}, directory)
    sections = [Section("Who was trained on?", about, [table], pictures), _by_length(groups)]
    numbers: dict[str, Any] = {**environment, "attack": plain(config), "groups": plain(dict(groups))}
    return write_report(directory, Report(f"{run}: membership inference", facts, sections, numbers))


def _row(name: str, one: Attack) -> list[str]:
    numbers = [f"{one.by_chance:.3f}", f"{one.members:.3f}", f"{one.held_out:.3f}"]
    return [name, one.auc.text(), one.advantage.text(), *numbers]


def _by_length(groups: Mapping[str, Group]) -> Section:
    rows = []
    for name, group in groups.items():
        loss, calibrated = group.attacks[LOSS], group.attacks[CALIBRATED]
        figures = [loss.auc.text(), loss.advantage.text(), f"{loss.by_chance:.3f}", calibrated.auc.text()]
        rows.append([name, f"{group.members:,}", f"{group.held_out:,}", *figures])
    header = ["training events", "members", "held out", "loss: ROC AUC", "advantage", "by chance, below"]
    table = Table(
        header=[*header, "less popularity: ROC AUC"],
        rows=rows,
        caption="Groups without 20 users of either kind are left out.",
        emphasis=[0],
    )
    return Section("By length of history", "", [table])


def _roc_plot(member: Bools, scores: Mapping[str, Array]) -> Plot:
    figure, axes = canvas(6.5, 5.8, "Members recognised, and others taken for members")
    for name, score in scores.items():
        axes.plot(*roc(member, score), color=_COLOURS[name], lw=2, label=name)
    axes.plot([0, 1], [0, 1], ":", color=MUTED, lw=1)
    axes.set(xlabel="share of held-out users taken for members", ylabel="share of members recognised", aspect="equal")
    axes.legend(frameon=False, fontsize=8, loc="lower right")
    return Plot(
        figure,
        "Every threshold of every score. On the dotted line a score tells nothing; the advantage is the greatest "
        "height above it.",
    )
