"""The page of the ads head: how good its probabilities are, whether they keep their word, and look-alike audiences."""

from pathlib import Path
from typing import Any

import numpy as np

from recsys_tf.config import AdsConfig
from recsys_tf.drawing import BLUE, MUTED, ORANGE, Plot, canvas
from recsys_tf.environment import describe_environment
from recsys_tf.evaluation.ads_evaluation import COUNTS, HEAD, TRUTH, AdsEvaluation
from recsys_tf.evaluation.look_alike_evaluation import AVERAGED, REPRESENTATION, LookAlike
from recsys_tf.evaluation.plots import save_plots
from recsys_tf.page import Report, Section, Table, plain, write_report


def write_ads_report(directory: Path, run: str, ads: AdsEvaluation, alike: LookAlike | None, config: AdsConfig) -> Path:
    """Write report.html and report.json into the head's folder."""
    environment = describe_environment()
    sections = [_probabilities(ads, config, directory)] + ([_audiences(alike)] if alike is not None else [])
    facts = {
        "model": f"the two-tower model of {run}, frozen",
        "predicted": f"whether an item that is shown is {config.event}",
        "asked": f"{ads.exposures:,} exposures of the test window to {ads.users:,} users",
        "answered": f"{ads.answers:,} were {config.event}",
        "calibration": f"{config.calibration}, on the validation window",
        "intervals": f"95 %, {config.bootstrap_samples:,} bootstrap resamples of users",
        "machine": f"{environment['machine']['cores']} cores, {environment['machine']['processor']}",
        "commit": environment["commit"],
    }
    numbers: dict[str, Any] = {
        **environment,
        "ads": plain(config),
        "probabilities": plain(ads),
        "audiences": plain(alike),
    }
    return write_report(directory, Report(f"{run}: ads", facts, sections, numbers))


def _probabilities(ads: AdsEvaluation, config: AdsConfig, directory: Path) -> Section:
    order = sorted(ads.rows, key=lambda name: ads.rows[name].log_loss.mean)
    rows = []
    for name in order:
        row, ahead = ads.rows[name], ads.ahead.get(name)
        difference = f"{ahead.interval.mean:+.4f} (p = {ahead.p_value:.3f})" if ahead is not None else "–"
        error = f"{row.reliability.expected_calibration_error:.4f}"
        rows.append([name, row.log_loss.text(4), row.auc.text(), error, difference])
    table = Table(
        header=["", "log loss", "ROC AUC", "calibration error", "log loss less the head's"],
        rows=rows,
        caption="Lower is better. All but the truth are fitted on the training window; calibration error is the "
        "mean distance between stated and measured probability over ten bins of equal numbers.",
        emphasis=[order.index(HEAD)],
    )
    text = f"How likely an item that is shown is {config.event}: the head beside what can be said without the model."
    pictures = save_plots({"reliability.png": _reliability_plot(ads)}, directory)
    return Section("Probabilities", text, [table], pictures)


def _reliability_plot(ads: AdsEvaluation) -> Plot:
    figure, axes = canvas(6.5, 5.0, "What is said, and what happens")
    shown = {HEAD: (BLUE, "o"), COUNTS: (ORANGE, "s"), TRUTH: (MUTED, "^")}
    highest = 0.0
    for name, (colour, mark) in shown.items():
        if name in ads.rows:
            found = ads.rows[name].reliability
            axes.plot(found.confidence, found.accuracy, mark, color=colour, label=name, markersize=7, alpha=0.9)
            highest = max(highest, float(np.max([found.confidence, found.accuracy])))
    axes.plot([0, highest], [0, highest], ":", color=MUTED, lw=1)
    axes.set(xlabel="mean probability of the bin", ylabel="share that did")
    axes.legend(frameon=False)
    return Plot(
        figure,
        "Exposures of the test window in ten bins of equal numbers, lowest probability first. On the dotted line a "
        "probability keeps its word; further to the right and up, it also tells more apart.",
    )


def _audiences(alike: LookAlike) -> Section:
    order = sorted(alike.precision, key=lambda name: -alike.precision[name].mean)
    table = Table(
        header=["users compared by", "precision"],
        rows=[[name, alike.precision[name].text()] for name in order],
        caption=f"Seed sets of {alike.interests:,} interests among {alike.users:,} users; intervals over interests.",
        emphasis=[order.index(name) for name in (REPRESENTATION, AVERAGED)],
    )
    text = (
        "Some users who share an interest are given; among as many of the most alike as truly share it, how many do? "
        "The interest is the simulator's: the mission that a user wants most, which no event names."
    )
    return Section("Look-alike audiences", text, [table])
