"""`run.py train --head risk`: which accounts do not behave like their owner, by a finished run's frozen model."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from recsys_tf.config import RiskConfig
from recsys_tf.config_json import to_json
from recsys_tf.errors import InputError
from recsys_tf.evaluation.risk_evaluation import RiskTask, bots, take_over
from recsys_tf.evaluation.risk_report import TITLES, write_risk_report
from recsys_tf.page import plain
from recsys_tf.publishing import published_directory
from recsys_tf.results.files import publish_result
from recsys_tf.training.fit_risk import fit_risk
from recsys_tf.training.head_data import clean_events, encoded, open_for_head, users_of_the_run
from recsys_tf.training.runs import Run, head_folder, load_two_tower


def train_risk(run_folder: Path, config: RiskConfig, publish: str) -> None:
    """Fit the risk head on a run's two-tower model, measure it, and write it to <run>/heads/risk/.

    Raises InputError for a run without a two-tower model whose every position may be asked, and without its clean log.
    """
    run = open_for_head(run_folder)
    events = clean_events(run)
    retrieval = load_two_tower(run)
    table, space = retrieval.model.table(), run.data.space
    is_bot = _truth(run)
    kept = users_of_the_run(run)
    people = encoded(events, kept.difference(is_bot.index[is_bot]), space)
    print(f"fitting the risk head on {len(people.users):,} users")
    head = fit_risk(retrieval, table, encoded(events, kept, space), space.max_length, config)
    print("measuring it on the test side")
    everybody = encoded(events, set(events["user_id"]), space)
    found = {
        "bots": bots(head, retrieval, table, everybody, events, is_bot, space.max_length, config),
        "take_over": take_over(head, retrieval, table, people, space.catalogue.category, space.max_length, config),
    }
    tasks = {name: task for name, task in found.items() if task is not None}
    if not tasks:
        raise InputError("the test side holds too few events of a user to measure anything", file=run_folder)
    target = head_folder(run, "risk")
    with published_directory(target) as directory:
        head.save(directory)
        page = write_risk_report(directory, run.directory.name, tasks, config)
    _print(tasks)
    if publish:
        print(f"published as {publish_result(publish, _result(run, tasks, config))}")
    print(f"report: {target / page.name}")


def _truth(run: Run) -> pd.Series:
    """Which users are bots, bool by user id; empty where nobody knows."""
    path = run.config.data / "truth" / "users.csv.gz"
    if not path.is_file():
        return pd.Series([], dtype=bool)
    truth: pd.Series = pd.read_csv(path, keep_default_na=False).set_index("user_id")["is_bot"].astype(bool)
    return truth


def _print(tasks: Mapping[str, RiskTask]) -> None:
    for name, task in tasks.items():
        print(f"{TITLES[name]}: {task.cases:,} cases, {task.wrong:,} wrong")
        for one, row in sorted(task.detectors.items(), key=lambda pair: -pair[1].auc.mean):
            print(f"  {one:<42}ROC AUC {row.auc.text()}  precision of the 1 % flagged {row.precision.text()}")


def _result(run: Run, tasks: Mapping[str, RiskTask], config: RiskConfig) -> dict[str, Any]:
    """What a published result file holds besides the environment."""
    return {
        "configuration": to_json(run.config),
        "risk": to_json(config),
        "trained_with": {key: run.facts[key] for key in ("command", "commit", "finished", "machine", "packages")},
        "tasks": plain(dict(tasks)),
    }
