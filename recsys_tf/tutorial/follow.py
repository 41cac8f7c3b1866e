"""`run.py tutorial`: follow the chapters, refresh what they say, and write them as notebooks or as a site."""

import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from recsys_tf.errors import InputError
from recsys_tf.tutorial.chapters import chapter_names
from recsys_tf.tutorial.notebooks import write_notebooks
from recsys_tf.tutorial.refreshing import check_chapter, refresh_chapter
from recsys_tf.tutorial.running import lay_out
from recsys_tf.tutorial.site import write_site


def follow_tutorial(refresh: bool, chapters: Sequence[int], workplace: Path | None) -> None:
    """Run chapters in order and compare their text with the run, or write into the text what they print.

    Raises InputError for a chapter that is not there, for a block that fails, and for a text that differs from its run.
    """
    names = chapter_names()
    unknown = [number for number in chapters if not 1 <= number <= len(names)]
    if unknown:
        raise InputError(f"no chapter {unknown[0]}; there are {len(names)}")
    chosen = [names[number - 1] for number in sorted(set(chapters))] or names
    with _laid_out(workplace) as place:
        found = [line for name in chosen for line in _timed(name, refresh, place)]
    if found and not refresh:
        raise InputError(
            f"{len(found)} differences between the text and its run: run.py tutorial --refresh writes them"
        )


def write_tutorial(notebook: Path | None, html: Path | None) -> None:
    """Write the chapters as notebooks, as a site, or both."""
    if notebook is not None:
        print(f"{len(write_notebooks(notebook))} notebooks in {notebook}")
    if html is not None:
        print(f"site: {write_site(html)}")


def _timed(name: str, refresh: bool, place: Path) -> list[str]:
    began = time.monotonic()
    work: Callable[[str, Path], Sequence[str | Path]] = refresh_chapter if refresh else check_chapter
    found = [str(one) for one in work(name, place)]
    print(
        f"{name:<32}{time.monotonic() - began:6.1f} s  {'as written' if not found else f'{len(found)} changed'}",
        flush=True,
    )
    for line in found:
        print(f"  {line}", flush=True)
    return found


@contextmanager
def _laid_out(workplace: Path | None) -> Iterator[Path]:
    if workplace is not None:
        lay_out(workplace)
        yield workplace
        return
    with tempfile.TemporaryDirectory() as temporary:
        lay_out(Path(temporary))
        yield Path(temporary)
