"""tf.Example from JSON and from the protocol: what :classify and :regress are given."""

from collections.abc import Mapping
from typing import Any

from tensorflow.core.example import example_pb2

from recsys_tf.serving.server.errors import invalid
from recsys_tf.serving.server.json_text import excerpt
from recsys_tf.serving.server.json_to_tensors import decoded_base64, is_base64

_INT64 = (-(2**63), 2**63 - 1)


def examples_from_json(document: Mapping[str, Any]) -> list[Any]:
    """Read the examples of a request, the features of its context merged into each.

    A number with a point or an exponent makes a float feature, an integer or a boolean an int64 one, text and
    {"b64": …} bytes. Raises ServingError (INVALID_ARGUMENT).
    """
    given = document.get("examples")
    if given is None:
        raise invalid("When method is classify, key 'examples' is expected and was not found")
    if not isinstance(given, list):
        raise invalid(f"JSON Value: {excerpt(given)} Expecting 'examples' value to be a list")
    if not given:
        raise invalid("'examples' value is an empty list")
    context = document.get("context")
    shared = _example(context, "context") if context is not None else example_pb2.Example()
    return [_merged(_example(one, f"item {at} of 'examples'"), shared) for at, one in enumerate(given)]


def examples_from_input(message: Any) -> list[Any]:
    """Read the examples of an Input message. Raises ServingError (INVALID_ARGUMENT) when there are none."""
    match message.WhichOneof("kind"):
        case "example_list":
            examples = list(message.example_list.examples)
        case "example_list_with_context":
            shared = message.example_list_with_context.context
            examples = [_merged(one, shared) for one in message.example_list_with_context.examples]
        case _:
            examples = []
    if not examples:
        raise invalid("Input is empty")
    return examples


def _merged(example: Any, shared: Any) -> Any:
    for name, feature in shared.features.feature.items():
        if name not in example.features.feature:
            example.features.feature[name].CopyFrom(feature)
    return example


def _example(value: Any, place: str) -> Any:
    if not isinstance(value, dict):
        raise invalid(f"JSON Value: {excerpt(value)} Expecting {place} to be an object")
    example = example_pb2.Example()
    for name, content in value.items():
        try:
            _fill(example.features.feature[name], content)
        except UnicodeEncodeError as error:
            raise invalid(f"feature name {excerpt(name)} is no UTF-8") from error
    return example


def _fill(feature: Any, content: Any) -> None:
    values = content if isinstance(content, list) else [content]
    kinds = {_kind(value) for value in values}
    if len(kinds) > 1:
        raise invalid(f"JSON Value: {excerpt(content)} holds values of more than one kind")
    match kinds.pop() if kinds else "":
        case "bytes":
            feature.bytes_list.value.extend(
                value.encode("utf-8", "surrogateescape") if isinstance(value, str) else decoded_base64(value)
                for value in values
            )
        case "int64":
            if not all(_INT64[0] <= value <= _INT64[1] for value in values):
                raise invalid(f"JSON Value: {excerpt(content)} holds an integer beyond int64")
            feature.int64_list.value.extend(int(value) for value in values)
        case "float":
            feature.float_list.value.extend(values)


def _kind(value: Any) -> str:
    match value:
        case bool() | int():
            return "int64"
        case float():
            return "float"
        case str():
            return "bytes"
        case dict() if is_base64(value):
            return "bytes"
    raise invalid(f"JSON Value: {excerpt(value)} is no value of a feature")
