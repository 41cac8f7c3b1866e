"""A chapter of the tutorial: Markdown whose fenced `python` and `bash` blocks are run, in order.

A `text` block right behind such a block is what it printed. Where that comes out of a training, other processors may
find other last digits: its fence says by how much, ```` ```text tolerance=0.02 ````.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from markdown_it import MarkdownIt
from markdown_it.token import Token

from recsys_tf.errors import InputError

Language = Literal["en", "zh"]
LANGUAGES: tuple[Language, ...] = ("en", "zh")
HOME = Path(__file__).parent
FIGURES = HOME / "figures"

_RUN = ("python", "bash")
_TOLERANCE = re.compile(r"tolerance=(\d*\.?\d+)")


@dataclass(frozen=True)
class Block:
    """A code block, its first line, what it is said to print, and the lines [begin, end) that say so.

    begin = end where nothing is said to be printed.
    """

    language: str
    source: str
    code_begin: int
    output: str
    tolerance: float
    begin: int
    end: int


@dataclass(frozen=True)
class Chapter:
    """One Markdown file: its text, and the blocks of it that are run."""

    path: Path
    text: str
    blocks: tuple[Block, ...]

    @property
    def name(self) -> str:
        """The file's name without its ending, the same in both languages."""
        return self.path.stem


def chapter_names() -> list[str]:
    """Return the names of all chapters in their order, without the front page."""
    return sorted(path.stem for path in (HOME / "en").glob("[0-9]*.md"))


def read_chapter(name: str, language: Language = "en") -> Chapter:
    """Read a chapter, or the front page ("README"). Raises InputError when there is none of that name."""
    path = HOME / language / f"{name}.md"
    if not path.is_file():
        raise InputError(f"no such chapter; there are {', '.join(chapter_names())}", file=path)
    text = path.read_text(encoding="utf-8")
    return Chapter(path, text, tuple(_blocks(text)))


def fences(text: str) -> list[Token]:
    """Return the fenced blocks of a page in order."""
    return [token for token in _tokens(text) if token.type == "fence"]


def language_of(fence: Token) -> str:
    """Return the first word behind the fence's ticks."""
    return (fence.info.split() or [""])[0]


def _tokens(text: str) -> list[Token]:
    return MarkdownIt("commonmark").enable("table").parse(text)


def _blocks(text: str) -> list[Block]:
    tokens = _tokens(text)
    found = []
    for token, following in zip(tokens, [*tokens[1:], None], strict=True):
        if token.type != "fence" or language_of(token) not in _RUN:
            continue
        code_begin, begin = _lines(token)
        output, tolerance, end = "", 0.0, begin
        if following is not None and following.type == "fence" and language_of(following) == "text":
            allowed = _TOLERANCE.search(following.info)
            output, tolerance = following.content, float(allowed.group(1)) if allowed else 0.0
            begin, end = _lines(following)
        found.append(Block(language_of(token), token.content, code_begin, output, tolerance, begin, end))
    return found


def _lines(token: Token) -> tuple[int, int]:
    assert token.map is not None  # every block of a page has its lines
    return token.map[0], token.map[1]
