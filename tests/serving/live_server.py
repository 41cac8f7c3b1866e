"""SavedModels made by plain TensorFlow, and a live server over them on a free port, for the tests beside this file."""

import http.client
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import recsys_tf  # noqa: F401 — decides which Keras TensorFlow brings
from recsys_tf.serving.model_config import ModelConfig
from recsys_tf.serving.server.application import RestApplication
from recsys_tf.serving.server.batching import Batcher
from recsys_tf.serving.server.batching_parameters import BatchingParameters
from recsys_tf.serving.server.bounds import Bounds
from recsys_tf.serving.server.grpc_services import grpc_server, listen
from recsys_tf.serving.server.listening import listening_socket
from recsys_tf.serving.server.main import rest_server
from recsys_tf.serving.server.model_table import ModelTable
from recsys_tf.serving.server.observing import Observer
from recsys_tf.serving.server.pages import ShopPages

import tensorflow as tf  # isort: skip


def spec(dtype: Any, name: str, shape: list[int | None] | None = None) -> Any:
    return tf.TensorSpec([None] if shape is None else shape, dtype, name)


def save_half_plus(folder: Path, plus: float) -> Path:
    """y = x / 2 + plus, with the constant in a variable."""
    module = tf.Module()
    module.plus = tf.Variable(plus)
    function = tf.function(lambda x: {"y": x * 0.5 + module.plus}, input_signature=[spec(tf.float32, "x")])
    tf.saved_model.save(module, str(folder), signatures=function)
    return folder


def save_kinds(folder: Path) -> Path:
    """One model with a signature for each kind of input and output that the contract speaks of."""

    def echo(dtype: Any, output: str = "y") -> Any:
        return tf.function(lambda x: {output: tf.identity(x)}, input_signature=[spec(dtype, "x")])

    def checked(x: Any) -> dict[str, Any]:
        with tf.control_dependencies([tf.debugging.assert_non_negative(x, "x is below zero")]):
            return {"y": tf.identity(x)}

    pair = [spec(tf.float32, "a"), spec(tf.int64, "b")]
    signatures = {
        "serving_default": tf.function(lambda x: {"y": x * 0.5 + 2.0}, input_signature=[spec(tf.float32, "x")]),
        "double": echo(tf.float64),
        "half": echo(tf.float16),
        "bool": echo(tf.bool),
        "string": echo(tf.string),
        "bytes": echo(tf.string, "y_bytes"),
        "float_bytes": echo(tf.float32, "y_bytes"),
        **{name: echo(getattr(tf, name)) for name in ("int8", "uint8", "int16", "int32", "int64", "uint32", "uint64")},
        "two": tf.function(lambda a, b: {"sum": a + tf.cast(b, tf.float32), "b": b}, input_signature=pair),
        "uneven": tf.function(lambda a, b: {"a": a, "b": b}, input_signature=pair),
        "scalar": tf.function(lambda x: {"y": tf.reduce_sum(x)}, input_signature=[spec(tf.float32, "x")]),
        "to_half": tf.function(lambda x: {"y": tf.cast(x, tf.float16)}, input_signature=[spec(tf.float32, "x")]),
        "pair_bytes": tf.function(
            lambda s: {"text": s, "raw_bytes": s, "matrix": tf.stack([s, s], 1)}, input_signature=[spec(tf.string, "s")]
        ),
        "checked": tf.function(checked, input_signature=[spec(tf.float32, "x")]),
        "nothing": tf.function(lambda: {"y": tf.constant([1.0])}, input_signature=[]),
        "no_rows": tf.function(
            lambda x: {"y": tf.zeros([tf.size(x), 0]), "z": x}, input_signature=[spec(tf.float32, "x")]
        ),
    }
    module = tf.Module()
    module.signatures_of_kinds = list(signatures.values())
    tf.saved_model.save(module, str(folder), signatures=signatures)
    return folder


@dataclass
class LiveServer:
    """Where a server listens, and the ways to ask it."""

    port: int
    grpc_port: int
    table: ModelTable
    announced: list[str]
    logged: list[dict[str, Any]]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def ask(self, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None) -> "Answer":
        """Send one request on a connection of its own; a body that is not bytes is written as JSON."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            raw = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
            connection.request(method, path, raw, dict(headers or {}))
            answer = connection.getresponse()
            return Answer(answer.status, answer.read(), dict(answer.getheaders()))
        finally:
            connection.close()

    def predict(self, body: Any, model: str = "m", signature: str | None = None) -> "Answer":
        if signature is not None:
            body = {"signature_name": signature, **body}
        return self.ask("POST", f"/v1/models/{model}:predict", body)

    def raw(self, request: bytes) -> bytes:
        """Send bytes as they are and read until the server closes or falls silent."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=20) as connection:
            connection.sendall(request)
            received = b""
            while chunk := connection.recv(65536):
                received += chunk
            return received


@dataclass
class Answer:
    """An answer's status, body and headers."""

    status: int
    body: bytes
    headers: dict[str, str]

    def json(self) -> Any:
        return json.loads(self.body.decode("utf-8", "surrogateescape"))

    def error(self) -> str:
        assert list(self.json()) == ["error"]
        return str(self.json()["error"])


@contextmanager
def live_server(
    models: Mapping[str, Path | ModelConfig],
    poll_seconds: float = 0.05,
    max_body_bytes: int = 1_000_000,
    batching: BatchingParameters | None = None,
    bounds: Bounds | None = None,
    demo: bool = False,
    **limits: Any,
) -> Iterator[LiveServer]:
    announced: list[str] = []
    configs = {name: one if isinstance(one, ModelConfig) else ModelConfig(one) for name, one in models.items()}
    batcher = Batcher(batching) if batching is not None else None
    table = ModelTable(configs, poll_seconds, announced.append, batcher, bounds)
    table.start()
    logged: list[dict[str, Any]] = []
    observer = Observer(table.names, logged.append)
    pages = ShopPages(table.names) if demo else None
    application = RestApplication(table, max_body_bytes, observer=observer, pages=pages, **limits)
    server, listener = rest_server(application), listening_socket("127.0.0.1", 0)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    calls = grpc_server(table, max_body_bytes, observer)
    grpc_port = listen(calls, "127.0.0.1", 0)
    calls.start()
    try:
        yield LiveServer(listener.getsockname()[1], grpc_port, table, announced, logged)
    finally:
        calls.stop(None).wait()
        server.should_exit = True
        thread.join()
        table.stop()
        application.close()
        listener.close()
        if batcher is not None:
            batcher.close()


def until(condition: Callable[[], bool], seconds: float = 20.0) -> None:
    """Wait for a condition; fail when it does not come."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.02)
