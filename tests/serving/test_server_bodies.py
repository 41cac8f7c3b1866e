"""Bodies of every kind over real sockets: packed, too long, in chunks, deeply nested, arbitrary; and a full queue."""

import base64
import gzip
import http.client
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from live_server import LiveServer, live_server, save_half_plus, save_kinds

LIMIT = 200_000


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    folder = save_kinds(tmp_path_factory.mktemp("models") / "1").parent
    with live_server({"m": folder}, max_body_bytes=LIMIT) as running:
        yield running


def test_gzip_bodies(server: LiveServer) -> None:
    headers, path = {"Content-Encoding": "gzip"}, "/v1/models/m:predict"
    packed = gzip.compress(b'{"instances": [1]}')
    assert server.ask("POST", path, packed, headers).json() == {"predictions": [2.5]}
    split = gzip.compress(b'{"instances"') + gzip.compress(b": [1]}")
    assert server.ask("POST", path, split, headers).json() == {"predictions": [2.5]}
    for broken in (packed[:-9], b"no gzip", packed[:12] + b"\xff\xff\xff" + packed[15:], packed + b"x"):
        assert server.ask("POST", path, broken, headers).status == 400
    bomb = gzip.compress(b" " * (LIMIT + 1))
    assert "longer than" in server.ask("POST", path, bomb, headers).error()
    fits = gzip.compress(b'{"instances": [1]}'.ljust(LIMIT))
    assert server.ask("POST", path, fits, headers).status == 200


def test_bodies_beyond_the_limit(server: LiveServer) -> None:
    assert server.predict(b'{"instances": [1]}'.ljust(LIMIT)).status == 200
    reply = server.predict(b" " * (LIMIT + 1))
    assert reply.status == 400 and "longer than" in reply.error()
    # A client that never stops sending is cut off, and the server lives on.
    endless = b"POST /v1/models/m:predict HTTP/1.1\r\nHost: h\r\nContent-Length: 900000000\r\n\r\n"
    assert b" 400 " in server.raw(endless + b" " * (2 * LIMIT + 1)).partition(b"\r\n")[0]
    assert server.predict({"instances": [1]}).status == 200


def test_strings_that_are_no_utf8_pass_through(server: LiveServer) -> None:
    reply = server.predict(b'{"signature_name": "string", "instances": ["a\xff\xc3"]}')
    assert (reply.status, b'["a\xff\xc3"' in reply.body) == (200, True)
    raw = base64.b64encode(b"\xff\x00").decode()
    assert b"\xff\\u0000" in server.predict({"instances": [{"b64": raw}]}, signature="string").body


def test_nesting_of_any_depth_under_an_ignored_key(server: LiveServer) -> None:
    deep = b'{"ignored": ' + b"[" * 50_000 + b"]" * 50_000 + b', "instances": [1]}'
    assert server.predict(deep).json() == {"predictions": [2.5]}
    assert server.predict(b'{"instances": ' + b"[" * 50_000 + b"]" * 50_000 + b"}").status == 400
    assert server.predict(b"[" * 50_000 + b"]" * 50_000).status == 400


def test_chunks_keep_alive_after_an_error_and_expect_continue(server: LiveServer) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
    statuses = []
    for path, body in [("m:predict", b"{"), ("m:nothing", b"{}"), ("m:predict", b'{"instances": [1]}')]:
        connection.request("POST", f"/v1/models/{path}", iter([body[:1], body[1:]]), encode_chunked=True)
        answer = connection.getresponse()
        statuses.append(answer.status)
        answer.read()
        kept = connection.sock
        assert kept is not None
    connection.close()
    assert statuses == [400, 400, 200]
    body = b'{"instances": [1]}'
    head = f"POST /v1/models/m:predict HTTP/1.1\r\nHost: h\r\nContent-Length: {len(body)}\r\n"
    received = server.raw(f"{head}Expect: 100-continue\r\nConnection: close\r\n\r\n".encode() + body)
    assert b" 200 " in received and received.rstrip().endswith(b"}")


def test_a_full_queue_is_answered_with_503(server: LiveServer, tmp_path: Path) -> None:
    save_half_plus(tmp_path / "1", 2.0)
    body = json.dumps({"instances": [1.0] * 100_000}).encode()
    statuses: list[int] = []
    with live_server({"m": tmp_path}, workers=1, queue=1) as small:

        def ask() -> None:
            statuses.extend(small.ask("POST", "/v1/models/m:predict", body).status for _ in range(4))

        threads = [threading.Thread(target=ask) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert small.predict({"instances": [1]}).status == 200
    assert set(statuses) == {200, 503}


fragments = st.sampled_from(
    [b"{", b"}", b"[", b"]", b",", b":", b'"instances"', b'"inputs"', b'"signature_name"', b'"x"', b"1", b"-", b"1e9",
     b"NaN", b"null", b"true", b'"b64"', b'"', b"\\", b"\\u", b"d800", b"\xff", b"\x00", b" ", b'"string"', b'"two"']
)  # fmt: skip


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(body=st.binary(max_size=200) | st.lists(fragments, max_size=30).map(b"".join), packed=st.booleans())
def test_arbitrary_bodies_never_break_the_server(server: LiveServer, body: bytes, packed: bool) -> None:
    reply = server.ask("POST", "/v1/models/m:predict", body, {"Content-Encoding": "gzip"} if packed else {})
    assert reply.status in (200, 400)


inputs = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3) | st.just({"b64": "YQ=="}),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["x", "a", "b", "s"]), inner, max_size=2)
    ),
    max_leaves=6,
)
names = st.sampled_from(["serving_default", "string", "int64", "two", "pair_bytes", "checked", "half", "scalar"])


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(name=names, key=st.sampled_from(["inputs", "instances"]), value=inputs)
def test_arbitrary_inputs_never_break_the_server(server: LiveServer, name: str, key: str, value: Any) -> None:
    reply = server.predict(json.dumps({"signature_name": name, key: value}).encode())
    assert reply.status in (200, 400) or (reply.status == 501 and name == "half")
