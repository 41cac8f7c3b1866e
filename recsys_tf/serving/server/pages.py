"""The pages beside the interface: the shop page at `/`, which asks the interface as any client does."""

import json
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path

_SHOP = Path(__file__).parent / "shop"
_TYPES = {".html": b"text/html; charset=utf-8", ".css": b"text/css", ".js": b"text/javascript"}
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
    """The shop page's files, read once, and the names of the models that are served now."""

    def __init__(self, names: Callable[[], Collection[str]]) -> None:
        self._names = names
        self._files = {f"/shop/{path.name}": _page(path) for path in _SHOP.iterdir() if path.suffix in _TYPES}
        self._files["/"] = self._files.pop("/shop/index.html")

    def find(self, target: str) -> Page | None:
        """Return the page that a request's target names, query string or not, or None."""
        path = target.partition("?")[0]
        if path == "/shop/models.json":
            return Page(json.dumps({"names": sorted(self._names())}).encode("utf-8"), b"application/json")
        return self._files.get(path)


def _page(path: Path) -> Page:
    return Page(path.read_bytes(), _TYPES[path.suffix])
