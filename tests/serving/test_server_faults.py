"""Clients that are slow, silent, deaf, greedy or mad: they harm nobody else, and cost no more than is allowed."""

import gzip
import json
import random
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress

import pytest
from live_server import save_half_plus
from server_process import ServerProcess, server_process

BODY_LIMIT = 4_000_000
HUNDRED_MB = 100_000_000
BODY = b'{"instances": [1.0]}'
HEAD = b"POST /v1/models/m:predict HTTP/1.1\r\nHost: h\r\n"
REQUEST = HEAD + b"Content-Length: %d\r\n\r\n" % len(BODY) + BODY
MANY_SECONDS = 60.0


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    folder = save_half_plus(tmp_path_factory.mktemp("m") / "1", 2.0).parent
    options = ["--max-body-bytes", str(BODY_LIMIT), "--request-timeout-seconds", "3"]
    with server_process({"m": folder}, *options) as server:
        yield server


@pytest.fixture
def server(running: ServerProcess) -> Iterator[ServerProcess]:
    """The server, which must answer everybody else at the end, and have written no traceback."""
    yield running
    assert_answers(running)
    assert "Traceback" not in running.complained() + "\n".join(running.said())


def assert_answers(server: ServerProcess) -> None:
    answer = server.predict(BODY)
    assert (answer.status, answer.json()) == (200, {"predictions": [2.5]})


def everything(connection: socket.socket) -> bytes:
    """Read until the server closes; a TimeoutError where it never does."""
    received = b""
    with suppress(ConnectionError):
        while chunk := connection.recv(65536):
            received += chunk
    return received


def error_in(received: bytes, status: int) -> str:
    head, _, body = received.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 %d " % status), head
    [(key, message)] = json.loads(body).items()
    assert key == "error"
    return str(message)


@contextmanager
def memory_watched(server: ServerProcess) -> Iterator[list[float]]:
    """Yield a list that holds, afterwards, how many MiB the server's memory rose at most."""
    before, most, over = server.resident_mib(), [0.0], threading.Event()

    def watch() -> None:
        while not over.wait(0.01):
            most[0] = max(most[0], server.resident_mib() - before)

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield most
    finally:
        over.set()
        thread.join()


def test_silent_clients_are_let_go_and_delay_nobody(server: ServerProcess) -> None:
    with ExitStack() as stack:
        nothing, half_head, half_body = (stack.enter_context(server.connect()) for _ in range(3))
        half_head.sendall(HEAD[:30])
        half_body.sendall(HEAD + b"Content-Length: 100\r\n\r\n{")
        assert_answers(server)
        assert everything(nothing) == everything(half_head) == b""
        assert error_in(everything(half_body), 504) == "The request did not arrive within 3 s"


def test_a_half_head_on_a_connection_that_was_used_is_let_go_too(server: ServerProcess) -> None:
    with server.connect() as connection:
        connection.sendall(REQUEST)
        assert connection.recv(65536).startswith(b"HTTP/1.1 200 ")
        connection.sendall(HEAD)
        assert everything(connection).count(b"HTTP/1.1") == 0


def test_a_request_that_comes_byte_by_byte_is_answered(server: ServerProcess) -> None:
    with server.connect() as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for position in range(len(REQUEST)):
            connection.sendall(REQUEST[position : position + 1])
        assert connection.recv(65536).startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize("start", [HEAD + b"X: ", HEAD + b"Content-Length: 10000\r\n\r\n"], ids=["head", "body"])
def test_what_keeps_dribbling_in_is_cut_off(server: ServerProcess, start: bytes) -> None:
    deadline = time.monotonic() + MANY_SECONDS
    with server.connect() as connection:
        connection.sendall(start)
        connection.settimeout(0.1)
        received: bytes | None = None
        while received is None:
            assert time.monotonic() < deadline, "it is never cut off"
            try:
                received = connection.recv(65536)
            except TimeoutError:
                connection.sendall(b"x")
            except ConnectionError:
                received = b""
    # Of what comes before the end of the connection only the beginning is sure to arrive: we were still sending.
    assert received == b"" or received.startswith(b"HTTP/1.1 504 ")


def test_answers_that_nobody_reads_are_given_up(server: ServerProcess) -> None:
    body = json.dumps({"instances": [0.123456] * 10_000}).encode()
    request = HEAD + b"Content-Length: %d\r\n\r\n" % len(body) + body
    with server.connect() as connection, pytest.raises(ConnectionError):
        # Blocks once the server waits for its answers to be read; a TimeoutError where it waits for ever.
        while True:
            connection.sendall(request)


@pytest.mark.parametrize("length", ["declared", "chunked"])
def test_a_body_of_a_hundred_megabytes_costs_no_more_than_the_limit(server: ServerProcess, length: str) -> None:
    part = b" " * 1_000_000
    how = b"Content-Length: %d" % HUNDRED_MB if length == "declared" else b"Transfer-Encoding: chunked"
    with memory_watched(server) as rise, server.connect() as connection:
        with suppress(ConnectionError):
            connection.sendall(HEAD + how + b"\r\n\r\n")
            for _ in range(100):
                connection.sendall(part if length == "declared" else b"%x\r\n%b\r\n" % (len(part), part))
        received = everything(connection)
    assert received == b"" or "longer than" in error_in(received, 400)
    # The limit, a copy or two of it, and what the allocator keeps.
    assert rise[0] < 30


def test_a_gzip_bomb_costs_no_more_than_the_limit(server: ServerProcess) -> None:
    bomb = gzip.compress(b" " * HUNDRED_MB)
    with memory_watched(server) as rise:
        answer = server.predict(bomb, {"Content-Encoding": "gzip"})
    assert (answer.status, "longer than" in answer.error()) == (400, True)
    assert rise[0] < 30


def test_very_many_gzip_members_do_not_take_the_square_of_their_number(server: ServerProcess) -> None:
    member = gzip.compress(b"")
    answer = server.predict(member * (BODY_LIMIT // len(member)), {"Content-Encoding": "gzip"})
    # The square would be a minute, and a 504.
    assert (answer.status, "document is empty" in answer.error()) == (400, True)


@pytest.mark.parametrize("packed", [False, True])
def test_an_empty_body_is_an_error_of_the_contract(server: ServerProcess, packed: bool) -> None:
    body, headers = (gzip.compress(b""), {"Content-Encoding": "gzip"}) if packed else (b"", {})
    answer = server.predict(body, headers)
    assert (answer.status, answer.error()) == (400, "JSON Parse error: The document is empty")


@pytest.mark.parametrize(
    ("opened", "closed", "status"),
    [
        (b'{"instances": ' + b"[" * 100_000, b"]" * 100_000 + b"}", 400),
        (b'{"instances": ' + b'{"x": ' * 100_000 + b"1", b"}" * 100_000 + b"}", 400),
        (b'{"instances": ' + b"[" * 100_000, b"", 400),
        (b'{"ignored": ' + b'[{"a": ' * 50_000 + b"1", b"}]" * 50_000 + b', "instances": [1.0]}', 200),
    ],
    ids=["lists", "objects", "unclosed", "ignored"],
)
def test_json_a_hundred_thousand_levels_deep(server: ServerProcess, opened: bytes, closed: bytes, status: int) -> None:
    answer = server.predict(opened + closed)
    assert answer.status == status, answer.body[:200]


def test_random_bytes_on_the_socket(server: ServerProcess) -> None:
    chance = random.Random(5)
    starts = [
        b"",
        b"POST ",
        HEAD,
        HEAD + b"Content-Length: 40\r\n\r\n",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\n",
        HEAD + b"Content-Encoding: gzip\r\nContent-Length: 40\r\n\r\n",
        HEAD + b"Upgrade: websocket\r\nConnection: upgrade\r\n\r\n",
        REQUEST,
    ]
    for number in range(200):
        with server.connect() as connection:
            with suppress(ConnectionError):
                connection.sendall(starts[number % len(starts)] + chance.randbytes(chance.randrange(1, 200)))
                connection.shutdown(socket.SHUT_WR)
            received = everything(connection)
        assert received == b"" or received.startswith((b"HTTP/1.1 400 ", b"HTTP/1.1 200 ")), received
