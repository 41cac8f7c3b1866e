"""Metrics by TensorFlow Serving's names, and a line of the log for each request."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from live_server import LiveServer, live_server, save_half_plus

from recsys_tf.serving.server.observing import write_json_line

from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc  # isort: skip


@pytest.fixture
def server(tmp_path: Path) -> Iterator[LiveServer]:
    save_half_plus(tmp_path / "m" / "1", 1.0)
    with live_server({"m": tmp_path / "m"}) as running:
        yield running


def metrics(server: LiveServer) -> dict[str, float]:
    answer = server.ask("GET", "/monitoring/prometheus/metrics")
    assert answer.status == 200
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    lines = [line for line in answer.body.decode().splitlines() if line and not line.startswith("#")]
    for line in lines:
        assert re.fullmatch(r'[a-zA-Z_:][a-zA-Z0-9_:]*(\{([a-zA-Z_]\w*="[^"]*",?)+\})? \S+', line)
    return {line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in lines}


def count(found: dict[str, float], model: str, status: str) -> float:
    return found.get(f':tensorflow:serving:request_count{{model_name="{model}",status="{status}"}}', 0.0)


def test_requests_are_counted_by_what_became_of_them(server: LiveServer) -> None:
    for _ in range(3):
        server.predict({"instances": [1.0]})
    server.predict({"instances": ["x"]})
    server.predict({"instances": [1.0]}, model="nobody")
    server.predict({"instances": [1.0]}, model="nobody2")
    server.ask("GET", "/v1/models/m")
    server.ask("GET", "/v1/models/m/metadata")
    found = metrics(server)
    assert count(found, "m", "OK") == 3
    assert count(found, "m", "INVALID_ARGUMENT") == 1
    # Names that clients invent do not grow the list.
    assert count(found, "", "NOT_FOUND") == 2
    assert not [name for name in found if "nobody" in name]


def test_latency_is_that_of_successes_in_microseconds(server: LiveServer) -> None:
    for _ in range(4):
        server.predict({"instances": [1.0]})
    server.predict({"instances": ["x"]})
    found = metrics(server)
    labels = 'API="Predict",entrypoint="REST",model_name="m"'
    name = ":tensorflow:serving:request_latency"
    assert found[f"{name}_count{{{labels}}}"] == 4
    assert 4 * 10 < found[f"{name}_sum{{{labels}}}"] < 4 * 10e6
    buckets = [value for key, value in found.items() if key.startswith(f"{name}_bucket")]
    assert buckets == sorted(buckets)
    assert buckets[-1] == 4


def test_grpc_is_counted_beside_rest(server: LiveServer) -> None:
    with grpc.insecure_channel(f"127.0.0.1:{server.grpc_port}") as channel:
        stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        for name in ("m", "none"):
            with pytest.raises(grpc.RpcError):
                stub.Predict(predict_pb2.PredictRequest(model_spec={"name": name}), timeout=20)
    found = metrics(server)
    assert count(found, "m", "INVALID_ARGUMENT") == 1
    assert count(found, "", "NOT_FOUND") == 1


def test_a_failure_that_nobody_foresaw_is_no_success(server: LiveServer, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*arguments: Any) -> Any:
        raise RuntimeError("the table is broken")

    monkeypatch.setattr(server.table, "lease", broken)
    with grpc.insecure_channel(f"127.0.0.1:{server.grpc_port}") as channel:
        stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        with pytest.raises(grpc.RpcError):
            stub.Predict(predict_pb2.PredictRequest(model_spec={"name": "m"}), timeout=20)
    answer = server.predict({"instances": [1.0]})
    assert (answer.status, answer.error()) == (500, "Internal error")
    found = metrics(server)
    assert count(found, "m", "INTERNAL") == 2
    assert count(found, "m", "OK") == 0


def test_a_line_for_each_request(server: LiveServer) -> None:
    server.predict({"instances": [1.0]})
    server.ask("POST", "/v1/models/m:classify", {"examples": []})
    first, second = server.logged
    assert 0 < first.pop("milliseconds") < 10_000
    assert first == {"entrypoint": "REST", "api": "predict", "model": "m", "status": "OK"}
    assert (second["api"], second["status"]) == ("classify", "INVALID_ARGUMENT")


def test_lines_are_json_with_a_time(capsys: pytest.CaptureFixture[str]) -> None:
    write_json_line({"event": 'é\n"'})
    [line] = capsys.readouterr().err.splitlines()
    content: dict[str, Any] = json.loads(line)
    assert content["event"] == 'é\n"'
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+00:00", content["time"])
