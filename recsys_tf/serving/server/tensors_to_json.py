"""Tensors → JSON, in the layout of TensorFlow Serving: row form under "predictions", column form under "outputs"."""

import base64
import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from recsys_tf.serving.server.errors import invalid
from recsys_tf.serving.server.json_to_tensors import Form, type_name

Array = npt.NDArray[Any]

_INDENT = "    "
_INTEGERS = frozenset({"int8", "int16", "int32", "int64", "uint8", "uint32", "uint64"})
# Significant digits that name one float exactly.
_EXACT_DIGITS = {"float32": 9, "float64": 17}
_NOT_FINITE = {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}


def json_from_tensors(form: Form, outputs: Mapping[str, Array]) -> bytes:
    """Write the outputs of a signature as the answer to a predict request that came in `form`.

    Raises ServingError (INVALID_ARGUMENT) for a type that JSON cannot hold, for no output at all and, in row form,
    for outputs that do not share the size of dimension 0.
    """
    if not outputs:
        raise invalid("Cannot convert empty tensor map to JSON")
    text = _rows(outputs) if form == "row" else _columns(outputs)
    return text.encode("utf-8", "surrogateescape")


def json_from_results(results: Sequence[float] | Sequence[Sequence[tuple[bytes, float]]]) -> bytes:
    """Write the answer to a regress request, one number for each example, or to a classify request, pairs of label
    and score for each."""
    items = [_result(one) for one in results]
    return _object({"results": "[" + ", ".join(items) + f"\n{_INDENT}]"}, 0).encode("utf-8", "surrogateescape")


def _result(result: float | Sequence[tuple[bytes, float]]) -> str:
    if isinstance(result, float):
        return _float_texts(np.array([result], np.float32), _EXACT_DIGITS["float32"])[0]
    scores = _float_texts(np.array([score for _, score in result], np.float32), _EXACT_DIGITS["float32"])
    labels = [_quoted(label.decode("utf-8", "surrogateescape")) for label, _ in result]
    return "[" + ", ".join(f"[{label}, {score}]" for label, score in zip(labels, scores, strict=True)) + "]"


def _rows(outputs: Mapping[str, Array]) -> str:
    batch: int | None = None
    for name, array in sorted(outputs.items()):
        if array.ndim == 0:
            raise invalid(f"Tensor name: {name} has no shape information ")
        if batch is not None and array.shape[0] != batch:
            raise invalid(f"Tensor name: {name} has inconsistent batch size: {array.shape[0]} expecting: {batch}")
        batch = array.shape[0]
    if len(outputs) == 1:
        [(name, array)] = outputs.items()
        items = _in_lines(_leaf_texts(name, array, depth=1 + array.ndim), array.shape)
        values = "[" + ", ".join(items) + f"\n{_INDENT}]" if items else "[]"
    else:
        columns = {
            name: _in_lines(_leaf_texts(name, array, depth=2 + array.ndim), array.shape)
            for name, array in sorted(outputs.items())
        }
        objects = [_object(dict(zip(columns, row, strict=True)), 2) for row in zip(*columns.values(), strict=True)]
        values = _block(objects, 1)
    return _object({"predictions": values}, 0)


def _columns(outputs: Mapping[str, Array]) -> str:
    if len(outputs) == 1:
        [(name, array)] = outputs.items()
        return _object({"outputs": _in_blocks(_leaf_texts(name, array, 1 + array.ndim), array.shape, 1)}, 0)
    members = {
        name: _in_blocks(_leaf_texts(name, array, 2 + array.ndim), array.shape, 2)
        for name, array in sorted(outputs.items())
    }
    return _object({"outputs": _object(members, 1)}, 0)


def _object(members: Mapping[str, str], depth: int) -> str:
    lines = [f"\n{_INDENT * (depth + 1)}{_quoted(name)}: {value}" for name, value in members.items()]
    return "{" + ",".join(lines) + f"\n{_INDENT * depth}}}"


def _block(items: list[str], depth: int) -> str:
    if not items:
        return "[]"
    separator = f",\n{_INDENT * (depth + 1)}"
    return f"[\n{_INDENT * (depth + 1)}{separator.join(items)}\n{_INDENT * depth}]"


def _in_lines(texts: list[str], shape: tuple[int, ...]) -> list[str]:
    """Write each row of a tensor of `shape` [batch, …] on one line."""
    for axis in reversed(range(1, len(shape))):
        size, groups = shape[axis], math.prod(shape[:axis])
        texts = ["[" + ", ".join(texts[start * size : (start + 1) * size]) + "]" for start in range(groups)]
    return texts


def _in_blocks(texts: list[str], shape: tuple[int, ...], depth: int) -> str:
    """Write a whole tensor with one value to a line."""
    for axis in reversed(range(len(shape))):
        size, groups = shape[axis], math.prod(shape[:axis])
        texts = [_block(texts[start * size : (start + 1) * size], depth + axis) for start in range(groups)]
    return texts[0]


def _leaf_texts(name: str, array: Array, depth: int) -> list[str]:
    flat = array.ravel()
    kind = array.dtype.name
    if kind in _EXACT_DIGITS:
        return _float_texts(flat, _EXACT_DIGITS[kind])
    if kind in _INTEGERS:
        return [str(value) for value in flat.tolist()]
    if kind == "bool":
        return ["true" if value else "false" for value in flat.tolist()]
    if kind == "object" and name.endswith("_bytes"):
        return [_object({"b64": f'"{base64.b64encode(value).decode("ascii")}"'}, depth) for value in flat]
    if kind == "object":
        return [_quoted(value.decode("utf-8", "surrogateescape")) for value in flat]
    raise invalid(f"Failed to write JSON value for tensor type: {type_name(tf.as_dtype(array.dtype).as_datatype_enum)}")


def _float_texts(flat: Array, exact_digits: int) -> list[str]:
    """Six digits where they name the float, else all of them; never without a point or an exponent."""
    values = flat.tolist()
    texts = [f"{value:.6g}" for value in values]
    read_back = np.fromiter(map(float, texts), dtype=np.float64, count=len(texts)).astype(flat.dtype)
    for index in np.flatnonzero(read_back != flat).tolist():
        texts[index] = f"{values[index]:.{exact_digits}g}"
    return [text + ".0" if text.lstrip("-").isdigit() else _NOT_FINITE.get(text, text) for text in texts]


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
