"""`run.py train --head service`: why a user gets in touch with customer service, by a finished run's frozen model."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from recsys_tf.config import ServiceConfig
from recsys_tf.config_json import to_json
from recsys_tf.errors import InputError
from recsys_tf.evaluation.service_evaluation import Ceiling, ServiceQuestion, evaluate_service
from recsys_tf.evaluation.service_report import TITLES, write_service_report
from recsys_tf.events.contacts import read_contacts
from recsys_tf.heads.answers import ANSWERS, read_answers
from recsys_tf.page import plain
from recsys_tf.publishing import published_directory
from recsys_tf.results.files import publish_result
from recsys_tf.sequences.moments import side_of
from recsys_tf.sequences.splits import TRAINING
from recsys_tf.training.fit_service import contact_data, fit_service
from recsys_tf.training.head_data import clean_events, encoded, open_for_head
from recsys_tf.training.runs import Run, head_folder, load_two_tower


def train_service(run_folder: Path, config: ServiceConfig, publish: str) -> None:
    """Fit the service head on a run's two-tower model, measure it, and write it to <run>/heads/service/.

    Raises InputError for a run that was not split by time, and for contacts or answers that cannot be used.
    """
    run = open_for_head(run_folder)
    split, space = run.data.facts["split"], run.data.space
    if split["test_from"] is None or split["validation_from"] is None:
        raise InputError("the service head needs a run that was split by time", file=run_folder)
    answers = read_answers(Path(config.answers) if config.answers else ANSWERS)
    contacts = read_contacts(Path(config.contacts) if config.contacts else run.config.data / "contacts.csv")
    events = clean_events(run)
    sequences = encoded(events, set(contacts["user_id"]), space)
    if not sequences.users:
        raise InputError("no contact is of a user of the log", file=config.contacts or run.config.data)
    side = side_of(contacts["timestamp"].to_numpy(np.int64), split["validation_from"], split["test_from"])
    retrieval = load_two_tower(run)
    print(f"fitting the service head on {int((side == TRAINING).sum()):,} contacts")
    data = contact_data(contacts, side, sequences, retrieval, retrieval.model.table(), space)
    head = fit_service(data, space, answers)
    print("measuring it on the test side")
    questions = evaluate_service(head, data, {} if config.contacts else _ceilings(run, contacts), config)
    known = np.bincount(data.labels(TRAINING), minlength=len(data.reasons))
    reasons = dict(zip(data.reasons, known.tolist(), strict=True))
    target = head_folder(run, "service")
    with published_directory(target) as directory:
        head.save(directory)
        page = write_service_report(directory, run.directory.name, questions, reasons, config)
    _print(questions)
    if publish:
        print(f"published as {publish_result(publish, _result(run, questions, reasons, config))}")
    print(f"report: {target / page.name}")


def _ceilings(run: Run, contacts: pd.DataFrame) -> dict[str, Ceiling]:
    """The simulator's best guesses at all contacts, where the truth lies beside the log."""
    path = run.config.data / "truth" / "contacts.csv.gz"
    if not path.is_file():
        return {}
    truth = pd.read_csv(path, dtype={"user_id": str})
    same = len(truth) == len(contacts) and all(
        (truth[name].to_numpy() == contacts[name].to_numpy()).all() for name in ("user_id", "timestamp")
    )
    if not same:
        raise InputError("the truth does not belong to these contacts", file=path)
    return {
        name: Ceiling(*(truth[f"{prefix}{column}"].to_numpy() for column in ("guess", "probability", "top_3")))
        for name, prefix in (("unsaid", ""), ("said", "said_"))
    }


def _print(questions: Mapping[str, ServiceQuestion]) -> None:
    for name, question in questions.items():
        print(f"{TITLES[name]}: {question.contacts:,} test contacts of {question.users:,} users")
        for one, row in sorted(question.rows.items(), key=lambda pair: -pair[1].top_1.mean):
            print(f"  {one:<46}top-1 {row.top_1.text()}  top-3 {row.top_3.text()}  macro F1 {row.macro_f1.text()}")
        for other, ahead in ((question.best_rule, question.ahead_of_rule), (question.plain, question.ahead_of_plain)):
            print(f"  the head is ahead of {other} by {ahead.interval.text()} (p = {ahead.p_value:.3f})")


def _result(
    run: Run, questions: Mapping[str, ServiceQuestion], reasons: Mapping[str, int], config: ServiceConfig
) -> dict[str, Any]:
    """What a published result file holds besides the environment."""
    return {
        "configuration": to_json(run.config),
        "service": to_json(config),
        "trained_with": {key: run.facts[key] for key in ("command", "commit", "finished", "machine", "packages")},
        "training_contacts": dict(reasons),
        "questions": plain(dict(questions)),
    }
