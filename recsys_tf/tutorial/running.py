"""Run the blocks of a chapter as a reader would: in order, in one Python session, from the repository's top folder."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

from recsys_tf.errors import InputError
from recsys_tf.tutorial.chapters import Block, Chapter

ROOT = Path(__file__).resolve().parent.parent.parent
# What the blocks write, pictures above all.
WRITTEN = Path("data") / "tutorial"

_EMBEDDED = ("user_behavior_data.csv", "items.csv", "contacts.csv", "exposures.csv.gz", "truth")


def lay_out(workplace: Path) -> None:
    """Make a folder look like a fresh checkout, so that a run leaves no trace in the real one."""
    for name in ("run.py", "recsys_tf", "requirements.txt", *(f"data/{name}" for name in _EMBEDDED)):
        place = workplace / name
        place.parent.mkdir(parents=True, exist_ok=True)
        if not place.exists():
            place.symlink_to(ROOT / name)
    (workplace / "saved_models").mkdir(exist_ok=True)
    (workplace / WRITTEN).mkdir(parents=True, exist_ok=True)


def code_cell(block: Block) -> Any:
    """Return a block as a notebook's cell."""
    magic = "%%bash\n" if block.language == "bash" else ""
    return nbformat.v4.new_code_cell(magic + block.source.rstrip("\n"))


def run_chapter(chapter: Chapter, workplace: Path) -> list[Any]:
    """Run a chapter's blocks in a laid-out folder and return their executed cells.

    Raises InputError that names the file and the block when one fails.
    """
    notebook = nbformat.v4.new_notebook(cells=[code_cell(block) for block in chapter.blocks])
    client = NotebookClient(
        notebook,
        timeout=None,
        kernel_name="python3",
        extra_arguments=["--log-level=ERROR"],
        resources={"metadata": {"path": str(workplace)}},
    )
    try:
        client.execute(env=_environment(workplace))
    except CellExecutionError as error:
        raise InputError(f"a block fails: {error}", file=chapter.path) from error
    return list(notebook.cells)


def printed(cell: Any) -> str:
    """Return what a cell printed and, as notebooks do, the value of its last line; warnings are left out."""
    parts = []
    for output in cell.outputs:
        if output.output_type == "stream" and output.name == "stdout":
            parts.append(output.text)
        elif output.output_type == "execute_result":
            parts.append(output.data["text/plain"] + "\n")
    return _without_ragged_ends("".join(parts))


def outputs_of(cells: Sequence[Any]) -> list[str]:
    """Return what each of the cells printed."""
    return [printed(cell) for cell in cells]


def _without_ragged_ends(text: str) -> str:
    lines = [line.rstrip() for line in text.splitlines()]
    return "\n".join(lines).strip("\n") + "\n" if any(lines) else ""


def _environment(workplace: Path) -> dict[str, str]:
    # `python` in a block is the interpreter that runs this; nothing is read from or left in the user's own settings.
    path = os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", "")))
    own = {"PATH": path, "PYTHONPATH": str(ROOT), "IPYTHONDIR": str(workplace / ".ipython"), "PYTHONWARNINGS": "ignore"}
    return {**os.environ, **own, "TF_CPP_MIN_LOG_LEVEL": "3", "COLUMNS": "100"}
