"""Classify and regress over REST: examples in JSON, and the forms of the answers."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from live_server import LiveServer, live_server, spec

import recsys_tf  # noqa: F401 — decides which Keras TensorFlow brings

import tensorflow as tf  # isort: skip


def save_examples(folder: Path) -> Path:
    """A classifier and a regressor over tf.Examples with a float feature x and any number of texts s."""

    def parsed(inputs: Any) -> tuple[Any, Any]:
        features = {"x": tf.io.FixedLenFeature([], tf.float32, -1.0), "s": tf.io.RaggedFeature(tf.string)}
        found = tf.io.parse_example(inputs, features)
        return found["x"], found["s"]

    def both(inputs: Any) -> dict[str, Any]:
        x, s = parsed(inputs)
        texts = tf.strings.reduce_join(s, axis=1, separator="+")
        return {"classes": tf.stack([texts, tf.strings.join([texts, "!"])], 1), "scores": tf.stack([x, -x / 3], 1)}

    given = [spec(tf.string, "inputs")]
    signatures = {
        "serving_default": tf.function(both, input_signature=given),
        "classes": tf.function(lambda inputs: {"classes": both(inputs)["classes"]}, input_signature=given),
        "scores": tf.function(lambda inputs: {"scores": both(inputs)["scores"]}, input_signature=given),
        "flat": tf.function(lambda inputs: {"scores": parsed(inputs)[0]}, input_signature=given),
        "regress": tf.function(lambda inputs: {"outputs": parsed(inputs)[0] / 3}, input_signature=given),
        "regress_column": tf.function(lambda inputs: {"outputs": parsed(inputs)[0][:, None]}, input_signature=given),
        "doubles": tf.function(
            lambda inputs: {"outputs": tf.cast(parsed(inputs)[0], tf.float64)}, input_signature=given
        ),
        "ints": tf.function(
            lambda inputs: {
                "outputs": tf.cast(
                    tf.io.parse_example(inputs, {"i": tf.io.FixedLenFeature([2], tf.int64)})["i"][:, 1], tf.float32
                )
            },
            input_signature=given,
        ),
        "numbers": tf.function(lambda x: {"outputs": x}, input_signature=[spec(tf.float32, "x")]),
    }
    module = tf.Module()
    module.kept = list(signatures.values())
    tf.saved_model.save(module, str(folder), signatures=signatures)
    return folder


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    folder = tmp_path_factory.mktemp("examples") / "m"
    save_examples(folder / "1")
    with live_server({"m": folder}) as running:
        yield running


def ask(server: LiveServer, verb: str, examples: Any, **more: Any) -> Any:
    return server.ask("POST", f"/v1/models/m:{verb}", {"examples": examples, **more})


def test_labels_and_scores(server: LiveServer) -> None:
    answer = ask(server, "classify", [{"x": 1.5, "s": ["a", {"b64": "Yg=="}]}, {"s": "é"}])
    assert answer.json() == {"results": [[["a+b", 1.5], ["a+b!", -0.5]], [["é", -1.0], ["é!", 0.333333343]]]}
    assert answer.body.startswith(b'{\n    "results": [[["a+b", 1.5], ["a+b!", -0.5]], [["\xc3\xa9", -1.0]')
    assert answer.headers["content-type"] == "application/json"


def test_what_a_signature_has_not_is_empty(server: LiveServer) -> None:
    scores = ask(server, "classify", [{"x": 1.5}], signature_name="scores")
    assert scores.json() == {"results": [[["", 1.5], ["", -0.5]]]}
    classes = ask(server, "classify", [{"s": "a"}], signature_name="classes")
    assert classes.json() == {"results": [[["a", 0.0], ["a!", 0.0]]]}


def test_one_number_for_each_example(server: LiveServer) -> None:
    answer = ask(server, "regress", [{"x": 3.0}, {"x": 7.5}], signature_name="regress")
    assert answer.body == b'{\n    "results": [1.0, 2.5\n    ]\n}'
    assert ask(server, "regress", [{"x": 3.0}], signature_name="regress_column").json() == {"results": [3.0]}


def test_the_context_is_in_every_example(server: LiveServer) -> None:
    answer = ask(server, "classify", [{"x": 1.5}, {"s": ["own"], "x": 3.0}], context={"s": ["shared"]})
    assert [row[0][0] for row in answer.json()["results"]] == ["shared", "own"]


def test_integers_and_booleans_are_int64(server: LiveServer) -> None:
    for pair in ([5, 7], [True, False], [2**62, 1]):
        answer = ask(server, "regress", [{"i": pair}], signature_name="ints")
        assert answer.json() == {"results": [float(pair[1])]}
    # An integer for a float feature is not coerced: the graph refuses it.
    assert ask(server, "regress", [{"x": 80}], signature_name="regress").status == 400


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({}, "'examples'"),
        ({"examples": {}}, "to be a list"),
        ({"examples": []}, "empty list"),
        ({"examples": [1]}, "to be an object"),
        ({"examples": [{"x": None}]}, "no value of a feature"),
        ({"examples": [{"x": [[1.0]]}]}, "no value of a feature"),
        ({"examples": [{"x": {"a": 1}}]}, "no value of a feature"),
        ({"examples": [{"x": [1, 2.0]}]}, "more than one kind"),
        ({"examples": [{"x": [1, "a"]}]}, "more than one kind"),
        ({"examples": [{"x": 2**63}]}, "beyond int64"),
        ({"examples": [{"x": {"b64": "!"}}]}, "base64"),
        ({"examples": [{"x": 1.0}], "context": 3}, "context"),
        ({"examples": [{"x": 1.0}], "signature_name": 3}, "string"),
        ({"examples": [{"x": 1.0}], "signature_name": "none"}, "not found in signature def"),
        ({"examples": [{"x": 1.0}], "signature_name": "numbers"}, "to take examples"),
        ({"examples": [{"x": 1.0}], "signature_name": "regress"}, "at least one of classes, scores"),
        ({"examples": [{"x": 1.0}], "signature_name": "flat"}, "of shape"),
    ],
)
def test_requests_to_classify_that_cannot_be_answered(server: LiveServer, body: Any, message: str) -> None:
    answer = server.ask("POST", "/v1/models/m:classify", body)
    assert answer.status == 400
    assert message in answer.error()


def test_signatures_that_are_no_regressor(server: LiveServer) -> None:
    for name, message in (("scores", "to contain outputs"), ("doubles", "DT_FLOAT"), ("serving_default", "outputs")):
        answer = ask(server, "regress", [{"x": 1.0}], signature_name=name)
        assert answer.status == 400
        assert message in answer.error()


def test_the_body_is_read_before_the_model_is_looked_up(server: LiveServer) -> None:
    assert server.ask("POST", "/v1/models/none:classify", {"examples": [{"x": None}]}).status == 400
    assert server.ask("POST", "/v1/models/none:classify", {"examples": [{"x": 1.0}]}).status == 404
