"""TensorProto ⇄ arrays, as TensorFlow Serving reads and writes them: nothing is coerced, answers in typed fields."""

from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf
from tensorflow.core.framework import tensor_pb2, types_pb2

from recsys_tf.serving.server.errors import Code, ServingError, invalid

Array = npt.NDArray[Any]

_FIELDS = {
    types_pb2.DT_FLOAT: "float_val",
    types_pb2.DT_DOUBLE: "double_val",
    types_pb2.DT_INT8: "int_val",
    types_pb2.DT_INT16: "int_val",
    types_pb2.DT_INT32: "int_val",
    types_pb2.DT_UINT8: "int_val",
    types_pb2.DT_UINT16: "int_val",
    types_pb2.DT_INT64: "int64_val",
    types_pb2.DT_UINT32: "uint32_val",
    types_pb2.DT_UINT64: "uint64_val",
    types_pb2.DT_BOOL: "bool_val",
    types_pb2.DT_STRING: "string_val",
    types_pb2.DT_HALF: "half_val",
    types_pb2.DT_BFLOAT16: "half_val",
    types_pb2.DT_COMPLEX64: "scomplex_val",
    types_pb2.DT_COMPLEX128: "dcomplex_val",
}


def fed_tensors(given: Any, definition: Any) -> dict[str, Array]:
    """Read the inputs of a request, tensors by name, for a signature.

    Raises ServingError (INVALID_ARGUMENT) for an input that is missing, unknown or of another type.
    """
    missing, unknown = definition.inputs.keys() - given.keys(), given.keys() - definition.inputs.keys()
    if missing or unknown:
        raise invalid(
            f"input size does not match signature: {len(given)}!={len(definition.inputs)}; expected "
            f"{{{','.join(sorted(definition.inputs))}}}, missing {{{','.join(sorted(missing))}}}, "
            f"not in the signature {{{','.join(sorted(unknown))}}}"
        )
    tensors = {}
    for name, info in definition.inputs.items():
        if given[name].dtype != info.dtype:
            raise invalid(f"input {name}: expects type {info.dtype} of DataType, got {given[name].dtype}")
        tensors[name] = array_from_proto(given[name], f"input {name}")
    return tensors


def array_from_proto(proto: Any, place: str) -> Array:
    """Read a tensor; a list of values that is too short repeats its last one, none at all means zeros.

    Strings become arrays of bytes objects. Raises ServingError (INVALID_ARGUMENT) for a tensor that does not add up.
    """
    if proto.tensor_shape.unknown_rank or any(one.size < 0 for one in proto.tensor_shape.dim):
        raise invalid(f"{place}: a tensor that is fed must say its shape")
    if proto.dtype == types_pb2.DT_STRING and proto.tensor_content:
        raise invalid(f"{place}: strings stand in string_val, not in tensor_content")
    try:
        array: Array = tf.make_ndarray(proto)
    except (ValueError, TypeError, IndexError) as error:
        raise invalid(f"{place}: Tensor proto has invalid contents: {error}") from error
    if array.dtype == np.object_:
        # What stands for no values at all is text, not bytes.
        array = np.frompyfunc(lambda value: value if isinstance(value, bytes) else value.encode(), 1, 1)(array)
        array = np.asarray(array, np.object_)
    return array


def proto_from_array(array: Array) -> Any:
    """Write a tensor, its values in the field of their type. Raises ServingError (UNIMPLEMENTED) for other types."""
    kind = types_pb2.DT_STRING if array.dtype == np.object_ else tf.as_dtype(array.dtype).as_datatype_enum
    field = _FIELDS.get(kind)
    if field is None:
        raise ServingError(Code.UNIMPLEMENTED, f"cannot send a tensor of type {array.dtype}")
    proto = tensor_pb2.TensorProto(dtype=kind)
    proto.tensor_shape.SetInParent()
    for size in array.shape:
        proto.tensor_shape.dim.add(size=size)
    values = array.ravel()
    if field == "half_val":
        values = values.view(np.uint16)
    elif field == "scomplex_val":
        values = values.view(np.float32)
    elif field == "dcomplex_val":
        values = values.view(np.float64)
    getattr(proto, field).extend(values.tolist())
    return proto
