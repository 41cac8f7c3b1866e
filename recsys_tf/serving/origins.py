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


def origin_of_version(version: Path) -> Origin | None:
    """Read a version's origin from its model card; None where no card says it."""
    try:
        card = json.loads((version / "assets.extra" / "model_card.json").read_text(encoding="utf-8"))
        return Origin(str(card["training"]["trained"]), str(card["training"]["commit"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def exported_versions(models: Path) -> dict[Path, Origin]:
    """Return the origin of every version in the folders of a folder of models, those that were rolled back too."""
    versions = [card.parent.parent for card in sorted(models.glob("*/*/assets.extra/model_card.json"))]
    # Whatever an unreadable card belongs to, no run of ours is known to have made it.
    return {version: origin_of_version(version) or Origin("", "") for version in versions}
