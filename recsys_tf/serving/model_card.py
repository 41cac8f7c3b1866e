"""The model card that travels with a version: what it was trained on, how good it was found to be, what it cannot do.

After Mitchell et al. 2019, kept to what this project knows of itself; JSON for programs and one page for people.
"""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from recsys_tf.page import Report, Section, Table, write_report
from recsys_tf.serving.requirements import model_figures
from recsys_tf.training.runs import Run

_PURPOSE = {
    "two_tower": "Ranks all items of its catalogue for a user's history of behaviour, searches included.",
    "classifier": "Guesses the class of a user's next event, and ranks items by cosine similarity to the history.",
}
_LIMITS = (
    "It knows the items of its catalogue only: what is added later needs another export.",
    "It learned what users of this log did, popularity and position effects included, and will repeat it.",
    "Figures are those of one test side of one log; other users, other seasons and other pages may differ.",
    "It keeps no user: whoever asks sends the history along, and decides what of it may be sent.",
)


def write_model_card(version: Path, run: Run, name: str, terms: str) -> Path:
    """Write model_card.html and model_card.json into <version>/assets.extra/ and return the page's path.

    terms: under which terms the data may be used, in the words of whoever exports.
    """
    folder = version / "assets.extra"
    folder.mkdir(parents=True, exist_ok=True)
    facts, counts = run.data.facts, run.data.facts["counts"]
    figures = model_figures(run, name)
    data = {
        "terms of the data": terms,
        "training events": f"{counts['training_events']:,}",
        "users": f"{counts['users']:,}",
        "items": f"{counts['items']:,}",
        "categories": f"{counts['categories']:,}",
        "split": str(facts["split"]["method"]).replace("_", "-"),
        **_dates(facts["split"]),
    }
    trained = {
        "trained": str(run.facts["finished"]),
        "exported": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": str(run.facts["commit"]),
        "parameters": f"{run.facts['parameters'][name]:,}",
        "seed": str(run.facts["seeds"][name]),
        **{package: str(version) for package, version in run.facts["packages"].items()},
    }
    measured = Table(
        ["on the test side", "figure"],
        [[metric, f"{figure:.4f}"] for metric, figure in figures.items()],
        "Whole catalogue, no sampled negatives; the run's report has intervals, baselines and slices.",
    )
    report = Report(
        title=f"Model card: {name}",
        facts={"what it does": _PURPOSE[name], **data, **trained},
        sections=[
            Section("How good it is", "", [measured] if figures else []),
            Section("What it cannot do", " ".join(_LIMITS)),
        ],
        numbers={
            "model": name,
            "purpose": _PURPOSE[name],
            "data": data,
            "training": trained,
            "figures": figures,
            "limits": list(_LIMITS),
        },
    )
    return write_report(folder, report, "model_card")


def _dates(split: dict[str, Any]) -> dict[str, str]:
    """Write the times at which the log was cut, where it was cut by time."""
    return {
        name.replace("_", " "): datetime.fromtimestamp(split[name] / 1000, UTC).isoformat(timespec="seconds")
        for name in ("validation_from", "test_from")
        if isinstance(split.get(name), int)
    }
