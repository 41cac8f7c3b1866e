"""Runs that learned from a user who was forgotten since: they are marked, and not exported until trained again."""

import json
from pathlib import Path
from typing import Any, Final

from recsys_tf.errors import InputError
from recsys_tf.publishing import published_file
from recsys_tf.sequences.forget_in_prepared import FITTED_WITH_FORGOTTEN
from recsys_tf.training.runs import Run

_MARK: Final = "trained_with_forgotten_users"


def read_run_facts(directory: Path) -> dict[str, Any] | None:
    """Return what run.json says, None where there is no record of ours."""
    path = directory / "run.json"
    try:
        facts = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return facts if isinstance(facts, dict) and isinstance(facts.get("prepared"), str) else None


def mark_forgotten(directory: Path) -> None:
    """Write into run.json that the run learned from somebody who was forgotten since; not whom."""
    path = directory / "run.json"
    facts = json.loads(path.read_text(encoding="utf-8")) | {_MARK: True}
    with published_file(path) as partial:
        partial.write_text(json.dumps(facts, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def is_marked(facts: dict[str, Any]) -> bool:
    """Tell whether run.json says so."""
    return bool(facts.get(_MARK))


def refuse_forgotten(run: Run) -> None:
    """Raise InputError when the run, or what was fitted before it, learned from somebody who was forgotten since."""
    if is_marked(run.facts):
        raise InputError("this run learned from a user who was forgotten since; train it again", file=run.directory)
    if run.data.facts.get(FITTED_WITH_FORGOTTEN):
        raise InputError(
            "these vocabularies and scalers were fitted with a user who was forgotten since; prepare and train again",
            file=run.data.directory,
        )
