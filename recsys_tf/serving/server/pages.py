"""The pages beside the interface: the shop page at `/`, which asks it as any client does, and the tutorial."""

import json
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path

_SHOP = Path(__file__).parent / "shop"
_TUTORIAL = "/tutorial/"
_TYPES = {
    ".html": b"text/html; charset=utf-8",
    ".css": b"text/css",
    ".js": b"text/javascript",
    ".png": b"image/png",
    ".svg": b"image/svg+xml",
}
# Nothing from elsewhere is loaded, run or framed, whatever stands in a title.
_POLICY = b"default-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
PAGE_HEADERS = (
    (b"content-security-policy", _POLICY),
    (b"x-content-type-options", b"nosniff"),
    (b"cache-control", b"no-cache"),
)


@dataclass(frozen=True)
class Page:
    """What a browser is sent."""

    body: bytes
    content_type: bytes


class ShopPages:
    """The shop page's files, read once, the tutorial's, read when asked for, and the names of the models served now.

    tutorial: the folder that `run.py tutorial --html` writes, at any time; until then a page says so.
    """

    def __init__(self, names: Callable[[], Collection[str]], tutorial: Path | None = None) -> None:
        self._names, self._tutorial = names, tutorial
        self._files = {f"/shop/{path.name}": _page(path) for path in _SHOP.iterdir() if path.suffix in _TYPES}
        self._files["/"] = self._files.pop("/shop/index.html")

    def find(self, target: str) -> Page | None:
        """Return the page that a request's target names, query string or not, or None."""
        path = target.partition("?")[0]
        if path == "/shop/models.json":
            return Page(json.dumps({"names": sorted(self._names())}).encode("utf-8"), b"application/json")
        if path == "/tutorial" or path.startswith(_TUTORIAL):
            return _page_of_tutorial(path, self._tutorial) if self._tutorial is not None else None
        return self._files.get(path)


def _page_of_tutorial(path: str, folder: Path) -> Page | None:
    if path == "/tutorial":
        # Without the stroke at the end a browser would look for the pages beside it.
        return Page(b'<!doctype html><meta http-equiv="refresh" content="0; url=/tutorial/">', _TYPES[".html"])
    name = path.removeprefix(_TUTORIAL) or "index.html"
    written = {one.relative_to(folder).as_posix(): one for one in folder.rglob("*") if one.suffix in _TYPES}
    if name in written:
        return _page(written[name])
    if name == "index.html":
        return Page(f"Not written yet: python run.py tutorial --html {folder}".encode(), b"text/plain")
    return None


def _page(path: Path) -> Page:
    return Page(path.read_bytes(), _TYPES[path.suffix])
