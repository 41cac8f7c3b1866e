"""A SavedModel in memory: its signatures as they were written, and the functions behind them."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import tensorflow as tf
from google.protobuf import text_format  # type: ignore[import-untyped]
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from tensorflow.core.protobuf import meta_graph_pb2, saved_model_pb2

from recsys_tf.serving.server.errors import Code, ServingError, invalid

# The tag of the graph that is meant for serving.
_TAG = "serve"
# What the readers of a broken SavedModel have been seen to raise; none of it may end the thread that watches a model.
_LOAD_FAULTS = (
    OSError,
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    ArithmeticError,
    AssertionError,
    RuntimeError,
    MemoryError,
    DecodeError,
    text_format.ParseError,
    tf.errors.OpError,
)
Array = npt.NDArray[Any]


class Model(Protocol):
    """What answers a request: a loaded model, or the runner that it stands behind."""

    @property
    def definitions(self) -> dict[str, Any]:
        """The signatures as they were written."""

    def input_types(self, signature_name: str) -> dict[str, int]:
        """Return the inputs of a signature by name, each with its DataType."""

    def run(self, signature_name: str, inputs: dict[str, Array]) -> dict[str, Array]:
        """Run a signature on arrays of its inputs' dtypes."""


@dataclass(frozen=True)
class LoadedModel:
    """One version of a model: signature definitions and callables by name; `root` keeps variables and tables alive."""

    definitions: dict[str, Any]
    functions: dict[str, Any]
    root: Any

    def input_types(self, signature_name: str) -> dict[str, int]:
        """Return the inputs of a signature by name, each with its DataType.

        Raises ServingError (INVALID_ARGUMENT) for a signature that does not exist or takes nothing.
        """
        definition = self.definitions.get(signature_name)
        if definition is None:
            raise invalid(f'Serving signature name: "{signature_name}" not found in signature def')
        if not definition.inputs:
            raise invalid(f'Failed to get input map for signature: "{signature_name}"')
        return {name: info.dtype for name, info in sorted(definition.inputs.items())}

    def run(self, signature_name: str, inputs: dict[str, Array]) -> dict[str, Array]:
        """Run a signature on arrays of its inputs' dtypes; the shapes are checked by nothing but the graph's own ops.

        Strings go in and come out as arrays of bytes objects. An error in the graph keeps its code as a ServingError.
        """
        try:
            outputs = self.functions[signature_name](**{name: _as_tensor(array) for name, array in inputs.items()})
            return {name: _as_array(value) for name, value in outputs.items()}
        except tf.errors.OpError as error:
            raise ServingError(Code(error.error_code), _without_trace(error.message)) from error
        except (ValueError, TypeError) as error:
            raise invalid(str(error)) from error


def load_model(folder: Path) -> LoadedModel:
    """Load the SavedModel in a version's folder. Raises ServingError when it is broken."""
    try:
        definitions = _definitions(folder)
        root = tf.saved_model.load(str(folder), tags=[_TAG])
    except _LOAD_FAULTS as error:
        code = Code(error.error_code) if isinstance(error, tf.errors.OpError) else Code.UNKNOWN
        raise ServingError(code, f"{type(error).__name__}: {error}") from error
    return LoadedModel(definitions, dict(root.signatures), root)


def holds_saved_model(folder: Path) -> bool:
    """Tell whether a folder holds a SavedModel, or is still being copied."""
    return (folder / "saved_model.pb").is_file() or (folder / "saved_model.pbtxt").is_file()


def _definitions(folder: Path) -> dict[str, Any]:
    saved = saved_model_pb2.SavedModel()
    binary = folder / "saved_model.pb"
    if binary.is_file():
        saved.ParseFromString(binary.read_bytes())
    else:
        text_format.Parse((folder / "saved_model.pbtxt").read_text(encoding="utf-8"), saved)
    for graph in saved.meta_graphs:
        if list(graph.meta_info_def.tags) == [_TAG]:
            # Copies of the definitions alone, so that the graph, often large, is not kept twice.
            return {name: _copy(definition) for name, definition in graph.signature_def.items()}
    raise ValueError(f"no graph with the tag {_TAG!r}")


def _copy(definition: Any) -> Any:
    copy = meta_graph_pb2.SignatureDef()
    copy.CopyFrom(definition)
    return copy


def _as_tensor(array: Array) -> Any:
    # An array of objects that is empty would not say that it holds strings.
    return tf.constant(array, tf.string) if array.dtype == np.object_ else tf.constant(array)


def _as_array(value: Any) -> Array:
    array = value.numpy()
    return array if isinstance(array, np.ndarray) else np.array(array, np.object_ if isinstance(array, bytes) else None)


def _without_trace(message: str) -> str:
    """Drop TensorFlow's preamble about where a node was defined: a server has no Python source to point at."""
    return message.rpartition("<stack traces unavailable>\n")[2].partition("\n\t [[")[0].strip()
