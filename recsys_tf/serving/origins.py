"""Which exported versions came from which run: their model cards say when, and of what commit, they were trained."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Origin:
    """When a model was trained, and by which commit."""

    finished: str
    commit: str


def origin_of_run(facts: Mapping[str, Any]) -> Origin:
    """Take a run's origin from its run.json."""
    return Origin(str(facts.get("finished")), str(facts.get("commit")))


def exported_versions(models: Path) -> dict[Path, Origin]:
    """Return the origin of every version in the folders of a folder of models, those that were rolled back too."""
    found = {}
    for card in sorted(models.glob("*/*/assets.extra/model_card.json")):
        try:
            training = json.loads(card.read_text(encoding="utf-8"))["training"]
            found[card.parent.parent] = Origin(str(training["trained"]), str(training["commit"]))
        except (ValueError, KeyError, TypeError):
            # Whatever it is, no run of ours is known to have made it.
            found[card.parent.parent] = Origin("", "")
    return found
