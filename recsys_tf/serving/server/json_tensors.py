"""JSON values → tensors, by TensorFlow Serving's rules: integers may stand for floats, nothing else is coerced.

Dtypes go by TensorFlow's own short names: float, double, int32, string … The shape of what is fed is whatever its
nesting says; it is not held against the signature.
"""

import base64
import binascii
import json
import re
from itertools import chain
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from recsys_tf.serving.server.errors import Code, ServingError, invalid
from recsys_tf.serving.server.json_text import to_bytes

Array = npt.NDArray[Any]
Form = Literal["row", "column"]

# TensorFlow's limit on a tensor's rank.
_MAX_RANK = 254
_FLOATS: dict[str, type[np.generic]] = {"float": np.float32, "double": np.float64}
# Each integer type, and the type whose range its values must keep: the narrow ones travel as int32, then wrap.
_INTEGERS: dict[str, tuple[type[np.integer[Any]], type[np.integer[Any]]]] = {
    "int8": (np.int8, np.int32),
    "int16": (np.int16, np.int32),
    "uint8": (np.uint8, np.int32),
    "int32": (np.int32, np.int32),
    "int64": (np.int64, np.int64),
    "uint32": (np.uint32, np.uint32),
    "uint64": (np.uint64, np.uint64),
}
_JSON_TYPES = {dict: "Object", list: "Array", str: "String", bool: "Bool", int: "Number", float: "Number"}
_BASE64 = re.compile(r"([A-Za-z0-9+/]*)(={0,2})")


def read_inputs(request: dict[str, Any], dtypes: dict[str, str]) -> tuple[Form, dict[str, Array]]:
    """Read the `instances` (row form) or `inputs` (column form) of a predict request into one array per input.

    `dtypes` holds the signature's inputs. Strings become arrays of bytes objects. Raises ServingError.
    """
    if "instances" in request and "inputs" in request:
        raise invalid("Not formatted correctly expecting only one of 'inputs' or 'instances' keys to exist")
    if "instances" in request:
        return "row", _read_rows(request["instances"], dtypes)
    if "inputs" in request:
        return "column", _read_columns(request["inputs"], dtypes)
    raise invalid("Missing 'inputs' or 'instances' key")


def _read_columns(inputs: Any, dtypes: dict[str, str]) -> dict[str, Array]:
    if not _is_named(inputs):
        if len(dtypes) > 1:
            raise invalid("inputs is a plain value/list, but expecting an object as multiple input tensors required")
        return {name: read_tensor(inputs, dtype) for name, dtype in dtypes.items()}
    missing = next((name for name in dtypes if name not in inputs), None)
    if missing is not None:
        raise invalid(f"Missing named input: {missing} in 'inputs' object.")
    return {name: read_tensor(inputs[name], dtype) for name, dtype in dtypes.items()}


def _read_rows(instances: Any, dtypes: dict[str, str]) -> dict[str, Array]:
    if type(instances) is not list:
        raise invalid("Expecting 'instances' value to be an list/array")
    if not instances:
        raise invalid("No values in 'instances' array")
    columns = _columns_of(instances, dtypes) if _is_named(instances[0]) else _sole_column(instances, dtypes)
    try:
        return {name: read_tensor(column, dtypes[name]) for name, column in columns.items()}
    except ServingError as error:
        raise invalid(f"Failed to process 'instances' list. Error: {error.message}") from error


def _sole_column(instances: list[Any], dtypes: dict[str, str]) -> dict[str, list[Any]]:
    if len(dtypes) > 1:
        raise invalid("instances is a plain list, but expecting list of objects as multiple input tensors required")
    odd = next((index for index, one in enumerate(instances) if _is_named(one)), None)
    if odd is not None:
        raise invalid(f"Expecting value/list but got object at index: {odd} of 'instances' list")
    return dict.fromkeys(dtypes, instances)


def _columns_of(instances: list[Any], dtypes: dict[str, str]) -> dict[str, list[Any]]:
    wanted = dtypes.keys()
    for index, instance in enumerate(instances):
        if not _is_named(instance):
            raise invalid(f"Expecting object but got {_json_type(instance)} at index: {index} of 'instances' list")
        if instance.keys() != wanted:
            raise invalid(f"instances object: {index} keys must be equal to: {','.join(sorted(dtypes))}")
    return {name: [instance[name] for instance in instances] for name in dtypes}


def _is_named(value: Any) -> bool:
    """Tell an object of named values from a string in base64."""
    return type(value) is dict and not _is_base64(value)


def _is_base64(value: dict[str, Any]) -> bool:
    return len(value) == 1 and type(value.get("b64")) is str


def read_tensor(value: Any, dtype: str) -> Array:
    """Read one JSON value, a scalar or lists of equal length nested to any rank, as an array of that shape.

    Raises ServingError: INVALID_ARGUMENT for ragged lists, wrong types, values out of range and bad base64,
    UNIMPLEMENTED for a dtype that JSON cannot carry.
    """
    flat, shape = _flatten(value)
    # The set of types holds every fault there can be, and costs one pass in C.
    types = set(map(type, flat))
    if dtype in _FLOATS:
        _demand(types <= {int, float}, flat, (int, float), dtype)
        with np.errstate(over="ignore"):
            return np.array(flat, np.float64).astype(_FLOATS[dtype]).reshape(shape)
    if dtype in _INTEGERS:
        _demand(types <= {int}, flat, (int,), dtype)
        return _integers(flat, dtype).reshape(shape)
    if dtype == "bool":
        _demand(types <= {bool}, flat, (bool,), dtype)
        return np.array(flat, np.bool_).reshape(shape)
    if dtype == "string":
        _demand(types <= {str, dict}, flat, (str, dict), dtype)
        array = np.empty(len(flat), np.object_)
        array[:] = [_text(one) for one in flat]
        return array.reshape(shape)
    raise ServingError(Code.UNIMPLEMENTED, f"Conversion of JSON Value: {_shown(value)} to type: {dtype}")


def _flatten(value: Any) -> tuple[list[Any], tuple[int, ...]]:
    """Undo the nesting, one level at a time for all branches together: no recursion, and ragged lists stand out."""
    flat: list[Any] = [value]
    shape: list[int] = []
    while flat and list in (types := set(map(type, flat))):
        if len(types) > 1:
            odd = next(one for one in flat if type(one) is not list)
            raise invalid(f"JSON Value: {_shown(odd)} Type: {_json_type(odd)} is not a list, at level: {len(shape)}")
        sizes = set(map(len, flat))
        if len(sizes) > 1:
            expected = len(flat[0])
            other = next(len(one) for one in flat if len(one) != expected)
            raise invalid(
                f"Encountered list at unexpected size: {other} at level: {len(shape)} expected size: {expected}"
            )
        shape.append(sizes.pop())
        if len(shape) > _MAX_RANK:
            raise invalid(f"Lists are nested more than {_MAX_RANK} levels deep")
        flat = list(chain.from_iterable(flat))
    return flat, tuple(shape)


def _demand(right: bool, flat: list[Any], wanted: tuple[type, ...], dtype: str) -> None:
    if not right:
        raise _unexpected(next(one for one in flat if type(one) not in wanted), dtype)


def _unexpected(value: Any, dtype: str) -> ServingError:
    return invalid(f"JSON Value: {_shown(value)} Type: {_json_type(value)} is not of expected type: {dtype}")


def _integers(flat: list[int], dtype: str) -> Array:
    stored, checked = _INTEGERS[dtype]
    limits = np.iinfo(checked)
    if flat and (min(flat) < limits.min or max(flat) > limits.max):
        raise _unexpected(next(one for one in flat if not limits.min <= one <= limits.max), dtype)
    return np.array(flat, checked).astype(stored)


def _text(value: str | dict[str, Any]) -> bytes:
    if isinstance(value, dict):
        if not _is_base64(value):
            raise _unexpected(value, "string")
        return _decode_base64(value["b64"])
    return to_bytes(value)


def _decode_base64(text: str) -> bytes:
    """Decode the standard alphabet; padding may be missing, but not wrong."""
    match = _BASE64.fullmatch("".join(text.split()))
    if match is None or len(match[1]) % 4 == 1 or (match[2] and len(match[0]) % 4 != 0):
        raise invalid("Unable to base64 decode")
    try:
        return base64.b64decode(match[1] + "=" * (-len(match[1]) % 4), validate=True)
    except binascii.Error as error:
        raise invalid("Unable to base64 decode") from error


def _json_type(value: Any) -> str:
    return _JSON_TYPES.get(type(value), "Null")


def _shown(value: Any) -> str:
    try:
        text = json.dumps(value, ensure_ascii=False)
    except RecursionError:
        text = "(deeply nested)"
    return text if len(text) <= 200 else f"{text[:200]}..."


def read_object(body: Any) -> dict[str, Any]:
    """Return the request's top level. Raises ServingError when it is no object."""
    if type(body) is not dict:
        raise invalid(f"JSON Value: {_shown(body)} Is not object")
    return body


def read_signature_name(request: dict[str, Any]) -> str:
    """Return the name of the signature that is asked for. Raises ServingError when it is no string."""
    name = request.get("signature_name", "")
    if type(name) is not str:
        raise invalid("'signature_name' key must be a string value.")
    return name or "serving_default"
