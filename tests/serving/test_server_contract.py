"""The contract of TensorFlow Serving's REST interface, row by row, over real sockets."""

from collections.abc import Iterator
from typing import Any

import pytest
from live_server import LiveServer, live_server, save_half_plus, save_kinds


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    folder = tmp_path_factory.mktemp("models")
    save_kinds(folder / "m" / "0001")
    save_half_plus(folder / "odd" / "7", 3.0)
    with live_server({"m": folder / "m", "odd name%": folder / "odd"}) as running:
        yield running


@pytest.mark.parametrize(
    ("signature", "request_body", "answer"),
    [
        (None, {"instances": [1.0, 2.0, 5.0]}, {"predictions": [2.5, 3.0, 4.5]}),
        (None, {"inputs": [1, 2, 5]}, {"outputs": [2.5, 3.0, 4.5]}),
        (None, {"inputs": {"x": [1], "ignored": "y"}}, {"outputs": [2.5]}),
        (None, {"instances": [{"x": 1}], "ignored": {}}, {"predictions": [2.5]}),
        (None, {"inputs": []}, {"outputs": []}),
        (None, {"inputs": 1}, {"outputs": 2.5}),
        ("string", {"inputs": []}, {"outputs": []}),
        ("bool", {"inputs": []}, {"outputs": []}),
        # The signature says [None]; the graph takes any shape, and so does the contract.
        (None, {"instances": [[0, 2], [4, 6]]}, {"predictions": [[2.0, 3.0], [4.0, 5.0]]}),
        ("", {"instances": [0]}, {"predictions": [2.0]}),
        ("int64", {"instances": [2**53 + 1]}, {"predictions": [2**53 + 1]}),
        ("uint64", {"instances": [2**64 - 1]}, {"predictions": [2**64 - 1]}),
        ("int8", {"instances": [300]}, {"predictions": [44]}),
        ("bool", {"instances": [True, False]}, {"predictions": [True, False]}),
        ("double", {"instances": [0.1, 1]}, {"predictions": [0.1, 1.0]}),
        ("string", {"instances": ["ä", {"b64": "YQ"}]}, {"predictions": ["ä", "a"]}),
        ("bytes", {"instances": ["a"]}, {"predictions": [{"b64": "YQ=="}]}),
        ("bytes", {"inputs": "a"}, {"outputs": {"b64": "YQ=="}}),
        ("float_bytes", {"instances": [1]}, {"predictions": [1.0]}),
        ("two", {"instances": [{"a": 1, "b": 2}]}, {"predictions": [{"b": 2, "sum": 3.0}]}),
        ("two", {"inputs": {"a": [1, 2], "b": [2]}}, {"outputs": {"b": [2], "sum": [3.0, 4.0]}}),
        ("uneven", {"inputs": {"a": [1, 2], "b": [2]}}, {"outputs": {"a": [1.0, 2.0], "b": [2]}}),
        ("scalar", {"inputs": [1, 2]}, {"outputs": 3.0}),
        (
            "pair_bytes",
            {"instances": [{"s": "a"}]},
            {"predictions": [{"matrix": ["a", "a"], "raw_bytes": {"b64": "YQ=="}, "text": "a"}]},
        ),
        ("no_rows", {"instances": [1, 2]}, {"predictions": [{"y": [], "z": 1.0}, {"y": [], "z": 2.0}]}),
        ("checked", {"instances": [1]}, {"predictions": [1.0]}),
    ],
)
def test_predict(server: LiveServer, signature: str | None, request_body: Any, answer: Any) -> None:
    reply = server.predict(request_body, signature=signature)
    assert (reply.status, reply.json()) == (200, answer)
    assert reply.headers["content-type"] == "application/json"


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "JSON Parse error: The document is empty"),
        (b"{", "JSON Parse error: "),
        (b'{"instances": [1e400]}', "JSON Parse error: "),
        ([1], "Is not object"),
        ({"signature_name": 1}, "'signature_name' key must be a string"),
        ({"signature_name": None}, "'signature_name' key must be a string"),
        ({"signature_name": "x"}, 'Serving signature name: "x" not found in signature def'),
        ({"signature_name": "nothing", "inputs": {}}, "input map"),
        ({"signature_name": "__saved_model_init_op", "inputs": {}}, "input map"),
        ({}, "Missing 'inputs' or 'instances' key"),
        ({"inputs": [1], "instances": [1]}, "expecting only one of 'inputs' or 'instances' keys to exist"),
        ({"instances": 1}, "list"),
        ({"instances": None}, "list"),
        ({"instances": []}, "No values in 'instances' array"),
        ({"instances": ["1"]}, "is not of expected type: float"),
        ({"instances": [[1], [2, 3]]}, "element: 1"),
        ({"instances": [{"x": 1}, 2]}, "1"),
        ({"instances": [2, {"x": 1}]}, "1"),
        ({"instances": [{"x": 1}, {"y": 1}]}, "1 "),
        ({"instances": [{"x": 1, "y": 1}]}, "keys must be equal to: x"),
        ({"inputs": {"y": [1]}}, "Missing named input: x"),
        ({"signature_name": "two", "instances": [1]}, "multiple input tensors required"),
        ({"signature_name": "two", "inputs": [1]}, "multiple input tensors required"),
        ({"signature_name": "two", "inputs": {"a": [1]}}, "Missing named input: b"),
        ({"signature_name": "int32", "instances": [1.0]}, "is not of expected type: int32"),
        ({"signature_name": "string", "instances": [{"b64": "_"}]}, "base64"),
        ({"signature_name": "half", "instances": [1]}, "half"),
        ({"signature_name": "to_half", "instances": [1]}, "half"),
        ({"signature_name": "scalar", "instances": [1]}, "y"),
        ({"signature_name": "uneven", "inputs": {"a": [1, 2], "b": 2, "c": 1}, "instances": [1]}, "only one of"),
        ({"signature_name": "checked", "instances": [-1]}, "x is below zero"),
        # [2] + [3] fails in the op, not at the door.
        ({"signature_name": "two", "inputs": {"a": [1, 2], "b": [1, 2, 3]}}, ""),
    ],
)
def test_refusals(server: LiveServer, body: Any, message: str) -> None:
    reply = server.predict(body)
    assert reply.status == 400
    assert message in reply.error()


def test_half_in_column_form_is_unimplemented(server: LiveServer) -> None:
    assert server.predict({"inputs": [1]}, signature="half").status == 501


def test_the_order_of_checks(server: LiveServer) -> None:
    # Bad JSON is seen before the unknown model, the model before the missing keys, the label before the signature.
    assert server.predict(b"{", model="unknown").status == 400
    assert server.predict([], model="unknown").status == 400
    assert server.predict({"signature_name": 1}, model="unknown").status == 400
    assert server.predict({}, model="unknown").status == 404
    reply = server.ask("POST", "/v1/models/m/labels/stable:predict", {"signature_name": "x"})
    assert (reply.status, reply.error()) == (400, "Unrecognized servable version label: stable")
    assert server.ask("POST", "/v1/models/m/labels/stable:predict", b"{").error().startswith("JSON Parse error")


def test_unknown_models_and_versions(server: LiveServer) -> None:
    reply = server.predict({"instances": [1]}, model="unknown")
    assert (reply.status, reply.error()) == (404, "Servable not found for request: Latest(unknown)")
    reply = server.ask("POST", "/v1/models/m/versions/7:predict", {"instances": [1]})
    assert (reply.status, reply.error()) == (404, "Servable not found for request: Specific(m, 7)")
    reply = server.ask("GET", "/v1/models/unknown")
    assert (reply.status, reply.error()) == (404, "Could not find any versions of model unknown")
    reply = server.ask("GET", "/v1/models/m/versions/7")
    assert (reply.status, reply.error()) == (404, "Could not find version 7 of model m")
    assert server.ask("GET", "/v1/models/unknown/metadata").status == 404


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("POST", "/v1/models/m:predict", 200),
        ("POST", "/V1/Models/m:predict", 200),
        ("POST", "/v1/models/m/versions/1:predict", 200),
        ("POST", "/v1/models/m/versions/0001:predict", 200),
        ("POST", "/v1/models/m/VERSIONS/1:predict", 200),
        ("POST", "/v1/models/%6d:predict", 200),
        ("POST", "/v1/models/odd%20name%25:predict", 200),
        ("GET", "/v1/models/odd%20name%25", 200),
        ("GET", "/v1/models/m/versions/1", 200),
        ("GET", "/v1/models/m/labels/any", 200),
        ("GET", "/v1/models/m/metadata", 200),
        ("GET", "/v1/models/m/versions/1/metadata", 200),
        ("GET", "/v1/models/m/versions/99999999999999999999", 400),
        ("POST", "/v1/models/m/versions/99999999999999999999:predict", 400),
        ("GET", "/v1/models/m/labels/any/metadata", 400),
        ("GET", "/v1/models/m?x=1", 404),
        ("GET", "/v1/models", 400),
    ],
)
def test_paths(server: LiveServer, method: str, path: str, status: int) -> None:
    assert server.ask(method, path, {"instances": [1]} if method == "POST" else None).status == status


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/foo"),
        ("GET", "/v1/"),
        ("GET", "/v1/models/"),
        ("GET", "/v1/models/m/"),
        ("GET", "/v1/models/m:predict"),
        ("GET", "/v1/models/m/versions/x"),
        ("GET", "/v1/models/m/versions/-1"),
        ("GET", "/v1/models/m/versions/1/labels/a"),
        ("GET", "/v1/models/m/METADATA/"),
        ("POST", "/v1/models"),
        ("POST", "/v1/models/m/metadata"),
        ("POST", "/v1/models/m"),
        ("POST", "/v1/models/m:PREDICT"),
        ("POST", "/v1/models/m:predict/"),
        ("POST", "/v1/models/m:predict?x=1"),
        ("POST", "/v1/models/m:explain"),
        ("POST", "/v1/models/m/versions/1/labels/a:predict"),
        ("PUT", "/v1/models/m:predict"),
        ("DELETE", "/v1/models/m"),
        ("OPTIONS", "/v1/models/m:predict"),
    ],
)
def test_malformed_requests(server: LiveServer, method: str, path: str) -> None:
    reply = server.ask(method, path, b"{}" if method in ("POST", "PUT") else None)
    assert (reply.status, reply.error()) == (400, f"Malformed request: {method} {path}")


def test_outside_the_interface(server: LiveServer) -> None:
    reply = server.ask("GET", "/metrics")
    assert reply.status == 404
    with pytest.raises(ValueError, match="Expecting value"):
        reply.json()
    assert server.ask("HEAD", "/v1/models/m").status == 400


def test_options_with_an_origin(server: LiveServer) -> None:
    reply = server.ask("OPTIONS", "/v1/models/m:predict", headers={"Origin": "https://shop.example"})
    assert (reply.status, reply.body) == (200, b"")
    assert not [name for name in reply.headers if name.lower().startswith("access-control")]
    assert server.ask("OPTIONS", "/v1/models/m:predict", headers={"Origin": "null"}).status == 400


def test_status_and_metadata(server: LiveServer) -> None:
    assert server.ask("GET", "/v1/models/m").json() == {
        "model_version_status": [
            {"version": "1", "state": "AVAILABLE", "status": {"error_code": "OK", "error_message": ""}}
        ]
    }
    answer = server.ask("GET", "/v1/models/m/metadata").json()
    assert answer["model_spec"] == {"name": "m", "signature_name": "", "version": "1"}
    signatures = answer["metadata"]["signature_def"]["signature_def"]
    assert "__saved_model_init_op" in signatures
    string = signatures["string"]
    assert (string["method_name"], string["defaults"]) == ("tensorflow/serving/predict", {})
    assert string["inputs"]["x"] == {
        "dtype": "DT_STRING",
        "tensor_shape": {"dim": [{"size": "-1", "name": ""}], "unknown_rank": False},
        "name": string["inputs"]["x"]["name"],
    }
