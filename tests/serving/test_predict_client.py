"""The REST client, against the local server and against servers that misbehave."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from live_server import LiveServer, live_server, save_half_plus, save_kinds

from recsys_tf.errors import InputError
from recsys_tf.serving.client import PredictClient
from recsys_tf.serving.grpc_client import GrpcPredictClient
from recsys_tf.serving.model_config import ModelConfig, Wanted


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    folder = tmp_path_factory.mktemp("models")
    save_kinds(folder / "1")
    with live_server({"my model": folder}) as running:
        yield running


@pytest.fixture
def client(server: LiveServer) -> PredictClient:
    return PredictClient(server.url)


def test_predict(client: PredictClient) -> None:
    assert client.predict("my model", {"x": [1, 2]}) == {"outputs": [2.5, 3.0]}
    both = client.predict("my model", {"a": [1.0], "b": [2]}, signature_name="two", version=1)
    assert both == {"sum": [3.0], "b": [2]}
    assert client.predict("my model", {"x": [b"a"]}, signature_name="string") == {"outputs": ["a"]}
    assert client.predict("my model", {"x": b"a"}, signature_name="bytes") == {"outputs": {"b64": "YQ=="}}


@pytest.mark.parametrize("way", ["REST", "gRPC"])
def test_a_label_is_asked_as_a_version_is(tmp_path: Path, way: str) -> None:
    for number in (1, 2):
        save_half_plus(tmp_path / "m" / str(number), float(number))
    config = ModelConfig(tmp_path / "m", Wanted(specific=(1, 2)), {"to be": 1, "canary": 2})
    with live_server({"m": config}) as server:
        client = PredictClient(server.url) if way == "REST" else GrpcPredictClient(f"127.0.0.1:{server.grpc_port}")
        found = [client.predict("m", {"x": [0.0]}, version=version) for version in ("to be", "canary", 1, None)]
        assert [next(iter(one.values())) for one in found] == [[1.0], [2.0], [1.0], [2.0]]
        with pytest.raises(InputError, match="Unrecognized servable version label: nobody"):
            client.predict("m", {"x": [0.0]}, version="nobody")
        if isinstance(client, GrpcPredictClient):
            client.close()


def test_status_and_metadata(client: PredictClient) -> None:
    assert client.status("my model")["model_version_status"][0]["state"] == "AVAILABLE"
    assert client.metadata("my model", version=1)["model_spec"]["version"] == "1"


@pytest.mark.parametrize(
    ("model", "inputs", "version", "message"),
    [
        ("other", [1], None, r"HTTP 404: Servable not found for request: Latest\(other\)"),
        ("my model", [1], 2, r"HTTP 404: Servable not found for request: Specific\(my model, 2\)"),
        ("my model", ["x"], None, "HTTP 400: .*not of expected type: float"),
        ("my model", {"x": {1, 2}}, None, "cannot be written as JSON"),
    ],
)
def test_the_servers_message_is_the_error(
    client: PredictClient, model: str, inputs: object, version: int | None, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        client.predict(model, inputs, version=version)


@pytest.mark.parametrize("url", ["", "localhost:1", "ftp://host", "http://", "http://host:port"])
def test_addresses_that_are_none(url: str) -> None:
    with pytest.raises(InputError, match="is not an address"):
        PredictClient(url)


@contextmanager
def scripted(*answers: bytes | None) -> Iterator[tuple[PredictClient, Callable[[], int]]]:
    """A server that answers each connection with the next bytes, None by hanging up at once."""
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(10)
    served: list[int] = []

    def run() -> None:
        for answer in answers:
            connection, _ = listener.accept()
            with connection:
                connection.settimeout(10)
                # To its end: closing a connection with unread bytes resets it.
                request = b""
                while not request.endswith(b"}"):
                    request += connection.recv(65536)
                served.append(1)
                if answer is not None:
                    connection.sendall(answer)

    thread = threading.Thread(target=run)
    thread.start()
    url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
    try:
        yield PredictClient(url, timeout_seconds=5.0, retry_wait_seconds=0.01), lambda: len(served)
    finally:
        thread.join()
        listener.close()


def reply(status: int, body: bytes) -> bytes:
    return f"HTTP/1.1 {status} X\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode() + body


GOOD = reply(200, b'{"outputs": [1.0]}')
BUSY = reply(503, b'{"error": "busy"}')


@pytest.mark.parametrize("bad", [None, BUSY])
def test_lost_connections_and_overload_are_tried_again(bad: bytes | None) -> None:
    with scripted(bad, bad, GOOD) as (client, served):
        assert client.predict("m", [1]) == {"outputs": [1.0]}
    assert served() == 3


def test_patience_ends() -> None:
    with scripted(BUSY, BUSY, BUSY) as (client, served), pytest.raises(InputError, match="HTTP 503: busy"):
        client.predict("m", [1])
    with scripted(None, None, None) as (client, served), pytest.raises(InputError):
        client.predict("m", [1])
    assert served() == 3


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (reply(500, b'{"error": "boom"}'), "HTTP 500: boom"),
        (reply(404, b"Not Found"), "HTTP 404, and no JSON"),
        (reply(200, b"[1]"), "HTTP 200, and no JSON object"),
        (reply(200, b'{"outputs": [1')[:-5], "."),
        (b"nonsense\r\n\r\n", "."),
    ],
)
def test_other_faults_are_told_at_once(answer: bytes, message: str) -> None:
    with scripted(answer) as (client, served), pytest.raises(InputError, match=message):
        client.predict("m", [1])
    assert served() == 1


def test_a_silent_server_and_none_at_all() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        with pytest.raises(InputError, match=r"no answer within 0\.1 s"):
            PredictClient(url, timeout_seconds=0.1).predict("m", [1])
    with pytest.raises(InputError, match="refused"):
        PredictClient(url, retry_wait_seconds=0.01).predict("m", [1])
