"""The gRPC interface over a real socket, through the stubs of tensorflow-serving-api."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
from live_server import LiveServer, live_server, save_half_plus, save_kinds
from test_server_examples import save_examples

import recsys_tf  # noqa: F401 — decides which Keras TensorFlow brings

import tensorflow as tf  # isort: skip
from google.protobuf import text_format  # isort: skip
from tensorflow.core.framework import tensor_pb2  # isort: skip
from tensorflow_serving.apis import (  # isort: skip
    classification_pb2,
    get_model_metadata_pb2,
    get_model_status_pb2,
    inference_pb2,
    model_management_pb2,
    model_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
    regression_pb2,
)

CLASSIFY, REGRESS = "tensorflow/serving/classify", "tensorflow/serving/regress"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    folder = tmp_path_factory.mktemp("grpc")
    save_kinds(folder / "m" / "3")
    save_examples(folder / "examples" / "1")
    with live_server({"m": folder / "m", "examples": folder / "examples"}, max_body_bytes=64_000_000) as running:
        yield running


def connected(server: LiveServer) -> Any:
    options = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
    return grpc.insecure_channel(f"127.0.0.1:{server.grpc_port}", options)


@pytest.fixture(scope="module")
def prediction(server: LiveServer) -> Iterator[Any]:
    with connected(server) as channel:
        yield prediction_service_pb2_grpc.PredictionServiceStub(channel)


@pytest.fixture
def models(server: LiveServer) -> Iterator[Any]:
    with connected(server) as channel:
        yield model_service_pb2_grpc.ModelServiceStub(channel)


def spec(name: str = "m", signature: str = "", version: int | None = None, label: str | None = None) -> Any:
    message = model_pb2.ModelSpec(name=name, signature_name=signature)
    if version is not None:
        message.version.value = version
    if label is not None:
        message.version_label = label
    return message


def predict(asked: Any, *, only: tuple[str, ...] = (), **inputs: Any) -> Any:
    request = predict_pb2.PredictRequest(model_spec=asked, output_filter=only)
    for name, value in inputs.items():
        proto = value if isinstance(value, tensor_pb2.TensorProto) else tf.make_tensor_proto(value)
        request.inputs[name].CopyFrom(proto)
    return request


def refused(call: Any, request: Any) -> tuple[str, str]:
    with pytest.raises(grpc.RpcError) as error:
        call(request, timeout=20)
    return error.value.code().name, error.value.details()


def floats(*values: float) -> Any:
    return np.array(values, np.float32)


def test_predict_answers_in_typed_fields(prediction: Any) -> None:
    answer = prediction.Predict(predict(spec(), x=floats(1, 2, 5)), timeout=20)
    assert list(answer.outputs) == ["y"]
    found = answer.outputs["y"]
    assert list(found.float_val) == [2.5, 3.0, 4.5]
    assert not found.tensor_content
    assert [one.size for one in found.tensor_shape.dim] == [3]
    assert answer.model_spec == spec(signature="serving_default", version=3)


@pytest.mark.parametrize(
    ("signature", "dtype", "field"),
    [
        ("double", np.float64, "double_val"),
        ("half", np.float16, "half_val"),
        ("bool", np.bool_, "bool_val"),
        ("string", np.object_, "string_val"),
        *((name, getattr(np, name), "int_val") for name in ("int8", "uint8", "int16", "int32")),
        ("int64", np.int64, "int64_val"),
        ("uint32", np.uint32, "uint32_val"),
        ("uint64", np.uint64, "uint64_val"),
    ],
)
def test_every_type_comes_back_as_it_went(prediction: Any, signature: str, dtype: Any, field: str) -> None:
    given = np.array([b"a", b"\xff\x00", b""] if dtype is np.object_ else [[0, 1], [1, 100]], dtype)
    for proto in (tf.make_tensor_proto(given), in_fields(given, field)):
        found = prediction.Predict(predict(spec(signature=signature), x=proto), timeout=20).outputs["y"]
        assert tf.make_ndarray(found).tolist() == given.tolist()
        assert len(getattr(found, field)) == given.size
        assert found.dtype == proto.dtype


def in_fields(array: Any, field: str) -> Any:
    proto = tf.make_tensor_proto(array)
    proto.ClearField("tensor_content")
    proto.ClearField(field)
    values = array.view(np.uint16) if field == "half_val" else array
    getattr(proto, field).extend(values.ravel().tolist())
    return proto


def test_a_short_list_of_values_repeats_its_last(prediction: Any) -> None:
    for values, expected in (([1.0, 4.0], [2.5, 4.0, 4.0, 4.0]), ([], [2.0] * 4)):
        proto = tensor_pb2.TensorProto(dtype=1, float_val=values)
        proto.tensor_shape.dim.add(size=4)
        answer = prediction.Predict(predict(spec(), x=proto), timeout=20)
        assert list(answer.outputs["y"].float_val) == expected
    text = tensor_pb2.TensorProto(dtype=7)
    text.tensor_shape.dim.add(size=2)
    answer = prediction.Predict(predict(spec(signature="string"), x=text), timeout=20)
    assert list(answer.outputs["y"].string_val) == [b"", b""]


def test_outputs_are_chosen(prediction: Any) -> None:
    pair = {"a": floats(1, 2), "b": np.array([3, 4], np.int64)}
    everything = prediction.Predict(predict(spec(signature="two"), **pair), timeout=20)
    assert set(everything.outputs) == {"sum", "b"}
    some = prediction.Predict(predict(spec(signature="two"), only=("sum",), **pair), timeout=20)
    assert list(some.outputs) == ["sum"]
    for names, word in ((("none",), "not found in signature"), (("sum", "sum"), "duplicate")):
        code, message = refused(prediction.Predict, predict(spec(signature="two"), only=names, **pair))
        assert code == "INVALID_ARGUMENT"
        assert word in message


def test_a_signature_without_inputs_works(prediction: Any) -> None:
    answer = prediction.Predict(predict(spec(signature="nothing")), timeout=20)
    assert list(answer.outputs["y"].float_val) == [1.0]


def test_messages_over_four_megabytes_work(prediction: Any) -> None:
    many = np.ones(3_000_000, np.float32)
    answer = prediction.Predict(predict(spec(), x=many), timeout=60)
    assert len(answer.outputs["y"].float_val) == many.size


def broken(**fields: Any) -> Any:
    proto = tensor_pb2.TensorProto(dtype=fields.pop("dtype", 1), **fields)
    proto.tensor_shape.dim.add(size=3)
    return proto


@pytest.mark.parametrize(
    ("request_", "code", "word"),
    [
        (predict(spec(""), x=floats(1)), "INVALID_ARGUMENT", "ModelSpec"),
        (predict_pb2.PredictRequest(), "INVALID_ARGUMENT", "ModelSpec"),
        (predict(spec("none"), x=floats(1)), "NOT_FOUND", "Latest(none)"),
        (predict(spec(version=9), x=floats(1)), "NOT_FOUND", "Specific(m, 9)"),
        (predict(spec(label="x"), x=floats(1)), "INVALID_ARGUMENT", "Unrecognized servable version label: x"),
        (predict(spec(signature="none"), x=floats(1)), "FAILED_PRECONDITION", '"none" not found'),
        (predict(spec()), "INVALID_ARGUMENT", "missing {x}"),
        (predict(spec(), x=floats(1), z=floats(1)), "INVALID_ARGUMENT", "not in the signature {z}"),
        (predict(spec(), x=np.array([1, 2])), "INVALID_ARGUMENT", "expects type"),
        (predict(spec(signature="checked"), x=floats(-1)), "INVALID_ARGUMENT", "x is below zero"),
        (predict(spec(), x=broken(tensor_content=b"1234567")), "INVALID_ARGUMENT", "invalid contents"),
        (predict(spec(), x=broken(float_val=[1.0] * 5)), "INVALID_ARGUMENT", "invalid contents"),
        (predict(spec(signature="string"), x=broken(dtype=7, tensor_content=b"abc")), "INVALID_ARGUMENT", "string_val"),
    ],
)
def test_predictions_that_cannot_be_made(prediction: Any, request_: Any, code: str, word: str) -> None:
    found, message = refused(prediction.Predict, request_)
    assert found == code
    assert word in message


def test_a_tensor_must_say_its_shape(prediction: Any) -> None:
    unknown = tensor_pb2.TensorProto(dtype=1, float_val=[1.0])
    unknown.tensor_shape.unknown_rank = True
    negative = tensor_pb2.TensorProto(dtype=1, float_val=[1.0])
    negative.tensor_shape.dim.add(size=-1)
    for proto in (unknown, negative):
        assert refused(prediction.Predict, predict(spec(), x=proto))[0] == "INVALID_ARGUMENT"


def test_a_message_over_the_limit_is_refused(server: LiveServer) -> None:
    with connected(server) as channel:
        stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        many = np.ones(17_000_000, np.float32)
        assert refused(stub.Predict, predict(spec(), x=many))[0] == "RESOURCE_EXHAUSTED"


def given(request: Any, *examples: dict[str, Any], context: dict[str, Any] | None = None) -> Any:
    """Fill a request's input with examples of float and text features."""
    held = request.input.example_list if context is None else request.input.example_list_with_context
    targets = [held.examples.add() for _ in examples]
    if context is not None:
        targets.append(held.context)
    for target, features in zip(targets, [*examples, context or {}], strict=False):
        for name, value in features.items():
            feature = target.features.feature[name]
            (feature.float_list if isinstance(value, float) else feature.bytes_list).value.append(value)
    return request


def test_classes_and_numbers(prediction: Any) -> None:
    asked = given(classification_pb2.ClassificationRequest(model_spec=spec("examples")), {"x": 1.5, "s": b"a"}, {})
    answer = prediction.Classify(asked, timeout=20)
    pairs = [[(one.label, one.score) for one in row.classes] for row in answer.result.classifications]
    assert pairs[0] == [("a", 1.5), ("a!", -0.5)]
    assert [label for label, _ in pairs[1]] == ["", "!"]
    assert answer.model_spec == spec("examples", "serving_default", 1)
    asked = given(regression_pb2.RegressionRequest(model_spec=spec("examples", "regress")), {"x": 3.0}, {"x": 6.0})
    answer = prediction.Regress(asked, timeout=20)
    assert [one.value for one in answer.result.regressions] == [1.0, 2.0]


def test_the_context_is_in_every_example(prediction: Any) -> None:
    request = classification_pb2.ClassificationRequest(model_spec=spec("examples"))
    answer = prediction.Classify(given(request, {}, {"s": b"own"}, context={"s": b"shared"}), timeout=20)
    assert [row.classes[0].label for row in answer.result.classifications] == ["shared", "own"]


def test_examples_that_cannot_be_answered(prediction: Any) -> None:
    nothing = classification_pb2.ClassificationRequest(model_spec=spec("examples"))
    assert refused(prediction.Classify, nothing) == ("INVALID_ARGUMENT", "Input is empty")
    for name in ("none", "numbers", "regress"):
        request = given(classification_pb2.ClassificationRequest(model_spec=spec("examples", name)), {"x": 1.0})
        assert refused(prediction.Classify, request)[0] == "INVALID_ARGUMENT"
    nameless = given(regression_pb2.RegressionRequest(), {"x": 1.0})
    assert refused(prediction.Regress, nameless)[0] == "INVALID_ARGUMENT"


def tasks(*pairs: tuple[Any, str]) -> Any:
    return inference_pb2.MultiInferenceRequest(
        tasks=[inference_pb2.InferenceTask(model_spec=asked, method_name=method) for asked, method in pairs]
    )


def test_several_signatures_answer_the_same_examples(prediction: Any) -> None:
    request = given(
        tasks((spec("examples", "regress"), REGRESS), (spec("examples", "scores"), CLASSIFY)), {"x": 3.0}, {"x": 6.0}
    )
    answer = prediction.MultiInference(request, timeout=20)
    first, second = answer.results
    assert [one.value for one in first.regression_result.regressions] == [1.0, 2.0]
    assert [row.classes[0].score for row in second.classification_result.classifications] == [3.0, 6.0]
    assert second.model_spec == spec("examples", "scores", 1)


def test_tasks_that_do_not_go_together(prediction: Any) -> None:
    regress, scores = (spec("examples", "regress"), REGRESS), (spec("examples", "scores"), CLASSIFY)
    for pairs, code, word in (
        ((), "INVALID_ARGUMENT", "at least one"),
        ((regress, (spec("m", "scores"), CLASSIFY)), "INVALID_ARGUMENT", "same model"),
        ((scores, scores), "INVALID_ARGUMENT", "Duplicate evaluation of signature: scores"),
        ((regress, (spec("examples", "x"), "tensorflow/serving/predict")), "UNIMPLEMENTED", "serving/predict"),
    ):
        found, message = refused(prediction.MultiInference, given(tasks(*pairs), {"x": 1.0}))
        assert found == code
        assert word in message


def test_metadata(prediction: Any) -> None:
    request = get_model_metadata_pb2.GetModelMetadataRequest(model_spec=spec(), metadata_field=["signature_def"])
    answer = prediction.GetModelMetadata(request, timeout=20)
    assert answer.model_spec == spec(version=3)
    found = get_model_metadata_pb2.SignatureDefMap()
    assert answer.metadata["signature_def"].Unpack(found)
    assert set(found.signature_def["two"].inputs) == {"a", "b"}
    # What is asked for is checked before whom it is asked of.
    for fields, word in ((["x"], "x is not supported"), ([], "at least one")):
        request = get_model_metadata_pb2.GetModelMetadataRequest(model_spec=spec("none"), metadata_field=fields)
        code, message = refused(prediction.GetModelMetadata, request)
        assert code == "INVALID_ARGUMENT"
        assert word in message
    request = get_model_metadata_pb2.GetModelMetadataRequest(model_spec=spec("none"), metadata_field=["signature_def"])
    assert refused(prediction.GetModelMetadata, request)[0] == "NOT_FOUND"


def test_status(models: Any) -> None:
    request = get_model_status_pb2.GetModelStatusRequest(model_spec=spec())
    [version] = models.GetModelStatus(request, timeout=20).model_version_status
    assert (version.version, version.state, version.status.error_code) == (3, 30, 0)
    for asked, code in ((spec("none"), "NOT_FOUND"), (spec(version=8), "NOT_FOUND"), (spec(""), "INVALID_ARGUMENT")):
        request = get_model_status_pb2.GetModelStatusRequest(model_spec=asked)
        assert refused(models.GetModelStatus, request)[0] == code


CONFIG = """
model_config_list {{ config {{
  name: "n" base_path: "{0}" model_version_policy {{ all {{}} }} version_labels {{ key: "stable" value: {1} }}
}} }}
"""


def test_another_configuration(tmp_path: Path) -> None:
    first = save_half_plus(tmp_path / "m" / "1", 1.0)
    shutil.copytree(first, tmp_path / "m" / "2")
    with live_server({"m": tmp_path / "m"}) as server, connected(server) as channel:
        stub = model_service_pb2_grpc.ModelServiceStub(channel)
        prediction = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        empty = model_management_pb2.ReloadConfigRequest()
        assert refused(stub.HandleReloadConfigRequest, empty)[0] == "INVALID_ARGUMENT"
        assert prediction.Predict(predict(spec("m"), x=floats(0)), timeout=20).model_spec.version.value == 2

        def configure(version: int) -> Any:
            request = model_management_pb2.ReloadConfigRequest()
            text_format.Parse(CONFIG.format(tmp_path / "m", version), request.config)
            return request

        answer = stub.HandleReloadConfigRequest(configure(1), timeout=20)
        assert answer.status.error_code == 0
        labelled = predict(spec("n", label="stable"), x=floats(0))
        assert prediction.Predict(labelled, timeout=20).model_spec.version.value == 1
        assert refused(prediction.Predict, predict(spec("m"), x=floats(0)))[0] == "NOT_FOUND"
        code, message = refused(stub.HandleReloadConfigRequest, configure(7))
        assert code == "FAILED_PRECONDITION"
        assert "version 7" in message
        assert prediction.Predict(labelled, timeout=20).model_spec.version.value == 1
        stub.HandleReloadConfigRequest(configure(2), timeout=20)
        assert prediction.Predict(labelled, timeout=20).model_spec.version.value == 2
