"""The server as its users start it, `run.py serve` in a process of its own, and the ways to ask it."""

import http.client
import json
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from live_server import Answer, until

ROOT = Path(__file__).resolve().parents[2]
# Importing TensorFlow takes its time where other tests run beside this one.
START_SECONDS = 120.0


@dataclass
class ServerProcess:
    """A running `run.py serve`, where it listens and what it wrote."""

    process: subprocess.Popen[bytes]
    folder: Path
    port: int = 0
    grpc_port: int = -1

    def ask(self, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None) -> Answer:
        """Send one request on a connection of its own; a body that is neither bytes nor None is written as JSON."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            raw = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
            connection.request(method, path, raw, dict(headers or {}))
            answer = connection.getresponse()
            return Answer(answer.status, answer.read(), dict(answer.getheaders()))
        finally:
            connection.close()

    def predict(self, body: Any, headers: Mapping[str, str] | None = None, model: str = "m") -> Answer:
        """Ask a model."""
        return self.ask("POST", f"/v1/models/{model}:predict", body, headers)

    def states(self, model: str = "m") -> dict[str, str]:
        """The state of every version of a model."""
        versions = self.ask("GET", f"/v1/models/{model}").json()["model_version_status"]
        return {version["version"]: version["state"] for version in versions}

    def connect(self) -> socket.socket:
        """Open a connection to send whatever one likes."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=60)

    def said(self) -> list[str]:
        """The lines on standard output."""
        return (self.folder / "stdout").read_text(encoding="utf-8").splitlines()

    def complained(self) -> str:
        """What stands on standard error."""
        return (self.folder / "stderr").read_text(encoding="utf-8", errors="replace")

    def resident_mib(self) -> float:
        """Memory in use."""
        status = Path(f"/proc/{self.process.pid}/status").read_text(encoding="ascii")
        found = re.search(r"VmRSS:\s+(\d+) kB", status)
        assert found
        return int(found[1]) / 1024

    def stop(self, by: signal.Signals = signal.SIGTERM, seconds: float = 60.0) -> int:
        """Send a signal and return the exit code."""
        self.process.send_signal(by)
        return self.process.wait(timeout=seconds)

    def _listens(self) -> bool:
        assert self.process.poll() is None, self.complained()
        text = "\n".join(self.said())
        if grpc := re.search(r"^gRPC at 127\.0\.0\.1:(\d+)$", text, re.MULTILINE):
            self.grpc_port = int(grpc[1])
        if rest := re.search(r"^Serving .* at http://127\.0\.0\.1:(\d+)/v1", text, re.MULTILINE):
            self.port = int(rest[1])
        return bool(rest)


@contextmanager
def server_process(
    models: Mapping[str, Path], *options: str, rest_port: int = 0, grpc_port: int = -1
) -> Iterator[ServerProcess]:
    """Serve folders of versions from a process of its own, which is gone afterwards."""
    command = [sys.executable, "run.py", "serve", "--rest-port", str(rest_port), "--grpc-port", str(grpc_port)]
    command += ["--poll-seconds", "0.2", *options, "--model", *(f"{name}={path}" for name, path in models.items())]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with (folder / "stdout").open("wb") as out, (folder / "stderr").open("wb") as err:
            process = subprocess.Popen(command, cwd=ROOT, stdout=out, stderr=err)
        server = ServerProcess(process, folder)
        try:
            until(server._listens, START_SECONDS)
            yield server
        finally:
            process.kill()
            process.wait()


@contextmanager
def crowd(clients: int, ask: Callable[[], Any]) -> Iterator[list[list[Any]]]:
    """Ask again and again from many threads; yields, for each, what it was answered, exceptions in their place."""
    seen: list[list[Any]] = [[] for _ in range(clients)]
    over = threading.Event()

    def run(mine: list[Any]) -> None:
        while not over.is_set():
            try:
                mine.append(ask())
            except Exception as error:
                mine.append(error)
                # A server that is gone is not asked in a busy loop.
                over.wait(0.05)

    threads = [threading.Thread(target=run, args=(mine,)) for mine in seen]
    for thread in threads:
        thread.start()
    try:
        yield seen
    finally:
        over.set()
        for thread in threads:
            thread.join()
