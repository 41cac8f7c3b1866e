"""The two languages tell the same story: the same structure, code, output, pictures and figures."""

import re
from collections import Counter
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

from recsys_tf.errors import InputError
from recsys_tf.tutorial.chapters import FIGURES, LANGUAGES, Block, Chapter, chapter_names, fences, read_chapter
from recsys_tf.tutorial.refreshing import pictures_of

NAMES = chapter_names()
PAGES = ["README", *NAMES]


def pair(name: str) -> tuple[Chapter, Chapter]:
    english, chinese = (read_chapter(name, language) for language in LANGUAGES)
    return english, chinese


def prose(chapter: Chapter) -> str:
    """The text without its fenced blocks, links' addresses and inline code."""
    lines = chapter.text.splitlines()
    for fence in fences(chapter.text):
        assert fence.map is not None
        for line in range(*fence.map):
            lines[line] = ""
    text = re.sub(r"\]\([^)]*\)", "]", "\n".join(lines))
    return re.sub(r"`[^`]*`|\$[^$]*\$", "", text)


def test_there_are_ten_chapters_and_the_errata() -> None:
    assert [name[:2] for name in NAMES] == [f"{number:02}" for number in range(1, 12)]
    for language in LANGUAGES:
        assert sorted(path.stem for path in (FIGURES.parent / language).glob("*.md")) == sorted(PAGES)


@pytest.mark.parametrize("name", PAGES)
def test_headings_have_the_same_levels_in_the_same_order(name: str) -> None:
    english, chinese = (
        [line.split(" ")[0] for line in prose(one).splitlines() if line.startswith("#")] for one in pair(name)
    )
    assert english == chinese
    assert english[0] == "#"


@pytest.mark.parametrize("name", PAGES)
def test_blocks_and_their_output_are_the_same(name: str) -> None:
    english, chinese = ([(one.info, one.content) for one in fences(page.text)] for page in pair(name))
    # Diagrams speak the page's language.
    both = [[pair for pair in blocks if pair[0] != "mermaid"] for blocks in (english, chinese)]
    assert both[0] == both[1]
    assert [info for info, _ in english] == [info for info, _ in chinese]


@pytest.mark.parametrize("name", PAGES)
def test_pictures_and_links_are_the_same(name: str) -> None:
    english, chinese = (Counter(re.findall(r"\]\(([^)]*)\)", page.text)) for page in pair(name))
    # The front pages name each other.
    across = {"../en/README.md", "../zh/README.md"}
    assert {link: n for link, n in english.items() if link not in across} == {
        link: n for link, n in chinese.items() if link not in across
    }


@pytest.mark.parametrize("name", PAGES)
def test_figures_in_the_prose_are_the_same(name: str) -> None:
    english, chinese = (Counter(re.findall(r"\d[\d,]*\.\d+|\d[\d,]* ?%", prose(page))) for page in pair(name))
    assert english == chinese


@pytest.mark.parametrize("name", PAGES)
@pytest.mark.parametrize("language", LANGUAGES)
def test_links_lead_somewhere(name: str, language: str) -> None:
    page = read_chapter(name, language)  # type: ignore[arg-type]
    for link in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.text):
        assert "://" in link or (page.path.parent / link).exists(), link


def test_every_picture_is_shown_and_small() -> None:
    shown = {picture for name in PAGES for picture in pictures_of(read_chapter(name))}
    assert shown == {path.name for path in FIGURES.iterdir()}
    for path in FIGURES.iterdir():
        assert path.stat().st_size < 200_000, path.name


@pytest.mark.parametrize("name", PAGES)
@pytest.mark.parametrize("language", LANGUAGES)
def test_python_on_the_pages_is_run(name: str, language: str) -> None:
    # Whatever is marked as another language of code would not be run.
    allowed = {"python", "bash", "text", "mermaid", "console", "bibtex", "json"}
    text = read_chapter(name, language).text  # type: ignore[arg-type]
    assert {(fence.info.split() or [""])[0] for fence in fences(text)} <= allowed


def test_a_block_and_what_it_prints(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = tmp_path / "en" / "01-page.md"
    page.parent.mkdir()
    ran = "```python\nprint(1)\n```\n\n```text tolerance=0.5\n1\n```\n"
    page.write_text(f"# 1\n\n{ran}\n```bash\ntrue\n```\n\nwords\n\n```text\nno output\n```\n")
    monkeypatch.setattr("recsys_tf.tutorial.chapters.HOME", tmp_path)
    first, second = read_chapter("01-page").blocks
    assert first == Block("python", "print(1)\n", 2, "1\n", 0.5, 6, 9)
    assert (second.language, second.output, second.begin, second.end) == ("bash", "", 13, 13)
    with pytest.raises(InputError, match=r"no such chapter; there are 01-page"):
        read_chapter("02-page")


def test_tables_have_the_same_numbers() -> None:
    markdown = MarkdownIt("commonmark").enable("table")
    for name in PAGES:
        cells = []
        for page in pair(name):
            tokens = markdown.parse(page.text)
            inside = [tokens[at + 1].content for at, token in enumerate(tokens) if token.type == "td_open"]
            cells.append([re.findall(r"\d+\.\d+", re.sub(r"\]\([^)]*\)", "]", cell)) for cell in inside])
        assert cells[0] == cells[1], name


@pytest.mark.parametrize("name", PAGES)
def test_chinese_prose_has_chinese_punctuation_and_no_breaks_inside_of_sentences(name: str) -> None:
    # A line break is shown as a blank, which Chinese does not have.
    text = prose(read_chapter(name, "zh"))
    assert not re.findall(r"[\u4e00-\u9fff][,;:?!]", text)
    assert not re.findall(r"[\u4e00-\u9fff，。；：、]\n[\u4e00-\u9fff]", text)
