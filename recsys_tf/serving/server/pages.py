"""The pages beside the interface: the shop page at `/`, which asks it as any client does, and the tutorial."""

import json
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path

_SHOP = Path(__file__).parent / "shop"
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
    """The shop page's files and the tutorial's, read once, and the names of the models that are served now.

    tutorial: the folder that `run.py tutorial --html` has written; where there is none, a page says so.
    """

    def __init__(self, names: Callable[[], Collection[str]], tutorial: Path | None = None) -> None:
        self._names = names
        self._files = {f"/shop/{path.name}": _page(path) for path in _SHOP.iterdir() if path.suffix in _TYPES}
        self._files["/"] = self._files.pop("/shop/index.html")
        self._files |= _tutorial(tutorial) if tutorial is not None else {}

    def find(self, target: str) -> Page | None:
        """Return the page that a request's target names, query string or not, or None."""
        path = target.partition("?")[0]
        if path == "/shop/models.json":
            return Page(json.dumps({"names": sorted(self._names())}).encode("utf-8"), b"application/json")
        return self._files.get(path)


def _tutorial(folder: Path) -> dict[str, Page]:
    paths = [path for path in folder.rglob("*") if path.suffix in _TYPES]
    files = {f"/tutorial/{path.relative_to(folder).as_posix()}": _page(path) for path in paths}
    unwritten = Page(b"Not written yet: python run.py tutorial --html " + str(folder).encode(), b"text/plain")
    return files | {"/tutorial/": files.get("/tutorial/index.html", unwritten)}


def _page(path: Path) -> Page:
    return Page(path.read_bytes(), _TYPES[path.suffix])
