"""Whatever a client sends gets an answer in the contract's form: no traceback, no hang, and memory stays flat."""

import http.client
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from live_server import LiveServer, live_server, save_kinds
from server_process import server_process

LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.just({"b64": "YQ=="})
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(["x", "a", "b", "b64"]), inner),
    max_leaves=12,
)
SIGNATURES = [
    "serving_default",
    "double",
    "half",
    "bool",
    "string",
    "bytes",
    "int8",
    "int64",
    "uint64",
    "two",
    "nothing",
]
DOCUMENTS = st.fixed_dictionaries(
    {}, optional={"signature_name": st.sampled_from(SIGNATURES), "instances": VALUES, "inputs": VALUES, "other": VALUES}
)
# Text that begins as a request does, so that more than the parser is reached.
BROKEN = st.tuples(
    st.sampled_from([b"", b'{"instances": [', b'{"inputs": {"x": ', b"[[[[[["]), st.binary(max_size=200)
).map(b"".join)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    folder = tmp_path_factory.mktemp("fuzz") / "m"
    save_kinds(folder / "1")
    with live_server({"m": folder}) as running:
        yield running


def check(server: LiveServer, body: bytes, verb: str = "predict") -> None:
    answer = server.ask("POST", f"/v1/models/m:{verb}", body)
    assert answer.status in (200, 400, 501), answer.body
    if answer.status != 200:
        message = answer.error()
        assert message
        assert "Traceback" not in message and 'File "' not in message
    else:
        # What is answered is JSON that Python reads too, bare NaN included.
        assert answer.json()


def as_json(document: Any) -> bytes:
    return json.dumps(document).encode("utf-8")


few = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
many = settings(max_examples=5000, deadline=None, suppress_health_check=list(HealthCheck))


@given(document=DOCUMENTS)
@few
def test_any_document_has_an_answer(server: LiveServer, document: Any) -> None:
    check(server, as_json(document))


@given(body=BROKEN)
@few
def test_any_bytes_have_an_answer(server: LiveServer, body: bytes) -> None:
    check(server, body)


@given(value=VALUES)
@few
def test_any_examples_have_an_answer(server: LiveServer, value: Any) -> None:
    check(server, as_json({"examples": value, "context": value}), "classify")


@pytest.mark.slow
@given(document=DOCUMENTS)
@many
def test_thousands_of_documents_have_an_answer(server: LiveServer, document: Any) -> None:
    check(server, as_json(document))


@pytest.mark.slow
@given(body=BROKEN)
@many
def test_thousands_of_bodies_have_an_answer(server: LiveServer, body: bytes) -> None:
    check(server, body)


@pytest.mark.slow
def test_memory_is_flat_over_a_hundred_thousand_requests(tmp_path: Path) -> None:
    save_kinds(tmp_path / "m" / "1")
    bodies = [
        b'{"instances": [1.0, 2.5]}',
        b'{"instances": ["x"]}',
        b"{",
        b'{"signature_name": "string", "inputs": ["a"]}',
    ]
    sizes = []
    with server_process({"m": tmp_path / "m"}) as server:
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
        for number in range(100_000):
            connection.request("POST", "/v1/models/m:predict", bodies[number % len(bodies)])
            assert connection.getresponse().read()
            if number in (20_000, 99_999):
                sizes.append(server.resident_mib())
    assert sizes[1] - sizes[0] < 10, sizes
