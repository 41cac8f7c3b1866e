"""What a server goes through: kills, stops and crowds, and versions that come and go under them."""

import http.client
import json
import shutil
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import grpc
import pytest

import recsys_tf  # noqa: F401 — decides which Keras TensorFlow brings

import tensorflow as tf  # isort: skip

from live_server import save_half_plus, until
from server_process import ServerProcess, crowd, server_process
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc
from test_server_limits import save_counting

ROWS = [0.0, 2.0, 4.0, 6.0]
BODY = json.dumps({"instances": ROWS}).encode()
# Enough to see that it goes on, for each of a crowd.
SOME = 5


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> dict[int, Path]:
    """SavedModels that answer x / 2 + version."""
    folder = tmp_path_factory.mktemp("saved")
    return {number: save_half_plus(folder / str(number), float(number)) for number in (1, 2)}


@pytest.fixture(scope="module")
def counting(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_counting(tmp_path_factory.mktemp("counting") / "1").parent


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory, saved: dict[int, Path]) -> Path:
    """A folder of models, one for each test that changes its versions."""
    folder = tmp_path_factory.mktemp("models")
    for name in ("deleted", "copied", "corrupt_graph", "corrupt_index", "corrupt_values"):
        publish(saved[1], folder / name / "1")
    publish(saved[2], folder / "deleted" / "2")
    return folder


@pytest.fixture(scope="module")
def server(models: Path, counting: Path) -> Iterator[ServerProcess]:
    folders = {folder.name: folder for folder in models.iterdir()}
    with server_process({**folders, "counting": counting}, grpc_port=0) as running:
        yield running
        assert "Traceback" not in running.complained()


def publish(source: Path, target: Path) -> None:
    target.parent.mkdir(exist_ok=True)
    temporary = target.parent / f".{target.name}.partial"
    shutil.copytree(source, temporary)
    temporary.rename(target)


def version_of(values: list[float]) -> float:
    """The one version that gave these values to ROWS."""
    [version] = {value - row / 2 for value, row in zip(values, ROWS, strict=True)}
    return version


def over_rest(server: ServerProcess, model: str = "m") -> Callable[[], float]:
    def ask() -> float:
        answer = server.predict(BODY, model=model)
        assert answer.status == 200, answer.body
        return version_of(answer.json()["predictions"])

    return ask


def over_grpc(server: ServerProcess, stack: ExitStack) -> Callable[[], float]:
    channel = stack.enter_context(grpc.insecure_channel(f"127.0.0.1:{server.grpc_port}"))
    stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
    request = predict_pb2.PredictRequest()
    request.model_spec.name = "m"
    request.inputs["x"].CopyFrom(tf.make_tensor_proto(ROWS, tf.float32))

    def ask() -> float:
        answer = stub.Predict(request, timeout=60)
        version = version_of(list(answer.outputs["y"].float_val))
        assert answer.model_spec.version.value == version
        return version

    return ask


def all_go_on(seen: list[list[Any]], wanted: Callable[[Any], bool] = lambda one: True) -> None:
    """Wait until everybody of a crowd has got some more answers of a kind."""
    before = [len(one) for one in seen]
    until(
        lambda: all(sum(map(wanted, one[start:])) >= SOME for one, start in zip(seen, before, strict=True)),
        60.0,
    )


def failures(server: ServerProcess) -> list[str]:
    return [line for line in server.said() if "could not be loaded" in line]


def count_request(number: int) -> bytes:
    body = json.dumps({"instances": [number]}).encode()
    head = f"POST /v1/models/counting:predict HTTP/1.1\r\nHost: h\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


def read_answer(connection: socket.socket) -> tuple[int, Any]:
    answer = http.client.HTTPResponse(connection)
    answer.begin()
    return answer.status, json.loads(answer.read())


def test_a_version_that_is_deleted_while_it_serves_gives_way_to_the_one_before(
    server: ServerProcess, models: Path
) -> None:
    with crowd(4, over_rest(server, "deleted")) as seen:
        all_go_on(seen, lambda version: version == 2.0)
        shutil.rmtree(models / "deleted" / "2")
        all_go_on(seen, lambda version: version == 1.0)
    assert {version for one in seen for version in one} == {1.0, 2.0}
    assert server.states("deleted") == {"2": "END", "1": "AVAILABLE"}


def test_a_version_that_arrives_file_by_file_serves_only_when_it_is_whole(
    server: ServerProcess, models: Path, saved: dict[int, Path]
) -> None:
    names = [str(path.relative_to(saved[2])) for path in saved[2].rglob("*") if path.is_file()]
    names.sort(key=lambda name: (name != "saved_model.pb", name))
    assert len(names) >= 3
    with crowd(2, over_rest(server, "copied")) as seen:
        for name in names:
            content, target = (saved[2] / name).read_bytes(), models / "copied" / "2" / name
            target.parent.mkdir(parents=True, exist_ok=True)
            for part in (content[: len(content) // 2], content):
                tried = len(failures(server))
                target.write_bytes(part)
                if (name, part) != (names[-1], content):
                    until(lambda tried=tried: len(failures(server)) > tried)  # type: ignore[misc]
                    assert server.states("copied") == {"2": "END", "1": "AVAILABLE"}
        all_go_on(seen, lambda version: version == 2.0)
    assert all(one == sorted(one) for one in seen)
    assert {version for one in seen for version in one} == {1.0, 2.0}


@pytest.mark.parametrize(
    ("model", "file"),
    [
        ("corrupt_graph", "saved_model.pb"),
        ("corrupt_index", "variables/variables.index"),
        ("corrupt_values", "variables/variables.data-00000-of-00001"),
    ],
)
def test_a_corrupt_version_leaves_the_old_one_and_says_why(
    server: ServerProcess, models: Path, saved: dict[int, Path], model: str, file: str
) -> None:
    shutil.copytree(saved[2], models / model / ".2")
    whole = (models / model / ".2" / file).read_bytes()
    (models / model / ".2" / file).write_bytes(bytes(255 - byte for byte in whole))
    with crowd(2, over_rest(server, model)) as seen:
        (models / model / ".2").rename(models / model / "2")
        until(lambda: server.states(model) == {"2": "END", "1": "AVAILABLE"})
        all_go_on(seen)
    [broken] = server.ask("GET", f"/v1/models/{model}/versions/2").json()["model_version_status"]
    assert broken["status"]["error_code"] != "OK" and broken["status"]["error_message"]
    assert {outcome for one in seen for outcome in one} == {1.0}


def test_far_more_clients_than_workers_fail_by_503_alone(server: ServerProcess) -> None:
    with ExitStack() as stack:
        clients = [stack.enter_context(server.connect()) for _ in range(320)]
        for client in clients:
            client.sendall(count_request(3_000))
        answers = [read_answer(client) for client in clients]
    assert {status for status, _ in answers} == {200, 503}
    assert {content["error"] for status, content in answers if status == 503} == {
        "The server is overloaded: 256 requests are waiting"
    }
    assert all(content == {"predictions": [3_000]} for status, content in answers if status == 200)


def test_far_more_calls_than_workers_fail_by_resource_exhausted_alone(server: ServerProcess) -> None:
    request = predict_pb2.PredictRequest()
    request.model_spec.name = "counting"
    request.inputs["x"].CopyFrom(tf.make_tensor_proto([3_000], tf.int32))
    with grpc.insecure_channel(f"127.0.0.1:{server.grpc_port}") as channel:
        stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        calls = [stub.Predict.future(request, timeout=120) for _ in range(320)]
        codes = {call.code() for call in calls}
        refused = [call for call in calls if call.code() != grpc.StatusCode.OK]
    assert codes == {grpc.StatusCode.OK, grpc.StatusCode.RESOURCE_EXHAUSTED}
    assert all(call.details() for call in refused)


@pytest.mark.slow
@pytest.mark.parametrize("batching", [False, True])
@pytest.mark.parametrize("protocol", ["rest", "grpc"])
def test_a_swap_under_sixteen_clients_mixes_and_loses_nothing(
    tmp_path: Path, saved: dict[int, Path], protocol: str, batching: bool
) -> None:
    publish(saved[1], tmp_path / "m" / "1")
    options = ["--enable-batching"] if batching else []
    with server_process({"m": tmp_path / "m"}, *options, grpc_port=0) as server, ExitStack() as stack:
        ask = over_rest(server) if protocol == "rest" else over_grpc(server, stack)
        with crowd(16, ask) as seen:
            all_go_on(seen, lambda version: version == 1.0)
            publish(saved[2], tmp_path / "m" / "2")
            all_go_on(seen, lambda version: version == 2.0)
        assert "Traceback" not in server.complained()
    assert {version for one in seen for version in one} == {1.0, 2.0}
    # Who has seen the new one does not meet the old one again.
    assert all(one == sorted(one) for one in seen)


@pytest.mark.slow
def test_a_killed_server_gives_no_wrong_answer_and_starts_again_on_its_ports(
    tmp_path: Path, saved: dict[int, Path]
) -> None:
    publish(saved[1], tmp_path / "m" / "1")
    with ExitStack() as stack:
        first = stack.enter_context(server_process({"m": tmp_path / "m"}, grpc_port=0))
        seen = stack.enter_context(crowd(6, over_rest(first)))
        all_go_on(seen)
        assert first.stop(signal.SIGKILL) == -signal.SIGKILL
        all_go_on(seen, lambda one: isinstance(one, Exception))
        ports = {"rest_port": first.port, "grpc_port": first.grpc_port}
        second = stack.enter_context(server_process({"m": tmp_path / "m"}, **ports))
        assert (second.port, second.grpc_port) == (first.port, first.grpc_port)
        all_go_on(seen, lambda one: one == 1.0)
    outcomes = [outcome for one in seen for outcome in one]
    assert {outcome for outcome in outcomes if not isinstance(outcome, Exception)} == {1.0}
    broken = [outcome for outcome in outcomes if isinstance(outcome, Exception)]
    assert all(isinstance(error, ConnectionError | http.client.HTTPException) for error in broken), broken


@pytest.mark.slow
@pytest.mark.parametrize("batching", [False, True])
def test_a_stop_under_load_answers_what_it_has_accepted(
    tmp_path: Path, saved: dict[int, Path], counting: Path, batching: bool
) -> None:
    publish(saved[1], tmp_path / "m" / "1")
    options = ["--json-logs", *(["--enable-batching"] if batching else [])]
    with server_process({"m": tmp_path / "m", "counting": counting}, *options) as server, ExitStack() as stack:
        slow = [stack.enter_context(server.connect()) for _ in range(4)]
        with crowd(6, over_rest(server)) as seen:
            all_go_on(seen)
            for client in slow:
                client.sendall(count_request(100_000))
            # Whoever comes later is answered: so these have been accepted.
            assert server.ask("GET", "/v1/models/m").status == 200
            assert server.stop() == 0
        assert [read_answer(client) for client in slow] == [(200, {"predictions": [100_000]})] * len(slow)
        assert server.said()[-1] == "stopped"
        logged = [json.loads(line) for line in server.complained().splitlines() if line.startswith("{")]
        assert "Traceback" not in server.complained()
    outcomes = [outcome for one in seen for outcome in one]
    answered = [outcome for outcome in outcomes if outcome == 1.0]
    assert len(answered) + len(slow) == len([line for line in logged if line.get("status") == "OK"])
    assert all(isinstance(one, ConnectionError | http.client.HTTPException) for one in outcomes if one != 1.0), outcomes


@pytest.mark.slow
def test_slow_clients_do_not_keep_a_server_from_stopping(tmp_path: Path, saved: dict[int, Path]) -> None:
    publish(saved[1], tmp_path / "m" / "1")
    head = b"POST /v1/models/m:predict HTTP/1.1\r\nHost: h\r\n"
    large = json.dumps({"instances": [0.123456] * 10_000}).encode()
    # What ends them is the stop, not their own time-outs.
    options = ["--request-timeout-seconds", "600"]
    with server_process({"m": tmp_path / "m"}, *options, grpc_port=0) as server, ExitStack() as stack:
        silent, half_head, half_body, deaf = (stack.enter_context(server.connect()) for _ in range(4))
        half_head.sendall(head[:30])
        half_body.sendall(head + b"Content-Length: 100\r\n\r\n{")
        deaf.settimeout(2)
        with pytest.raises(TimeoutError):
            while True:
                deaf.sendall(head + b"Content-Length: %d\r\n\r\n" % len(large) + large)
        assert over_rest(server)() == 1.0
        # Ten seconds of grace and time to end; without a limit on slow clients it never does.
        assert server.stop(seconds=40) == 0
        assert server.said()[-1] == "stopped"
        assert "Traceback" not in server.complained()
        assert silent.recv(1) == b""


@pytest.mark.slow
def test_a_stop_does_not_wait_for_all_that_is_queued(counting: Path) -> None:
    with server_process({"counting": counting}, "--request-timeout-seconds", "300") as server, ExitStack() as stack:
        for _ in range(250):
            stack.enter_context(server.connect()).sendall(count_request(500_000))
        assert server.ask("GET", "/v1/models/counting").status == 200
        assert server.stop(seconds=50) == 0
        assert server.said()[-1] == "stopped"
        assert "Traceback" not in server.complained()
