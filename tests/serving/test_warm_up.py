"""Warm-up requests are replayed before a version is available, and a bad one keeps it from becoming so."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from live_server import live_server, save_half_plus, spec, until
from test_server_examples import save_examples

import recsys_tf  # noqa: F401 — decides which Keras TensorFlow brings
from recsys_tf.serving.server.errors import Code, ServingError
from recsys_tf.serving.server.loaded_model import load_model
from recsys_tf.serving.server.warm_up import WARM_UP, warm_up

import tensorflow as tf  # isort: skip
from tensorflow_serving.apis.prediction_log_pb2 import PredictionLog  # isort: skip


def predict_log(signature: str = "", **inputs: Any) -> PredictionLog:
    log = PredictionLog()
    log.predict_log.request.model_spec.signature_name = signature
    for name, value in inputs.items():
        log.predict_log.request.inputs[name].CopyFrom(tf.make_tensor_proto(value))
    return log


def write(version: Path, *records: PredictionLog | bytes) -> Path:
    path = version / WARM_UP
    path.parent.mkdir(exist_ok=True)
    with tf.io.TFRecordWriter(str(path)) as writer:
        for record in records:
            writer.write(record if isinstance(record, bytes) else record.SerializeToString())
    return path


@pytest.fixture
def counting(tmp_path: Path) -> Path:
    """A model that adds what it is fed to a variable, and answers with the sum so far."""
    module = tf.Module()
    module.total = tf.Variable(0.0)

    def add(x: Any) -> dict[str, Any]:
        module.total.assign_add(tf.reduce_sum(x))
        return {"y": module.total + 0.0 * x}

    function = tf.function(add, input_signature=[spec(tf.float32, "x")])
    tf.saved_model.save(module, str(tmp_path / "m" / "1"), signatures=function)
    return tmp_path / "m"


FIVE = np.array([5.0], np.float32)


def test_records_are_replayed_before_the_first_client(counting: Path) -> None:
    write(counting / "1", predict_log(x=FIVE), predict_log("serving_default", x=np.array([1, 2], np.float32)))
    with live_server({"m": counting}) as server:
        assert server.announced == ["m version 1 is AVAILABLE (2 warm-up requests)"]
        assert server.predict({"instances": [0.5]}).json() == {"predictions": [8.5]}


def test_without_records_nothing_is_replayed(counting: Path) -> None:
    with live_server({"m": counting}) as server:
        assert server.announced == ["m version 1 is AVAILABLE"]
        assert server.predict({"instances": [0.5]}).json() == {"predictions": [0.5]}


def test_examples_are_replayed(tmp_path: Path) -> None:
    save_examples(tmp_path / "1")
    classified, regressed = PredictionLog(), PredictionLog()
    classified.classify_log.request.input.example_list.examples.add()
    regressed.regress_log.request.input.example_list.examples.add()
    regressed.regress_log.request.model_spec.signature_name = "regress"
    write(tmp_path / "1", classified, regressed)
    assert warm_up(load_model(tmp_path / "1"), tmp_path / "1") == 2


def other_signature(version: Path) -> None:
    write(version, predict_log(x=FIVE), predict_log("none", x=FIVE))


def other_type(version: Path) -> None:
    write(version, predict_log(x=np.array([1], np.int64)))


def no_proto(version: Path) -> None:
    write(version, b"\xff\xff\xff")


def no_log(version: Path) -> None:
    write(version, PredictionLog())


def cut_short(version: Path) -> None:
    path = write(version, predict_log(x=FIVE), predict_log(x=FIVE))
    path.write_bytes(path.read_bytes()[:-3])


def too_many(version: Path) -> None:
    write(version, *[predict_log(x=FIVE)] * 1001)


@pytest.mark.parametrize(
    ("spoil", "code", "words"),
    [
        (other_signature, Code.FAILED_PRECONDITION, 'record 2: Serving signature key "none"'),
        (other_type, Code.INVALID_ARGUMENT, "record 1: input x"),
        (no_proto, Code.DATA_LOSS, "record"),
        (no_log, Code.UNIMPLEMENTED, "Unsupported log_type"),
        (cut_short, Code.DATA_LOSS, "record 2 cannot be read"),
        (too_many, Code.INVALID_ARGUMENT, "exceeds the maximum"),
    ],
)
def test_a_record_that_cannot_be_answered_fails_the_load(
    counting: Path, spoil: Callable[[Path], None], code: Code, words: str
) -> None:
    spoil(counting / "1")
    with pytest.raises(ServingError, match=words) as failed:
        warm_up(load_model(counting / "1"), counting / "1")
    assert failed.value.code == code


def test_the_old_version_keeps_serving(tmp_path: Path) -> None:
    save_half_plus(tmp_path / "m" / "1", 1.0)
    with live_server({"m": tmp_path / "m"}) as server:
        save_half_plus(tmp_path / ".2", 2.0)
        write(tmp_path / ".2", predict_log("none"))
        (tmp_path / ".2").rename(tmp_path / "m" / "2")

        def states() -> dict[str, str]:
            found = server.ask("GET", "/v1/models/m").json()["model_version_status"]
            return {one["version"]: one["state"] for one in found}

        until(lambda: states() == {"2": "END", "1": "AVAILABLE"})
        assert server.predict({"instances": [0]}).json() == {"predictions": [1.0]}
        status = server.ask("GET", "/v1/models/m/versions/2").json()["model_version_status"][0]["status"]
        assert status["error_code"] == "FAILED_PRECONDITION"
        assert "warm-up record 1" in status["error_message"]
