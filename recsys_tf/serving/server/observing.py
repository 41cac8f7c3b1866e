"""What a server says of itself: Prometheus metrics by TensorFlow Serving's names, and a log of requests."""

import json
import sys
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from prometheus_client import CollectorRegistry, Gauge, Histogram, disable_created_metrics, generate_latest

from recsys_tf.serving.server.errors import Code

METRICS_PATH = "/monitoring/prometheus/metrics"
_API = {"predict": "Predict", "classify": "Classify", "regress": "Regress"}
# Upper ends of the buckets in microseconds, each 1.8 times the one before, as in TensorFlow Serving.
_BUCKETS = [10 * 1.8**step for step in range(33)]

disable_created_metrics()  # type: ignore[no-untyped-call]


@dataclass(frozen=True)
class Seen:
    """One request that has been answered: where it came in, what it asked of which model, how it went."""

    entrypoint: Literal["REST", "GRPC"]
    api: str
    model: str
    code: Code
    seconds: float


class Observer:
    """Counts what it is told of, for as long as the server lives."""

    def __init__(
        self, models: Callable[[], Collection[str]], log: Callable[[dict[str, Any]], None] | None = None
    ) -> None:
        """models: names of what is served now; other names are counted together, since any client can invent some."""
        self._models, self._log = models, log
        self._registry = CollectorRegistry()
        # A counter of this library would be called …_total.
        self._count = Gauge(
            ":tensorflow:serving:request_count",
            "Requests that were answered, failures too.",
            ["model_name", "status"],
            registry=self._registry,
        )
        self._latency = Histogram(
            ":tensorflow:serving:request_latency",
            "Microseconds that successful requests took.",
            ["model_name", "API", "entrypoint"],
            buckets=_BUCKETS,
            registry=self._registry,
        )

    def __call__(self, seen: Seen) -> None:
        """Take note of a request."""
        name = seen.model if seen.model in self._models() else ""
        self._count.labels(name, seen.code.name).inc()
        if seen.code == Code.OK:
            api = _API.get(seen.api, seen.api)
            self._latency.labels(name, api, seen.entrypoint).observe(seen.seconds * 1e6)
        if self._log is not None:
            self._log(
                {
                    "entrypoint": seen.entrypoint,
                    "api": seen.api,
                    "model": seen.model,
                    "status": seen.code.name,
                    "milliseconds": round(seen.seconds * 1e3, 3),
                }
            )

    def exposition(self) -> bytes:
        """Write all metrics in Prometheus' text form."""
        return generate_latest(self._registry)


def write_json_line(content: dict[str, Any]) -> None:
    """Write one line of the log to standard error: JSON that begins with the time."""
    stamped = {"time": datetime.now(UTC).isoformat(timespec="milliseconds"), **content}
    sys.stderr.write(json.dumps(stamped, ensure_ascii=False) + "\n")
    sys.stderr.flush()


class Stopwatch:
    """Seconds since it was made."""

    def __init__(self) -> None:
        self._began = time.perf_counter()

    @property
    def seconds(self) -> float:
        """How long ago that was."""
        return time.perf_counter() - self._began
