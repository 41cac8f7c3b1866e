"""`run.py benchmark serving`: how fast a server answers over loopback, beside the same signature called in its process.

    in process    the SavedModel's signature on ready tensors, one request after the other: what the server adds to
    server        `run.py serve` in a process of its own, without and with request batching
    clients       keep-alive connections in a third process, each sending its next request as soon as it is answered

All on one machine: clients take their share of the cores too, as they would not in production.
"""

import asyncio
import json
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np

from recsys_tf.benchmarks.measuring import measure_in_process
from recsys_tf.cost import Cost, cost_between, cpu_seconds_of, read_meters
from recsys_tf.errors import InputError
from recsys_tf.results.files import publish_result
from recsys_tf.serving.client import PredictClient
from recsys_tf.serving.model_folders import version_folders

_CONNECTIONS = (1, 4, 16, 64)
_ROWS = (1, 8, 64)
_SECONDS = 5.0
_WARM_UP_SECONDS = 1.0
_EVENTS = 20  # of a request's history
_K = 10
_NAME = "measured"
_CPU, _JOULES = "cpu_seconds_per_1000_requests", "joules_per_1000_requests"
_ADDRESS = re.compile(r"http://\S+?(?=/v1)")


def benchmark_serving(folder: Path, publish: str) -> None:
    """Measure the newest version in the folder of a two-tower model.

    Raises InputError when there is none and when its server cannot be started.
    """
    if not folder.is_dir() or not version_folders(folder):
        raise InputError("no exported version here; `python run.py export` makes one", file=folder)
    alone = measure_in_process(__name__, "call_in_process", str(folder))
    print(f"{'in process':<34} p50 {alone['p50_ms']:7.2f} ms", flush=True)
    rows: dict[str, dict[str, Any]] = {"in process, one request": alone}
    start: dict[str, dict[str, float]] = {}
    for title, options in {"single requests": [], "batching": ["--enable-batching"]}.items():
        with _running_server(folder, options) as server:
            start[title] = {"start_seconds": server.start_seconds, "ready_mib": _resident_mib(server.process.pid)}
            for connections in _CONNECTIONS:
                name = f"{title}, {connections} connections"
                rows[name] = _measured(server, connections, rows=1)
                _print_row(name, rows[name])
            for size in _ROWS[1:] if title == "single requests" else ():
                name = f"{title}, {size} rows a request"
                rows[name] = _measured(server, 1, size)
                _print_row(name, rows[name])
            start[title]["peak_mib"] = _resident_mib(server.process.pid, peak=True)
    most = _CONNECTIONS[-1]
    ratios = {
        "server adds at one connection, ms": rows["single requests, 1 connections"]["p50_ms"] - alone["p50_ms"],
        f"batching / single requests, requests per second at {most} connections": (
            rows[f"batching, {most} connections"]["per_second"]
            / rows[f"single requests, {most} connections"]["per_second"]
        ),
        "failures that are not 429 or 503": float(sum(sum(row["failures"].values()) for row in rows.values())),
    }
    print()
    for title, ratio in ratios.items():
        print(f"{title:<74} {ratio:8.2f}")
    if publish:
        result = {"model": folder.name, "events": _EVENTS, "k": _K, "rows": rows, "start": start, "ratios": ratios}
        print(f"published as {publish_result(publish, result)}")


def _print_row(name: str, figures: dict[str, Any]) -> None:
    cpu = f"; {figures[_CPU]:.2f} CPU s per 1,000 requests" if _CPU in figures else ""
    joules = f", {figures[_JOULES]:.1f} J" if _JOULES in figures else ""
    print(
        f"{name:<34} p50 {figures['p50_ms']:7.2f} ms, p95 {figures['p95_ms']:7.2f}, p99 {figures['p99_ms']:7.2f}; "
        f"{figures['per_second']:7.0f} requests/s, {figures['rows_per_second']:7.0f} rows/s{cpu}{joules}",
        flush=True,
    )


@dataclass(frozen=True)
class _Server:
    process: "subprocess.Popen[str]"
    address: str
    start_seconds: float


@contextmanager
def _running_server(folder: Path, options: list[str]) -> Iterator[_Server]:
    """Start a server on a free port, and stop it in the end."""
    command = [sys.executable, "run.py", "serve", "--rest-port", "0", "--grpc-port", "-1", *options]
    began = time.perf_counter()
    process = subprocess.Popen(
        [*command, "--model", f"{_NAME}={folder}"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    try:
        assert process.stdout is not None
        address = next((found[0] for line in process.stdout if (found := _ADDRESS.search(line))), None)
        if address is None:
            raise InputError("the server ended before it listened", file=folder)
        yield _Server(process, address, time.perf_counter() - began)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()


def _resident_mib(pid: int, peak: bool = False) -> float:
    """Return the resident memory of a process now, or at its peak, in MiB; 0 where the system does not say."""
    try:
        status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    except OSError:
        return 0.0
    field = "VmHWM" if peak else "VmRSS"
    found = re.search(rf"{field}:\s+(\d+) kB", status)
    return int(found[1]) / 1024 if found else 0.0


def _measured(server: _Server, connections: int, rows: int) -> dict[str, Any]:
    """Ask the server, and add what a thousand requests cost its process, where the system says so.

    All requests count for that, those of the warm-up too: the process' CPU time does not tell them apart. Joules are
    those of all processors, what the clients spend included.
    """
    before, meters = cpu_seconds_of(server.process.pid), read_meters()
    figures: dict[str, Any] = measure_in_process(__name__, "ask_server", server.address, str(connections), str(rows))
    after, spent = cpu_seconds_of(server.process.pid), cost_between(meters, read_meters())
    answered = figures.pop("answered")
    cpu = {} if before is None or after is None else {_CPU: 1000 * (after - before) / answered}
    return figures | cpu | _joules(spent, answered)


def _joules(spent: Cost, answered: int) -> dict[str, float]:
    return {} if spent.joules is None else {_JOULES: 1000 * spent.joules / answered}


def histories(items: list[str], number: int) -> dict[str, Any]:
    """Return `number` histories of views of the items given, as the inputs of `serving_default`."""
    rows = [[items[(row + event) % len(items)] for event in range(_EVENTS)] for row in range(number)]
    return {"item_id": rows, "behavior": [["view"] * _EVENTS] * number, "k": [_K] * number}


# A new user, whose list of items is what histories are made of.
_NOBODY: dict[str, Any] = {"item_id": [[""]], "behavior": [[""]], "k": [100]}


def call_in_process(folder: str) -> dict[str, float]:
    """Call the signature on ready tensors, one request after the other."""
    import tensorflow as tf

    from recsys_tf.serving.export import newest_version

    signature = tf.saved_model.load(str(newest_version(Path(folder)))).signatures["serving_default"]

    def asked(request: dict[str, Any]) -> dict[str, Any]:
        return {name: tf.constant(value, tf.int32 if name == "k" else tf.string) for name, value in request.items()}

    known = [item.decode() for item in signature(**asked(_NOBODY))["item_id"].numpy()[0] if item]
    inputs = asked(histories(known, 1))
    seconds: list[float] = []
    until = time.perf_counter() + _WARM_UP_SECONDS + _SECONDS
    counted_from = time.perf_counter() + _WARM_UP_SECONDS
    answered, meters = 0, read_meters()
    while (began := time.perf_counter()) < until:
        for value in signature(**inputs).values():
            value.numpy()
        if began >= counted_from:
            seconds.append(time.perf_counter() - began)
        answered += 1
    spent = cost_between(meters, read_meters())
    return _figures(seconds, 1, Counter()) | {_CPU: 1000 * spent.cpu_seconds / answered} | _joules(spent, answered)


def ask_server(address: str, connections: str, rows: str) -> dict[str, Any]:
    """Send requests over so many connections at once for some seconds; "answered" counts all, whatever the answer."""
    items = PredictClient(address).predict(_NAME, _NOBODY)["item_id"][0]
    request = json.dumps({"inputs": histories([item for item in items if item], int(rows))}).encode()
    seconds, failures, answered = asyncio.run(_clients(address, int(connections), request))
    # One more is the question for the items.
    return _figures(seconds, int(rows), failures) | {"answered": answered + 1}


async def _clients(address: str, connections: int, body: bytes) -> tuple[list[float], Counter[str], int]:
    parts = urlsplit(address)
    head = f"POST /v1/models/{_NAME}:predict HTTP/1.1\r\nHost: {parts.netloc}\r\nContent-Length: {len(body)}\r\n\r\n"
    request, seconds, failures = head.encode() + body, list[float](), Counter[str]()
    began = time.perf_counter()
    answered = 0

    async def client() -> None:
        nonlocal answered
        reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
        while (sent := time.perf_counter()) < began + _WARM_UP_SECONDS + _SECONDS:
            writer.write(request)
            status = await _answer(reader)
            answered += 1
            if sent >= began + _WARM_UP_SECONDS:
                if status == "200":
                    seconds.append(time.perf_counter() - sent)
                else:
                    failures[status] += 1
        writer.close()

    await asyncio.gather(*(client() for _ in range(connections)))
    return seconds, failures, answered


async def _answer(reader: asyncio.StreamReader) -> str:
    """Read one answer to its end and return its status."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    length = re.search(r"(?i)content-length: (\d+)", head)
    await reader.readexactly(int(length[1]) if length else 0)
    return head.split(" ", 2)[1]


def _figures(seconds: list[float], rows: int, failures: Counter[str]) -> dict[str, Any]:
    if not seconds:
        raise InputError(f"no request was answered: {dict(failures)}")
    p50, p95, p99 = (1000 * float(np.percentile(seconds, at)) for at in (50, 95, 99))
    rate = len(seconds) / _SECONDS
    refused = {code: number for code, number in failures.items() if code in ("429", "503")}
    others = {code: number for code, number in failures.items() if code not in refused}
    return {
        "p50_ms": p50,
        "p95_ms": p95,
        "p99_ms": p99,
        "per_second": rate,
        "rows_per_second": rows * rate,
        "refused": sum(refused.values()),
        "failures": others,
    }
