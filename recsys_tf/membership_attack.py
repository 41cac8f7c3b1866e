"""`run.py attack`: can it be told from a model's surprise at somebody's history that it was trained on it?"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from recsys_tf.config import AttackConfig
from recsys_tf.config_json import to_json
from recsys_tf.errors import InputError
from recsys_tf.evaluation.membership import EVERYBODY, FEWEST, Group, measure_groups
from recsys_tf.evaluation.membership_report import write_membership_report
from recsys_tf.evaluation.membership_scores import LOSS, membership_scores
from recsys_tf.page import plain
from recsys_tf.publishing import published_directory
from recsys_tf.results.files import publish_result
from recsys_tf.sequences.held_out import held_out
from recsys_tf.sequences.splits import TRAINING
from recsys_tf.training.head_data import clean_log, encoded, open_for_head, users_of_the_run
from recsys_tf.training.runs import Run, load_two_tower

_FOLDER = "attack"


def attack_run(run_folder: Path, config: AttackConfig, publish: str) -> None:
    """Attack a run's two-tower model, write what can be told to <run>/attack/, and print it.

    Raises InputError for a run that held nobody out or filtered whom it trained on, and for one not split by time.
    """
    run = open_for_head(run_folder)
    _check(run)
    events = _events_before_validation(run)
    members = users_of_the_run(run)
    out = set(events.loc[held_out(events["user_id"], run.config.filters), "user_id"])
    sequences = encoded(events, members | out, run.data.space)
    print(f"asking the model about {len(sequences.users):,} users")
    retrieval, space = load_two_tower(run), run.data.space
    some, scores = membership_scores(retrieval, sequences, space.catalogue, space.max_length)
    member = np.isin(np.array(sequences.users, object)[some], list(members))
    number, others = int(member.sum()), int((~member).sum())
    if min(number, others) < FEWEST:
        raise InputError(f"{number} members and {others} held-out users: at least {FEWEST} of each are needed")
    groups = measure_groups(member, np.diff(sequences.first)[some], scores, config)
    target = run.directory / _FOLDER
    with published_directory(target) as directory:
        page = write_membership_report(directory, run.directory.name, groups, member, scores, config)
    _print(groups)
    if publish:
        print(f"published as {publish_result(publish, _result(run, groups, config))}")
    print(f"report: {target / page.name}")


def _check(run: Run) -> None:
    filters, split = run.config.filters, run.data.facts["split"]
    if not filters.held_out_users:
        raise InputError(
            "nobody was held out of this run; train one with --filters.held-out-users 0.5", file=run.directory
        )
    if filters.drop_bots or filters.user_core > 1:
        raise InputError(
            "only those trained on have passed this run's filters, which alone may tell them apart; train one with "
            "--filters.no-drop-bots and --filters.user-core 1",
            file=run.directory,
        )
    if split["validation_from"] is None:
        raise InputError("the attack needs a run that was split by time", file=run.directory)


def _events_before_validation(run: Run) -> pd.DataFrame:
    """Return everybody's events of the training window, which was laid through the events of members alone."""
    events = clean_log(run)
    before = events["timestamp"] < run.data.facts["split"]["validation_from"]
    window: pd.DataFrame = events[before].assign(side=TRAINING).reset_index(drop=True)
    return window


def _print(groups: Mapping[str, Group]) -> None:
    everybody = groups[EVERYBODY]
    print(f"{everybody.members:,} members and {everybody.held_out:,} held-out users")
    for name, one in everybody.attacks.items():
        figures = f"ROC AUC {one.auc.text()}  advantage {one.advantage.text()}"
        print(f"  {name:<40}{figures}  (by chance, below {one.by_chance:.3f})")
    for name, group in groups.items():
        if name != EVERYBODY:
            print(f"  {name + ', loss':<40}ROC AUC {group.attacks[LOSS].auc.text()}")


def _result(run: Run, groups: Mapping[str, Group], config: AttackConfig) -> dict[str, Any]:
    """What a published result file holds besides the environment."""
    return {
        "configuration": to_json(run.config),
        "attack": to_json(config),
        "trained_with": {key: run.facts[key] for key in ("command", "commit", "finished", "machine", "packages")},
        "epochs": run.facts["epochs"],
        "groups": plain(dict(groups)),
        "quality": _quality(run),
    }


def _quality(run: Run) -> dict[str, Any] | None:
    """Return the two-tower model's figures on the test side, as the run's own report has them."""
    path = run.directory / "report.json"
    if not path.is_file():
        return None
    measured: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))["recommenders"]["two-tower"]["intervals"]
    return measured
