"""The chapters as Jupyter notebooks, with what their blocks printed."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat

from recsys_tf.publishing import published_file
from recsys_tf.tutorial.chapters import LANGUAGES, Block, Chapter, chapter_names, read_chapter
from recsys_tf.tutorial.running import ROOT, code_cell


def write_notebooks(directory: Path) -> list[Path]:
    """Write every chapter in both languages as directory/LANGUAGE/NAME.ipynb and return the paths."""
    written = []
    for language in LANGUAGES:
        for name in chapter_names():
            target = directory / language / f"{name}.ipynb"
            with published_file(target) as partial:
                nbformat.write(as_notebook(read_chapter(name, language), target.parent), partial)
            written.append(target)
    return written


def as_notebook(chapter: Chapter, directory: Path) -> Any:
    """Return a chapter as a notebook that stands in `directory` and runs from the repository's top folder."""
    here = Path(os.path.relpath(ROOT, directory.resolve()))
    cells = [nbformat.v4.new_code_cell(f"%cd -q {here.as_posix()}"), *_cells(chapter, directory)]
    for number, cell in enumerate(cells):
        # Random ones would make a new file of the same text.
        cell["id"] = f"{chapter.name}-{number}"
    notebook = nbformat.v4.new_notebook(cells=cells)
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.validate(notebook)
    return notebook


def _cells(chapter: Chapter, directory: Path) -> Iterator[Any]:
    lines = chapter.text.splitlines(keepends=True)
    at = 0
    for block in chapter.blocks:
        begin = block.code_begin
        yield from _prose(lines[at:begin], chapter, directory)
        yield _executed(block)
        at = block.end
    yield from _prose(lines[at:], chapter, directory)


def _prose(lines: list[str], chapter: Chapter, directory: Path) -> Iterator[Any]:
    text = "".join(lines).strip("\n")
    if text:
        beside = Path(os.path.relpath(chapter.path.parent, directory.resolve())).as_posix()
        # What the page shows lies beside the page, not beside the notebook.
        yield nbformat.v4.new_markdown_cell(text.replace("](../", f"]({beside}/../"))


def _executed(block: Block) -> Any:
    cell = code_cell(block)
    if block.output:
        cell.outputs = [nbformat.v4.new_output("stream", name="stdout", text=block.output)]
    return cell
