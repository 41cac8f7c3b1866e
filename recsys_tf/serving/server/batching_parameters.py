"""How requests are batched, and TensorFlow Serving's text file that says so."""

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from google.protobuf import (  # type: ignore[import-untyped]
    descriptor_pb2,
    descriptor_pool,
    message_factory,
    text_format,
    wrappers_pb2,
)

from recsys_tf.errors import InputError


@dataclass(frozen=True)
class BatchingParameters:
    """TensorFlow Serving's parameters by their names there."""

    # Rows of a batch at most.
    max_batch_size: int = 64
    # How long the oldest request waits for others, in microseconds.
    batch_timeout_micros: int = 0
    # Full batches that may wait in a queue; a request beyond is refused (UNAVAILABLE).
    max_enqueued_batches: int = 16
    # Batches that are run at once.
    num_batch_threads: int = field(default_factory=lambda: os.cpu_count() or 1)
    # Sizes to which batches are filled up, increasing, the last one max_batch_size; empty: any size.
    allowed_batch_sizes: tuple[int, ...] = ()
    # Batch requests of different shapes too, filled up with each one's first value.
    pad_variable_length_inputs: bool = False

    def __post_init__(self) -> None:
        """Raise InputError for parameters that do not go together."""
        sizes = self.allowed_batch_sizes
        if sizes and (list(sizes) != sorted(set(sizes)) or sizes[-1] != self.max_batch_size):
            raise InputError(
                f"allowed_batch_sizes {list(sizes)} must increase and end with max_batch_size {self.max_batch_size}"
            )
        if min(self.max_batch_size, self.max_enqueued_batches, self.num_batch_threads) < 1:
            raise InputError("max_batch_size, max_enqueued_batches and num_batch_threads must be at least 1")
        if self.batch_timeout_micros < 0:
            raise InputError(f"batch_timeout_micros {self.batch_timeout_micros} must not be negative")


def read_batching_parameters(file: Path) -> BatchingParameters:
    """Read TensorFlow Serving's text form. Raises InputError when it is not in that form."""
    if not file.is_file():
        raise InputError("there is no such file", file=file)
    message = _message_class()()
    try:
        text_format.Parse(file.read_text(encoding="utf-8"), message)
    except (text_format.ParseError, UnicodeDecodeError) as error:
        raise InputError(str(error), file=file) from error
    given: dict[str, Any] = {}
    for one, value in message.ListFields():
        if one.name == "allowed_batch_sizes":
            given[one.name] = tuple(value)
        elif one.name != "thread_pool_name":
            given[one.name] = value.value if one.message_type is not None else value
    try:
        return BatchingParameters(**given)
    except InputError as error:
        raise InputError(str(error), file=file) from error


def batching_text(parameters: BatchingParameters) -> str:
    """Write TensorFlow Serving's text form."""
    message = _message_class()()
    for one in message.DESCRIPTOR.fields:
        if one.name == "thread_pool_name":
            continue
        value = getattr(parameters, one.name)
        if one.message_type is not None:
            getattr(message, one.name).value = value
        elif one.name == "allowed_batch_sizes":
            message.allowed_batch_sizes.extend(value)
        else:
            setattr(message, one.name, value)
    return str(text_format.MessageToString(message))


def _message_class() -> Any:
    """Describe TensorFlow Serving's BatchingParameters, which tensorflow-serving-api does not bring."""
    kinds = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(
        name="recsys_tf/batching_parameters.proto", package="recsys_tf", syntax="proto3"
    )
    file.dependency.append(wrappers_pb2.DESCRIPTOR.name)
    message = file.message_type.add(name="BatchingParameters")
    for number, name in enumerate(
        ("max_batch_size", "batch_timeout_micros", "max_enqueued_batches", "num_batch_threads"), start=1
    ):
        _field(message, name, number, kinds.TYPE_MESSAGE, type_name=".google.protobuf.Int64Value")
    _field(message, "thread_pool_name", 5, kinds.TYPE_MESSAGE, type_name=".google.protobuf.StringValue")
    _field(message, "allowed_batch_sizes", 6, kinds.TYPE_INT64, label=kinds.LABEL_REPEATED)
    _field(message, "pad_variable_length_inputs", 7, kinds.TYPE_BOOL)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(descriptor_pb2.FileDescriptorProto.FromString(wrappers_pb2.DESCRIPTOR.serialized_pb))
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("recsys_tf.BatchingParameters"))


def _field(message: Any, name: str, number: int, kind: Any, **more: Any) -> None:
    optional = descriptor_pb2.FieldDescriptorProto.LABEL_OPTIONAL
    message.field.add(name=name, number=number, type=kind, **{"label": optional, **more})
