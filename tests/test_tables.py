"""The README's tables are what the result files say."""

import re
from pathlib import Path

import pytest

from recsys_tf.commands import TablesCommand
from recsys_tf.errors import InputError
from recsys_tf.results import serving_tables
from recsys_tf.results.files import DIRECTORY, publish_result, read_result
from recsys_tf.results.markdown import interval, markdown_table
from recsys_tf.results.tables import TABLES, write_tables

ROOT = Path(__file__).resolve().parent.parent


PAGES = [ROOT / page for page in TablesCommand().pages]


@pytest.mark.parametrize("committed", PAGES, ids=str)
def test_the_pages_hold_what_the_result_files_and_the_code_say(committed: Path, tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(committed.read_text(encoding="utf-8"), encoding="utf-8")
    write_tables(page)
    assert page.read_text(encoding="utf-8") == committed.read_text(encoding="utf-8")


def test_every_table_stands_on_a_page() -> None:
    text = "".join(page.read_text(encoding="utf-8") for page in PAGES)
    for name in TABLES:
        assert f"<!-- table {name} -->" in text


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_links_of_the_pages_lead_somewhere(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    links = re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", text)
    assert links
    for link in links:
        assert "://" in link or (page.parent / link).exists(), link


def test_every_result_says_how_it_was_made() -> None:
    files = sorted(DIRECTORY.glob("*.json"))
    assert files
    for path in files:
        result = read_result(path.stem)
        assert {"command", "machine", "packages", "commit", "finished"} <= set(result), path.name
        assert path.stat().st_size < 100_000
        # Nothing of the machine's own folders.
        words = re.findall(r'"([^"]*)"', path.read_text(encoding="utf-8"))
        assert not [word for word in words for part in word.split() if part.startswith("/") and part != "/"], path.name


def test_cpu_time_of_serving_stands_in_the_table_where_it_was_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    old = read_result("serving-speed")
    rows = {title: dict(row) for title, row in old["rows"].items()}
    for row in rows.values():
        row.pop("cpu_seconds_per_1000_requests", None)
    monkeypatch.setattr(serving_tables, "read_result", lambda name: old | {"rows": rows})
    assert "CPU s" not in serving_tables.serving_speed()
    first, second, *_ = rows
    rows[second]["cpu_seconds_per_1000_requests"] = 1.234
    lines = [line for line in serving_tables.serving_speed().split("\n") if line.startswith("|")]
    assert lines[0].endswith("| CPU s per 1,000 requests |")
    cells = {line.split(" | ")[0].removeprefix("| "): line.removesuffix(" |").split(" | ") for line in lines}
    assert (cells[first][-1], cells[second][-1]) == ("–", "1.23")
    assert len({line.count("|") for line in lines}) == 1


def test_unknown_tables_and_results_are_named(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("<!-- table nonsense -->\n<!-- end of table -->\n")
    with pytest.raises(InputError, match="unknown table 'nonsense'"):
        write_tables(page)
    page.write_text("nothing")
    with pytest.raises(InputError, match="no place"):
        write_tables(page)
    with pytest.raises(InputError, match="no such published result"):
        read_result("nonsense")
    with pytest.raises(InputError, match="is no name"):
        publish_result("../escape", {})


def test_layout() -> None:
    assert markdown_table(["a", "b"], [["x", "1"]]) == "| a | b |\n| --- | ---: |\n| x | 1 |"
    assert interval({"mean": 0.5, "low": 0.25, "high": 0.75}, 2) == "0.50 [0.25, 0.75]"
    assert interval({"mean": 0.5, "low": None, "high": None}) == "0.500"
