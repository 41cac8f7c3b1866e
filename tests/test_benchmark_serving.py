"""`run.py benchmark serving`: what is counted, and what is compared with what; nothing here looks at a clock."""

import json
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from recsys_tf.benchmarks import serving
from recsys_tf.errors import InputError
from recsys_tf.results import files

sys.path.insert(0, str(Path(__file__).with_name("serving")))
from live_server import live_server

import tensorflow as tf  # isort: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model with the inputs of ours, whose list is always the same; it refuses histories of "bad"."""

    def answer(item_id: Any, behavior: Any, k: Any) -> dict[str, Any]:
        with tf.control_dependencies([tf.debugging.assert_none_equal(item_id, "bad")]):
            return {"item_id": tf.tile([["a", "b", "", ""]], [tf.size(k), 1]), "k": k}

    text = tf.TensorSpec([None, None], tf.string)
    function = tf.function(answer, input_signature=[text, text, tf.TensorSpec([None], tf.int32)])
    module = tf.Module()
    module.kept = function
    target: Path = tmp_path_factory.mktemp("models") / "listing"
    tf.saved_model.save(module, str(target / "1"), signatures=function)
    return target


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serving, "_SECONDS", 0.5)
    monkeypatch.setattr(serving, "_WARM_UP_SECONDS", 0.1)


def test_requests_are_answered_and_counted(folder: Path) -> None:
    with live_server({serving._NAME: folder}) as server:
        found = serving.ask_server(server.url, "3", "4")
        assert found["failures"] == {}
        assert 0 < found["p50_ms"] <= found["p95_ms"] <= found["p99_ms"]
        assert found["rows_per_second"] == pytest.approx(4 * found["per_second"])
        assert found["answered"] == len(server.logged)
        # The list of items, then the requests that count and those before them.
        assert len(server.logged) - 1 > found["per_second"] * 0.5
        assert {one["status"] for one in server.logged} == {"OK"}
    alone = serving.call_in_process(str(folder))
    assert alone["per_second"] > 0
    assert alone["cpu_seconds_per_1000_requests"] > 0


def test_failures_are_told_apart() -> None:
    figures = serving._figures([0.001, 0.003], 1, Counter({"503": 4, "429": 1, "500": 2}))
    assert (figures["refused"], figures["failures"]) == (5, {"500": 2})
    assert figures["p50_ms"] == pytest.approx(2.0)
    with pytest.raises(InputError, match="no request was answered"):
        serving._figures([], 1, Counter({"503": 4}))


def test_ratios_are_worked_out_and_published(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    rates = iter([0, 100, 110, 120, 130, 90, 80, 105, 210, 300, 520])

    def figures(module: str, function: str, *arguments: str) -> dict[str, Any]:
        rate = next(rates)
        plain = {"p50_ms": 2.0, "p95_ms": 3.0, "p99_ms": 4.0, "per_second": rate, "rows_per_second": rate}
        plain |= {"answered": 250}
        if function == "call_in_process":
            return plain | {"p50_ms": 1.25, "failures": {}, "refused": 0}
        return plain | {"failures": {"500": 1} if arguments[1] == "16" else {}, "refused": 2}

    started: list[list[str]] = []

    @contextmanager
    def running(model: Path, options: list[str]) -> Iterator[Any]:
        started.append(options)

        class Process:
            pid = 1

        yield serving._Server(Process(), "http://nowhere", 1.5)  # type: ignore[arg-type]

    monkeypatch.setattr(serving, "measure_in_process", figures)
    monkeypatch.setattr(serving, "_running_server", running)
    # The server's CPU time before and after each of ten measurements; at the last one it cannot be read any more.
    spent = iter([(0.0, 0.5), *[(1.0, 2.0)] * 8, (3.0, None)])
    times = (one for both in spent for one in both)
    monkeypatch.setattr(serving, "cpu_seconds_of", lambda pid: next(times))
    monkeypatch.setattr(files, "DIRECTORY", tmp_path)
    serving.benchmark_serving(folder, "speed")
    result = json.loads((tmp_path / "speed.json").read_text(encoding="utf-8"))
    assert list(result["ratios"].values()) == [0.75, 4.0, 2.0]
    assert started == [[], ["--enable-batching"]]
    cpu = [row.get("cpu_seconds_per_1000_requests") for row in result["rows"].values()]
    assert cpu == [None, 2.0, *[4.0] * 8, None]
    assert not [row for name, row in result["rows"].items() if "answered" in row and name != "in process, one request"]
    assert result["start"]["batching"]["start_seconds"] == 1.5
    assert "single requests, 64 rows a request" in capsys.readouterr().out
    with pytest.raises(InputError, match="no exported version"):
        serving.benchmark_serving(tmp_path, "")


@pytest.mark.slow
def test_a_real_server_is_started_and_stopped(folder: Path) -> None:
    with serving._running_server(folder, ["--enable-batching"]) as server:
        assert serving.ask_server(server.address, "2", "1")["failures"] == {}
        assert serving._resident_mib(server.process.pid) > 50
        assert server.start_seconds > 0
    assert server.process.returncode == 0
