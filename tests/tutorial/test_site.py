"""The tutorial as a site: whole, self-contained, and the same when it is made again."""

import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

from recsys_tf.tutorial.chapters import LANGUAGES, chapter_names
from recsys_tf.tutorial.site import site_files, write_site


@pytest.fixture(scope="module")
def files() -> dict[str, bytes]:
    return site_files()


def pages(files: dict[str, bytes]) -> dict[str, str]:
    return {name: body.decode("utf-8") for name, body in files.items() if name.endswith(".html") and "/" in name}


def test_every_chapter_has_a_page_in_both_languages(files: dict[str, bytes]) -> None:
    wanted = {f"{language}/{name}.html" for language in LANGUAGES for name in [*chapter_names(), "index"]}
    assert set(pages(files)) == wanted


def test_every_address_on_a_page_is_a_file_of_the_site_or_of_the_web(files: dict[str, bytes]) -> None:
    for name, page in pages(files).items():
        for address in re.findall(r'(?:href|src)="([^"#]+)', page):
            if "://" in address or address == "data:,":
                continue
            folder = name.partition("/")[0]
            path = address.removeprefix("../") if address.startswith("../") else f"{folder}/{address}"
            assert path in files, f"{name}: {address}"


def test_nothing_is_loaded_from_elsewhere_and_no_tag_has_a_style(files: dict[str, bytes]) -> None:
    for page in pages(files).values():
        assert not re.search(r'src="https?:', page)
        assert "<script" not in page
        assert not re.search(r'<[a-z]+[^>]* style="', page)


def test_a_file_of_the_repository_is_named_where_it_would_be_linked(files: dict[str, bytes]) -> None:
    assert '<a title="recsys_tf/results/README.md">all figures</a>' in pages(files)["en/index.html"]


def test_formulas_are_mathml_and_none_is_left_as_text(files: dict[str, bytes]) -> None:
    page = pages(files)["en/04-mathematics.html"]
    formulas = re.findall(r"<math.*?</math>", page, re.DOTALL)
    assert len(formulas) > 10
    for formula in formulas:
        ElementTree.fromstring(formula)
    assert "$" not in re.sub(r"<pre.*?</pre>|<code.*?</code>", "", page, flags=re.DOTALL)


def test_diagrams_are_drawn(files: dict[str, bytes]) -> None:
    diagrams = [body for name, body in files.items() if "-diagram-" in name]
    assert len(diagrams) >= 2
    for body in diagrams:
        assert ElementTree.fromstring(body).tag.endswith("svg")


def test_the_site_is_written_whole_and_the_same_again(files: dict[str, bytes], tmp_path: Path) -> None:
    front = write_site(tmp_path / "site")
    assert front.is_file()
    written = {p.relative_to(front.parent).as_posix(): p.read_bytes() for p in front.parent.rglob("*") if p.is_file()}
    assert set(written) == set(files)
    assert {name for name in written if name.endswith((".html", ".css"))} >= set(pages(files))
    assert all(written[name] == files[name] for name in pages(files))
