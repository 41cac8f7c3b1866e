"""Write into both languages what the blocks of a chapter print now, and keep the pictures that they drew."""

import shutil
from collections.abc import Sequence
from pathlib import Path

from recsys_tf.errors import InputError
from recsys_tf.publishing import published_file
from recsys_tf.tutorial.chapters import FIGURES, LANGUAGES, Block, Chapter, read_chapter
from recsys_tf.tutorial.comparing import differences
from recsys_tf.tutorial.running import WRITTEN, outputs_of, run_chapter


def check_chapter(name: str, workplace: Path) -> list[str]:
    """Run a chapter and name everything in which its text differs from the run."""
    chapter = read_chapter(name)
    outputs = outputs_of(run_chapter(chapter, workplace))
    found = []
    for number, (block, output) in enumerate(zip(chapter.blocks, outputs, strict=True), start=1):
        found += [
            f"{chapter.name}, block {number}: {line}" for line in differences(block.output, output, block.tolerance)
        ]
    return found + [
        f"{chapter.name}: no block draws {name}" for name in pictures_of(chapter) if not _drawn(workplace, name)
    ]


def refresh_chapter(name: str, workplace: Path) -> list[Path]:
    """Run a chapter and return the pages that had to be changed.

    Raises InputError when the languages do not have the same number of blocks.
    """
    chapters = [read_chapter(name, language) for language in LANGUAGES]
    if len({len(chapter.blocks) for chapter in chapters}) > 1:
        numbers = ", ".join(f"{chapter.path.parent.name} {len(chapter.blocks)}" for chapter in chapters)
        raise InputError(f"the languages differ in their number of blocks: {numbers}", file=chapters[0].path)
    outputs = outputs_of(run_chapter(chapters[0], workplace))
    changed = []
    for chapter in chapters:
        text = with_outputs(chapter.text, chapter.blocks, outputs)
        if text != chapter.text:
            changed.append(chapter.path)
            with published_file(chapter.path) as partial:
                partial.write_text(text, encoding="utf-8")
    for picture in pictures_of(chapters[0]):
        if _drawn(workplace, picture):
            shutil.copyfile(workplace / WRITTEN / picture, FIGURES / picture)
    return changed


def with_outputs(text: str, blocks: Sequence[Block], outputs: Sequence[str]) -> str:
    """Return a page with what its blocks print; where the text agrees within rounding it stays as it is."""
    lines = text.splitlines(keepends=True)
    for block, output in reversed(list(zip(blocks, outputs, strict=True))):
        if not differences(block.output, output, block.tolerance):
            continue
        fence = lines[block.begin] if block.end > block.begin else "```text\n"
        # A block that had printed nothing so far gets its first output behind a blank line.
        above = [] if block.end > block.begin else ["\n"]
        lines[block.begin : block.end] = [*above, fence, output, "```\n"] if output else []
    return "".join(lines)


def pictures_of(chapter: Chapter) -> list[str]:
    """Return the names of the pictures that the page shows and its blocks must draw."""
    return sorted({part.partition(")")[0] for part in chapter.text.split("](../figures/")[1:]})


def _drawn(workplace: Path, name: str) -> bool:
    return (workplace / WRITTEN / name).is_file()
