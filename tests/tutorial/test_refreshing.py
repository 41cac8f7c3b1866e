"""Running blocks, writing what they print, and noticing when a text does not say what its blocks do."""

from pathlib import Path

import pytest

from recsys_tf.errors import InputError
from recsys_tf.tutorial import chapters, refreshing
from recsys_tf.tutorial.chapters import read_chapter
from recsys_tf.tutorial.notebooks import as_notebook
from recsys_tf.tutorial.refreshing import check_chapter, refresh_chapter
from recsys_tf.tutorial.running import lay_out

PAGE = """# 1. A page

{words}

```python
from pathlib import Path

count = 3
Path("data/tutorial/01-dot.png").write_bytes(b"a picture")
print("count", count)
count / 2
```

![a dot](../figures/01-dot.png)

```bash
python -c "import recsys_tf; print(recsys_tf.__version__)"
```

```python
assert count == 3  # the session goes on
```
"""
PRINTED = "```text\ncount 3\n1.5\n```\n"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A tutorial of one chapter in both languages, without output as yet."""
    home = tmp_path / "tutorial"
    for language, words in (("en", "words"), ("zh", "文字")):
        (home / language).mkdir(parents=True)
        (home / language / "01-page.md").write_text(PAGE.replace("{words}", words), encoding="utf-8")
    (home / "figures").mkdir()
    monkeypatch.setattr(chapters, "HOME", home)
    monkeypatch.setattr(refreshing, "FIGURES", home / "figures")
    return home


@pytest.fixture
def workplace(tmp_path: Path) -> Path:
    place = tmp_path / "workplace"
    lay_out(place)
    return place


def test_a_refresh_writes_both_languages_and_pictures_and_then_has_nothing_to_do(home: Path, workplace: Path) -> None:
    changed = refresh_chapter("01-page", workplace)
    assert changed == [home / "en" / "01-page.md", home / "zh" / "01-page.md"]
    for page in changed:
        text = page.read_text(encoding="utf-8")
        assert f"count / 2\n```\n\n{PRINTED}\n![a dot]" in text
        assert 'print(recsys_tf.__version__)"\n```\n\n```text\n0.1.0\n```\n' in text
        assert text.count("```text") == 2
    assert (home / "figures" / "01-dot.png").read_bytes() == b"a picture"
    assert check_chapter("01-page", workplace) == []
    assert refresh_chapter("01-page", workplace) == []


def test_a_text_that_says_something_else_is_found_out(home: Path, workplace: Path) -> None:
    refresh_chapter("01-page", workplace)
    page = home / "en" / "01-page.md"
    page.write_text(page.read_text(encoding="utf-8").replace("count 3\n1.5", "count 4\n1.5"), encoding="utf-8")
    page.write_text(
        page.read_text(encoding="utf-8").replace("figures/01-dot.png", "figures/01-line.png"), encoding="utf-8"
    )
    found = check_chapter("01-page", workplace)
    assert found == [
        "01-page, block 1: line 1: 'count 4' in the text, 'count 3' in the run",
        "01-page: no block draws 01-line.png",
    ]


def test_a_block_that_fails_and_languages_that_differ_are_named(home: Path, workplace: Path) -> None:
    page = home / "en" / "01-page.md"
    page.write_text(page.read_text(encoding="utf-8") + "\n```python\n1 / 0\n```\n", encoding="utf-8")
    with pytest.raises(InputError, match="number of blocks: en 4, zh 3"):
        refresh_chapter("01-page", workplace)
    with pytest.raises(InputError, match=r"01-page\.md: a block fails: (.|\n)*ZeroDivisionError"):
        check_chapter("01-page", workplace)


def test_a_run_leaves_the_checkout_alone(home: Path, workplace: Path) -> None:
    lay_out(workplace)  # a second time changes nothing
    assert (workplace / "data" / "items.csv").is_symlink()
    refresh_chapter("01-page", workplace)
    root = Path(chapters.__file__).resolve().parents[2]
    assert not (root / "data" / "tutorial" / "01-dot.png").exists()


def test_a_notebook_holds_prose_code_and_output(home: Path, workplace: Path, tmp_path: Path) -> None:
    refresh_chapter("01-page", workplace)
    notebook = as_notebook(read_chapter("01-page", "zh"), tmp_path / "notebooks" / "zh")
    kinds = [cell.cell_type for cell in notebook.cells]
    assert kinds == ["code", "markdown", "code", "markdown", "code", "code"]
    to_root, words, first, picture, shell, last = notebook.cells
    assert to_root.source.startswith("%cd -q ")
    assert "文字" in words.source
    assert first.outputs[0].text == "count 3\n1.5\n"
    assert picture.source == "![a dot](../../tutorial/zh/../figures/01-dot.png)"
    assert shell.source.startswith("%%bash\npython -c")
    assert last.outputs == []
    assert notebook == as_notebook(read_chapter("01-page", "zh"), tmp_path / "notebooks" / "zh")
