"""JSON → tensors, by the rules of TensorFlow Serving: nothing is coerced but integers that stand for floats."""

import base64
import itertools
from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from tensorflow.core.framework import types_pb2

from recsys_tf.serving.server.errors import Code, ServingError, invalid
from recsys_tf.serving.server.json_text import excerpt

Array = npt.NDArray[Any]
Form = Literal["row", "column"]

_FLOATS = {types_pb2.DT_FLOAT: np.float32, types_pb2.DT_DOUBLE: np.float64}
_INT32_RANGE = (-(2**31), 2**31 - 1)
# The narrow types are checked against int32 and then wrap, as they do in the field of the protocol that carries them.
_INTEGERS: dict[int, tuple[type[np.integer[Any]], tuple[int, int]]] = {
    types_pb2.DT_INT8: (np.int8, _INT32_RANGE),
    types_pb2.DT_INT16: (np.int16, _INT32_RANGE),
    types_pb2.DT_INT32: (np.int32, _INT32_RANGE),
    types_pb2.DT_INT64: (np.int64, (-(2**63), 2**63 - 1)),
    types_pb2.DT_UINT8: (np.uint8, _INT32_RANGE),
    types_pb2.DT_UINT32: (np.uint32, (0, 2**32 - 1)),
    types_pb2.DT_UINT64: (np.uint64, (0, 2**64 - 1)),
}
# NumPy's own limit; TensorFlow's kernels stop far below it.
_MOST_DIMENSIONS = 64
_JSON_TYPES = {type(None): "Null", dict: "Object", list: "Array", str: "String", int: "Number", float: "Number"}


def tensors_from_json(document: Mapping[str, Any], inputs: Mapping[str, int]) -> tuple[Form, dict[str, Array]]:
    """Turn the body of a predict request into the tensors of a signature and say in which form it was written.

    `inputs` gives the type (DataType) of each named input. Strings become arrays of bytes objects. Shapes are what
    the client wrote: `[instances, …]` in row form, anything in column form; the signature's shape is not consulted.
    Raises ServingError (INVALID_ARGUMENT, or UNIMPLEMENTED for a type that JSON cannot carry in column form).
    """
    if "instances" in document and "inputs" in document:
        raise invalid(
            f"JSON Value: {excerpt(document)} Not formatted correctly expecting only one of 'inputs' or 'instances' "
            "keys to exist"
        )
    if "instances" in document:
        return "row", _from_rows(document["instances"], inputs)
    if "inputs" in document:
        return "column", _from_columns(document["inputs"], inputs)
    raise invalid("Missing 'inputs' or 'instances' key")


def _from_columns(value: Any, inputs: Mapping[str, int]) -> dict[str, Array]:
    if isinstance(value, dict) and not is_base64(value):
        for name in inputs:
            if name not in value:
                raise invalid(f"Missing named input: {name} in 'inputs' object.")
        return {name: tensor_from_json(value[name], kind) for name, kind in inputs.items()}
    if len(inputs) > 1:
        raise invalid("inputs is a plain value/list, but expecting an object as multiple input tensors required")
    return {name: tensor_from_json(value, kind) for name, kind in inputs.items()}


def _from_rows(instances: Any, inputs: Mapping[str, int]) -> dict[str, Array]:
    if not isinstance(instances, list):
        raise invalid(f"JSON Value: {excerpt(instances)} Expecting 'instances' to be a list/array")
    if not instances:
        raise invalid("No values in 'instances' array")
    named = [isinstance(element, dict) and not is_base64(element) for element in instances]
    if not named[0] and len(inputs) > 1:
        raise invalid(
            "instances is a plain list, but expecting list of objects as multiple input tensors required: "
            + ",".join(sorted(inputs))
        )
    if not all(named) and any(named):
        odd = named.index(not named[0])
        wanted, found = ("object", "value/list") if named[0] else ("value/list", "object")
        raise invalid(f"Expecting {wanted} but got {found} at item {odd} of input list")
    if not named[0]:
        return {name: _stacked(instances, kind, key="") for name, kind in inputs.items()}
    for index, element in enumerate(instances):
        if element.keys() != inputs.keys():
            raise invalid(
                f"Failed to process element: {index} of 'instances' list. JSON object: {excerpt(element)} "
                f"keys must be equal to: {','.join(sorted(inputs))}"
            )
    return {name: _stacked([row[name] for row in instances], kind, f" key: {name}") for name, kind in inputs.items()}


def _stacked(rows: list[Any], kind: int, key: str) -> Array:
    try:
        return tensor_from_json(rows, kind)
    except ServingError:
        # The whole does not fit: name the first row that is to blame.
        first: tuple[int, ...] | None = None
        for index, row in enumerate(rows):
            place = f"Failed to process element: {index}{key} of 'instances' list. Error: "
            try:
                shape = tensor_from_json(row, kind).shape
            except ServingError as error:
                raise invalid(place + error.message) from error
            first = shape if first is None else first
            if shape != first:
                raise invalid(f"{place}Expecting shape {list(first)} but got: {list(shape)}") from None
        raise


def tensor_from_json(value: Any, kind: int) -> Array:
    """Turn nested lists, or a bare value, into one tensor of DataType `kind`.

    Raises ServingError (INVALID_ARGUMENT) for ragged lists and for values of another type or out of its range, and
    (UNIMPLEMENTED) for a type that JSON cannot carry.
    """
    leaves, shape = _flat(value)
    if kind in _FLOATS:
        _check_types(leaves, {int, float}, kind)
        # Too large for float32 becomes infinity, as the contract has it.
        with np.errstate(over="ignore"):
            return np.array(leaves, dtype=np.float64).astype(_FLOATS[kind]).reshape(shape)
    if kind in _INTEGERS:
        _check_types(leaves, {int}, kind)
        dtype, (least, most) = _INTEGERS[kind]
        for extreme in (min(leaves, default=0), max(leaves, default=0)):
            if not least <= extreme <= most:
                raise _type_error(extreme, kind)
        wide = np.uint64 if kind == types_pb2.DT_UINT64 else np.int64
        return np.array(leaves, dtype=wide).astype(dtype).reshape(shape)
    if kind == types_pb2.DT_BOOL:
        _check_types(leaves, {bool}, kind)
        return np.array(leaves, dtype=np.bool_).reshape(shape)
    if kind == types_pb2.DT_STRING:
        _check_types(leaves, {str, dict}, kind)
        texts = np.empty(len(leaves), dtype=object)
        texts[:] = [
            leaf.encode("utf-8", "surrogateescape") if type(leaf) is str else decoded_base64(leaf) for leaf in leaves
        ]
        return texts.reshape(shape)
    raise ServingError(Code.UNIMPLEMENTED, f"Conversion of JSON Value: {excerpt(value)} to type: {type_name(kind)}")


def type_name(kind: int) -> str:
    """Return TensorFlow's name of a DataType: "float", "int64", "string"."""
    return str(types_pb2.DataType.Name(kind)).removeprefix("DT_").lower()


def _flat(value: Any) -> tuple[list[Any], tuple[int, ...]]:
    """Undo the nesting level by level: the leaves in order, and the shape, which every branch must share."""
    level: list[Any] = [value]
    shape: list[int] = []
    while level and type(level[0]) is list:
        if set(map(type, level)) != {list}:
            odd = next(one for one in level if type(one) is not list)
            raise invalid(f"JSON Value: {excerpt(odd)} found at incorrect level: {len(shape) + 1} in the JSON DOM")
        sizes = set(map(len, level))
        if len(sizes) > 1:
            odd_size = next(len(one) for one in level if len(one) != len(level[0]))
            raise invalid(
                f"Encountered list at unexpected size: {odd_size} at level: {len(shape)} expected size: {len(level[0])}"
            )
        shape.append(len(level[0]))
        if len(shape) > _MOST_DIMENSIONS:
            raise invalid(f"Encountered list at unexpected level: {len(shape)}: too many dimensions")
        level = list(itertools.chain.from_iterable(level))
    if list in set(map(type, level)):
        raise invalid(f"Encountered list at unexpected level: {len(shape)} expected < {len(shape)}")
    return level, tuple(shape)


def _check_types(leaves: list[Any], allowed: set[type], kind: int) -> None:
    if not set(map(type, leaves)) <= allowed:
        raise _type_error(next(leaf for leaf in leaves if type(leaf) not in allowed), kind)


def _type_error(value: Any, kind: int) -> ServingError:
    json_type = str(value) if isinstance(value, bool) else _JSON_TYPES[type(value)]
    return invalid(f"JSON Value: {excerpt(value)} Type: {json_type} is not of expected type: {type_name(kind)}")


def is_base64(value: dict[str, Any]) -> bool:
    """Tell whether an object stands for bytes: {"b64": text} and nothing more."""
    return len(value) == 1 and isinstance(value.get("b64"), str)


def decoded_base64(value: dict[str, Any]) -> bytes:
    """Return the bytes that an object stands for. Raises ServingError (INVALID_ARGUMENT) when it is none or broken."""
    if not is_base64(value):
        raise invalid(f"JSON Value: {excerpt(value)} not formatted correctly for base64 data")
    text = "".join(value["b64"].split())
    # Padding may be left out, but not in part.
    padding = "" if "=" in text else "=" * (-len(text) % 4)
    try:
        return base64.b64decode(text + padding, validate=True)
    except ValueError as error:
        raise invalid("Unable to base64 decode") from error
