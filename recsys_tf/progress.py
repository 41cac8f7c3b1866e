"""A progress line for long work: how fast it goes and how long it will still take."""

import sys
import time
from collections.abc import Iterable, Iterator
from typing import TextIO, TypeVar

T = TypeVar("T")


def format_seconds(seconds: float) -> str:
    """Write a duration in seconds for people: "45 s", "3 min 20 s", "2 h 5 min"."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


class Progress:
    """One line on a stream, renewed at most once a second: "reading: 120,000 rows, 410,000 rows/s, 3 s left"."""

    def __init__(self, what: str, unit: str, total: int | None = None, stream: TextIO | None = None) -> None:
        self.what, self.unit, self.total = what, unit, total
        self.stream = sys.stderr if stream is None else stream
        self.done = 0
        self.started = self.shown = time.monotonic()

    def add(self, amount: int) -> None:
        """Count `amount` more units as done, and show the line when it is due."""
        self.done += amount
        if time.monotonic() - self.shown >= 1.0:
            self.shown = time.monotonic()
            self._show()

    def close(self) -> None:
        """Show the final count and end the line, if the line was ever shown."""
        if self.shown > self.started:
            self._show()
            self.stream.write("\n")
            self.stream.flush()

    def _show(self) -> None:
        rate = self.done / max(time.monotonic() - self.started, 1e-9)
        line = f"{self.what}: {self.done:,} {self.unit}, {rate:,.0f} {self.unit}/s"
        if self.total and rate > 0:
            line += f", {format_seconds(max(self.total - self.done, 0) / rate)} left"
        start, end = ("\r", "\x1b[K") if self.stream.isatty() else ("", "\n")
        self.stream.write(f"{start}{line}{end}")
        self.stream.flush()


def with_progress(items: Iterable[T], what: str, unit: str, total: int | None = None) -> Iterator[T]:
    """Pass `items` through unchanged and show how fast they go by."""
    progress = Progress(what, unit, total)
    for item in items:
        yield item
        progress.add(1)
    progress.close()
