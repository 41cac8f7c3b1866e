"""What the server sends a browser, and what it keeps to itself."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from live_server import LiveServer, live_server, save_half_plus

from recsys_tf.serving.server.pages import Page, ShopPages


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("pages") / "m"
    save_half_plus(made / "1", 1.0)
    return made


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[LiveServer]:
    with live_server({"m": folder}, demo=True) as running:
        yield running


@pytest.mark.parametrize("target", ["/", "/?lang=zh", "/shop/shop.js", "/shop/shop.css", "/shop/texts.js"])
def test_the_shop_page_and_its_files_are_sent_with_a_policy(server: LiveServer, target: str) -> None:
    answer = server.ask("GET", target)
    assert answer.status == 200
    assert answer.headers["content-security-policy"].startswith("default-src 'self';")
    kind = {"js": "text/javascript", "css": "text/css"}.get(target.rpartition(".")[2], "text/html; charset=utf-8")
    assert answer.headers["content-type"] == kind


def test_the_names_of_the_models_are_told(server: LiveServer) -> None:
    assert server.ask("GET", "/shop/models.json").json() == {"names": ["m"]}


@pytest.mark.parametrize("target", ["/shop/", "/shop/../pages.py", "/shop/%2e%2e/pages.py", "/pages.py", "/index.html"])
def test_nothing_else_is_sent(server: LiveServer, target: str) -> None:
    assert server.ask("GET", target).status == 404


def test_only_get_finds_a_page(server: LiveServer) -> None:
    assert server.ask("POST", "/", b"{}").status == 404


def test_without_the_demonstration_the_root_is_unknown_as_in_tensorflow_serving(folder: Path) -> None:
    with live_server({"m": folder}) as server:
        answer = server.ask("GET", "/")
        assert (answer.status, answer.body) == (404, b"Not Found")
        assert server.ask("GET", "/shop/models.json").status == 404


def test_the_tutorial_is_shown_where_it_has_been_written(tmp_path: Path) -> None:
    (tmp_path / "en").mkdir()
    (tmp_path / "index.html").write_text("front", encoding="utf-8")
    (tmp_path / "en" / "diagram.svg").write_text("<svg/>", encoding="utf-8")
    (tmp_path / "notes.txt").write_text("private", encoding="utf-8")
    pages = ShopPages(lambda: (), tmp_path)
    assert pages.find("/tutorial/") == Page(b"front", b"text/html; charset=utf-8")
    assert pages.find("/tutorial/en/diagram.svg?x") == Page(b"<svg/>", b"image/svg+xml")
    assert pages.find("/tutorial/notes.txt") is None
    assert pages.find("/tutorial/../notes.txt") is None


def test_a_tutorial_that_has_not_been_written_says_how(tmp_path: Path) -> None:
    page = ShopPages(lambda: (), tmp_path / "html").find("/tutorial/")
    assert page is not None
    assert b"python run.py tutorial --html" in page.body
