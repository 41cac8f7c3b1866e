"""The rooms stand in their order, and the whole lies where it should."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "recsys_tf"
ROOMS = ("events", "sequences", "models", "heads", "training", "evaluation", "serving", "benchmarks", "tutorial")
# Shared by every room, and themselves free of all rooms.
GROUND = (
    "commands",
    "config",
    "config_json",
    "cost",
    "disk_errors",
    "environment",
    "errors",
    "publishing",
    "progress",
    "drawing",
    "page",
    "results",
)


def imported(path: Path) -> list[str]:
    names = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.append(node.module)
    return names


def room_of(module: str) -> str | None:
    parts = module.split(".")
    return parts[1] if parts[0] == "recsys_tf" and len(parts) > 1 else None


@pytest.mark.parametrize("room", ROOMS)
def test_no_room_imports_a_later_one(room: str) -> None:
    allowed = {*ROOMS[: ROOMS.index(room) + 1], *GROUND, None}
    files = list((PACKAGE / room).rglob("*.py"))
    assert files
    for path in files:
        later = [name for name in imported(path) if room_of(name) not in allowed]
        assert not later, f"{path.relative_to(ROOT)} imports {later}"


def test_the_ground_imports_no_room() -> None:
    for name in GROUND:
        paths = [PACKAGE / f"{name}.py"] if (PACKAGE / f"{name}.py").is_file() else (PACKAGE / name).rglob("*.py")
        for path in paths:
            assert not [module for module in imported(path) if room_of(module) in ROOMS], path


def test_nothing_in_events_is_fitted_and_keras_3_is_never_imported() -> None:
    for path in PACKAGE.rglob("*.py"):
        names = [name.split(".")[0] for name in imported(path)]
        assert "keras" not in names, path
        if path.is_relative_to(PACKAGE / "events"):
            assert "sklearn" not in names, path


def test_the_top_level_is_what_it_should_be() -> None:
    wanted = {"requirements.txt", "recsys_tf", "data", "saved_models", "tests", "run.py", "README.md"}
    found = {path.name for path in ROOT.iterdir() if not path.name.startswith(".") and path.name != "__pycache__"}
    assert found == wanted


def test_every_direct_dependency_is_pinned() -> None:
    lines = (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    wanted = [line for line in lines if line and not line.startswith("#")]
    assert wanted
    assert all("==" in line for line in wanted)
