"""Tensors → JSON text, in TensorFlow Serving's layout: four spaces per level, the rows of an answer on one line each.

Row form answers {"predictions": [...]}, column form {"outputs": ...}; a sole output stands bare, several by name.
"""

import base64
import json
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from recsys_tf.serving.server.errors import invalid
from recsys_tf.serving.server.json_tensors import Form
from recsys_tf.serving.server.json_text import to_bytes, write_string
from recsys_tf.serving.server.number_text import write_floats

Array = npt.NDArray[Any]
_INTEGERS = ("int8", "int16", "int32", "int64", "uint8", "uint32", "uint64")


def write_answer(form: Form, outputs: dict[str, Array]) -> bytes:
    """Write the outputs of a signature, by name, as the body of an answer.

    Strings are arrays of bytes objects. Raises ServingError (INVALID_ARGUMENT) when row form is asked for and the
    outputs do not share their first dimension, and for dtypes that JSON cannot carry.
    """
    if not outputs:
        raise invalid("Cannot convert empty tensor map to JSON")
    ordered = dict(sorted(outputs.items()))
    return to_bytes(_row_form(ordered) if form == "row" else _column_form(ordered))


def _row_form(outputs: dict[str, Array]) -> str:
    batch = _batch_size(outputs)
    named = len(outputs) > 1
    columns = {name: _rows(name, array, 3 if named else 2) for name, array in outputs.items()}
    if not named:
        return _document("predictions", _closed(", ".join(next(iter(columns.values()))), 1) if batch else "[]")
    keys = [json.dumps(name, ensure_ascii=False) for name in columns]
    rows = [
        "{\n"
        + ",\n".join(f"{_indent(3)}{key}: {text}" for key, text in zip(keys, texts, strict=True))
        + f"\n{_indent(2)}}}"
        for texts in zip(*columns.values(), strict=True)
    ]
    return _document("predictions", _listed(rows, 1))


def _batch_size(outputs: dict[str, Array]) -> int:
    scalar = next((name for name, array in outputs.items() if array.ndim == 0), None)
    if scalar is not None:
        raise invalid(f"Tensor name: {scalar} has no shape information ")
    sizes: dict[str, int] = {name: array.shape[0] for name, array in outputs.items()}
    batch = next(iter(sizes.values()))
    for name, size in sizes.items():
        if size != batch:
            raise invalid(f"Tensor name: {name} has inconsistent batch size: {size} expecting: {batch}")
    return batch


def _rows(name: str, array: Array, level: int) -> list[str]:
    """Write each row of an output [batch, ...] on one line."""
    texts: list[str] = _write_values(name, array, level + array.ndim - 1)
    for axis in reversed(range(1, array.ndim)):
        texts = [f"[{', '.join(group)}]" for group in _groups(texts, array.shape, axis)]
    return texts


def _column_form(outputs: dict[str, Array]) -> str:
    if len(outputs) == 1:
        name, array = next(iter(outputs.items()))
        return _document("outputs", _spread(name, array, 1))
    keys = [json.dumps(name, ensure_ascii=False) for name in outputs]
    return _document("outputs", _object(keys, [_spread(name, array, 2) for name, array in outputs.items()], 1))


def _spread(name: str, array: Array, level: int) -> str:
    """Write an output with one value or list per line, the outermost list inside `level` containers."""
    texts = _write_values(name, array, level + array.ndim)
    for axis in reversed(range(array.ndim)):
        texts = [_listed(group, level + axis) for group in _groups(texts, array.shape, axis)]
    return texts[0]


def _groups(texts: list[str], shape: tuple[int, ...], axis: int) -> list[list[str]]:
    size = shape[axis]
    return [texts[index * size : (index + 1) * size] for index in range(math.prod(shape[:axis]))]


def _listed(texts: Sequence[str], level: int) -> str:
    if not texts:
        return "[]"
    inner = _indent(level + 1)
    return "[\n" + ",\n".join(f"{inner}{text}" for text in texts) + f"\n{_indent(level)}]"


def _object(keys: Sequence[str], texts: Sequence[str], level: int) -> str:
    pairs = ",\n".join(f"{_indent(level + 1)}{key}: {text}" for key, text in zip(keys, texts, strict=True))
    return f"{{\n{pairs}\n{_indent(level)}}}"


def _closed(texts: str, level: int) -> str:
    return f"[{texts}\n{_indent(level)}]"


def _document(key: str, value: str) -> str:
    return f'{{\n    "{key}": {value}\n}}'


def _indent(level: int) -> str:
    return "    " * level


def _write_values(name: str, array: Array, level: int) -> list[str]:
    flat = array.reshape(-1)
    dtype = array.dtype.name
    if dtype in ("float32", "float64"):
        return write_floats(flat)
    if dtype in _INTEGERS:
        return [str(number) for number in flat.tolist()]
    if dtype == "bool":
        return ["true" if truth else "false" for truth in flat.tolist()]
    if dtype == "object":
        if name.endswith("_bytes"):
            return [_base64(text, level) for text in flat.tolist()]
        return [write_string(text) for text in flat.tolist()]
    raise invalid(f"Failed to write JSON value for tensor type: {dtype}")


def _base64(text: bytes, level: int) -> str:
    encoded = base64.b64encode(text).decode("ascii")
    return f'{{\n{_indent(level + 1)}"b64": "{encoded}"\n{_indent(level)}}}'


def as_array(value: Any) -> Array:
    """Return what TensorFlow answers as an array, a lone string too."""
    return value if isinstance(value, np.ndarray) else np.array(value, np.object_)
