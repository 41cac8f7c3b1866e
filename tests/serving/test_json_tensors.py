"""JSON values → tensors → JSON text."""

import json
import math
from typing import Any, get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

import recsys_tf  # noqa: F401 — decides which Keras TensorFlow brings
from recsys_tf.serving.server.errors import Code, ServingError
from recsys_tf.serving.server.json_to_tensors import Form, tensor_from_json, tensors_from_json
from recsys_tf.serving.server.tensors_to_json import json_from_tensors

from tensorflow.core.framework import types_pb2  # isort: skip

FLOAT, DOUBLE, STRING, BOOL = types_pb2.DT_FLOAT, types_pb2.DT_DOUBLE, types_pb2.DT_STRING, types_pb2.DT_BOOL


def kind(name: str) -> int:
    return int(types_pb2.DataType.Value(f"DT_{name.upper()}"))


def refusal(value: Any, dtype: int) -> ServingError:
    with pytest.raises(ServingError) as caught:
        tensor_from_json(value, dtype)
    return caught.value


@pytest.mark.parametrize(
    ("value", "dtype", "expected"),
    [
        (3, FLOAT, np.float32(3)),
        ([1, 2.5], FLOAT, np.array([1, 2.5], np.float32)),
        ([1e39, -1e39], FLOAT, np.array([math.inf, -math.inf], np.float32)),
        ([[1], [2]], DOUBLE, np.array([[1.0], [2.0]])),
        ([], FLOAT, np.zeros(0, np.float32)),
        ([[], []], FLOAT, np.zeros((2, 0), np.float32)),
        ([2**53 + 1, -(2**63)], kind("int64"), np.array([2**53 + 1, -(2**63)], np.int64)),
        ([2**64 - 1], kind("uint64"), np.array([2**64 - 1], np.uint64)),
        ([300, -129], kind("int8"), np.array([44, 127], np.int8)),
        ([-1], kind("uint8"), np.array([255], np.uint8)),
        ([65_537], kind("int16"), np.array([1], np.int16)),
        ([True, False], BOOL, np.array([True, False])),
        (["ä", {"b64": "/+8="}], STRING, np.array(["ä".encode(), b"\xff\xef"], object)),
        ({"b64": "YQ"}, STRING, np.array(b"a", object)),
    ],
)
def test_values(value: Any, dtype: int, expected: Any) -> None:
    array = tensor_from_json(value, dtype)
    assert array.dtype == expected.dtype and array.shape == expected.shape
    np.testing.assert_array_equal(array, expected)


@pytest.mark.parametrize("name", ["int8", "int16", "int32", "int64", "uint8", "uint32", "uint64"])
@pytest.mark.parametrize("value", [1.0, 1e2, math.nan, True, "1", None, 2**64, -(2**63) - 1, {"b64": "YQ=="}])
def test_what_is_no_integer_is_refused(name: str, value: Any) -> None:
    error = refusal([value], kind(name))
    assert error.code == Code.INVALID_ARGUMENT
    assert error.message.endswith(f"is not of expected type: {name}")


@pytest.mark.parametrize(
    ("name", "value"), [("int32", 2**31), ("uint32", -1), ("uint32", 2**32), ("int8", 2**31), ("uint64", -1)]
)
def test_integers_out_of_range_are_refused(name: str, value: int) -> None:
    assert refusal([0, value], kind(name)).code == Code.INVALID_ARGUMENT


@pytest.mark.parametrize(
    ("value", "dtype"),
    [
        ("1", FLOAT),
        (True, FLOAT),
        (None, FLOAT),
        ({"b64": "YQ=="}, FLOAT),
        (1, BOOL),
        (1, STRING),
        (None, STRING),
        ({"b64": 1}, STRING),
        ({"b64": "YQ==", "c": 1}, STRING),
        ({"b64": "_-8="}, STRING),
        ({"b64": "Y"}, STRING),
        ({"b64": "YQ="}, STRING),
        ([[1], 2], FLOAT),
        ([1, [2]], FLOAT),
        ([[1], [2, 3]], FLOAT),
        ([[1], None], FLOAT),
    ],
)
def test_wrong_types_ragged_lists_and_bad_base64_are_refused(value: Any, dtype: int) -> None:
    assert refusal(value, dtype).code == Code.INVALID_ARGUMENT


def test_half_is_unimplemented_in_column_form_and_invalid_in_row_form() -> None:
    half = {"x": types_pb2.DT_HALF}
    with pytest.raises(ServingError) as column:
        tensors_from_json({"inputs": [1.0]}, half)
    with pytest.raises(ServingError) as row:
        tensors_from_json({"instances": [1.0]}, half)
    assert (column.value.code, row.value.code) == (Code.UNIMPLEMENTED, Code.INVALID_ARGUMENT)


def test_a_refusal_in_row_form_names_the_instance() -> None:
    with pytest.raises(ServingError, match="element: 2"):
        tensors_from_json({"instances": [1.0, 2.0, "x"]}, {"x": FLOAT})
    with pytest.raises(ServingError, match=r"element: 1 .*keys must be equal to: a,b"):
        tensors_from_json({"instances": [{"a": 1, "b": 1}, {"a": 1, "c": 1}]}, {"a": FLOAT, "b": FLOAT})


shapes = arrays.array_shapes(min_dims=1, max_dims=3, min_side=0, max_side=3)


@given(arrays.arrays(np.float32, shapes) | arrays.arrays(np.float64, shapes))
def test_floats_come_back_exactly(array: Any) -> None:
    dtype = FLOAT if array.dtype == np.float32 else DOUBLE
    for form, key in zip(get_args(Form), ("predictions", "outputs"), strict=True):
        answer = json.loads(json_from_tensors(form, {"y": array}))[key]
        np.testing.assert_array_equal(tensor_from_json(answer, dtype).ravel(), array.ravel())


@given(arrays.arrays(np.int64, shapes), arrays.arrays(np.bool_, shapes))
def test_row_form_and_column_form_say_the_same(first: Any, second: Any) -> None:
    for array in (first, second):
        rows = json.loads(json_from_tensors("row", {"y": array}))["predictions"]
        assert rows == array.tolist() == json.loads(json_from_tensors("column", {"y": array}))["outputs"]
        named = json.loads(json_from_tensors("row", {"y": array, "z": array}))["predictions"]
        assert named == [{"y": row, "z": row} for row in array.tolist()]


@given(st.lists(st.binary()))
def test_bytes_come_back_in_base64_and_pass_through_as_text(texts: list[bytes]) -> None:
    array = np.empty(len(texts), object)
    array[:] = texts
    for name in ("y_bytes", "y"):
        body = json_from_tensors("column", {name: array}).decode("utf-8", "surrogateescape")
        assert tensor_from_json(json.loads(body)["outputs"], STRING).tolist() == texts


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (np.float32(0.2), "0.2"),
        (np.float32(3), "3.0"),
        (np.float32(-0.0), "-0.0"),
        (np.float32(9e6), "9e+06"),
        (np.float32(16_777_216), "16777216.0"),
        (np.float32(1 / 3), "0.333333343"),
        (np.float64(0.2), "0.2"),
        (np.float64(1 / 3), "0.33333333333333331"),
        (np.float32(math.nan), "NaN"),
        (np.float64(-math.inf), "-Infinity"),
        (np.float32(math.inf), "Infinity"),
        (np.int64(2**53 + 1), "9007199254740993"),
        (np.bool_(True), "true"),
    ],
)
def test_numbers_are_written_as_tensorflow_serving_writes_them(value: Any, text: str) -> None:
    assert json_from_tensors("column", {"y": np.array(value)}).decode() == f'{{\n    "outputs": {text}\n}}'


def test_layout() -> None:
    y, z = np.array([2.5, 3.0], np.float32), np.array([[1, 2], [3, 4]])
    assert json_from_tensors("row", {"y": y}) == b'{\n    "predictions": [2.5, 3.0\n    ]\n}'
    assert json_from_tensors("row", {"z": z}) == b'{\n    "predictions": [[1, 2], [3, 4]\n    ]\n}'
    assert json_from_tensors("row", {"y": y[:1], "z": z[:1]}) == (
        b'{\n    "predictions": [\n        {\n            "y": 2.5,\n            "z": [1, 2]\n        }\n    ]\n}'
    )
    assert json_from_tensors("column", {"y": y, "z": z[:1]}) == (
        b'{\n    "outputs": {\n        "y": [\n            2.5,\n            3.0\n        ],\n        "z": [\n'
        b"            [\n                1,\n                2\n            ]\n        ]\n    }\n}"
    )


@pytest.mark.parametrize(
    "outputs",
    [
        {"y": np.zeros(1, np.float16)},
        {"y": np.zeros(1, np.complex64)},
        {"y": np.array(1.0)},
        {"y": np.zeros(1), "z": np.zeros(2)},
        {},
    ],
)
def test_answers_that_row_form_cannot_hold(outputs: dict[str, Any]) -> None:
    with pytest.raises(ServingError) as caught:
        json_from_tensors("row", outputs)
    assert caught.value.code == Code.INVALID_ARGUMENT
