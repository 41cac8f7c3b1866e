"""JSON as TensorFlow Serving reads it: bare NaN, text after the document, first of duplicate keys, any depth."""

import json
import math
import re
from typing import Any

from recsys_tf.serving.server.errors import ServingError, invalid

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_SPACE = re.compile(r"[ \t\n\r]*")
_SURROGATE_ESCAPE = re.compile(r"\\u[dD][89a-fA-F]")
# A pair of surrogates, a surrogate on its own (the group), or any other escape.
_ESCAPE = re.compile(
    r"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|\\(u[dD][89a-fA-F][0-9a-fA-F]{2})|\\.", re.DOTALL
)
# Only an exponent of three digits or a very long row of digits can leave float64: all else takes the fast decoder.
_MAY_OVERFLOW = re.compile(rb"[eE]\+?[0-9]{3}|[0-9]{200}")
# More characters than any 64-bit integer has.
_LONG_INTEGER = 20


def parse_object(body: bytes) -> dict[str, Any]:
    """Parse a request body that must be one JSON object.

    Bytes that are not UTF-8 come out as lone surrogates ("surrogateescape"), so that strings pass through unchanged.
    Raises ServingError (INVALID_ARGUMENT) when the body is no JSON or no object.
    """
    text = body.removeprefix(_BYTE_ORDER_MARK).decode("utf-8", "surrogateescape")
    start = _after_space(text, 0)
    if start == len(text):
        raise _parse_error("The document is empty")
    decoder = _CAREFUL if _MAY_OVERFLOW.search(body) else _FAST
    try:
        value, end = _parse(text, start, decoder)
    except json.JSONDecodeError as error:
        raise _parse_error(f"{error.msg} at offset: {error.pos}") from error
    if _SURROGATE_ESCAPE.search(text, 0, end) and any(escape[1] for escape in _ESCAPE.finditer(text, 0, end)):
        raise _parse_error("The surrogate pair in string is invalid")
    if not isinstance(value, dict):
        raise invalid(f"JSON Value: {excerpt(value)} Is not object")
    return value


def excerpt(value: Any, limit: int = 200) -> str:
    """Write at most about `limit` characters of a parsed value, for a message."""
    text = ""
    try:
        for chunk in json.JSONEncoder().iterencode(value):
            text += chunk[: limit + 1]
            if len(text) > limit:
                return f"{text[:limit]}…"
    except RecursionError:
        return f"{text[:limit]}…"
    return text


def _parse_error(message: str) -> ServingError:
    return invalid(f"JSON Parse error: {message}")


def _first_of_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    return members if len(members) == len(pairs) else dict(reversed(pairs))


def _real(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise _parse_error("Number too big to be stored in double")
    return value


def _whole(text: str) -> int | float:
    return int(text) if len(text) <= _LONG_INTEGER else _real(text)


_FAST = json.JSONDecoder(object_pairs_hook=_first_of_duplicates)
_CAREFUL = json.JSONDecoder(object_pairs_hook=_first_of_duplicates, parse_float=_real, parse_int=_whole)


def _parse(text: str, start: int, decoder: json.JSONDecoder) -> tuple[Any, int]:
    try:
        return decoder.raw_decode(text, start)
    except RecursionError:
        return _parse_deep(text, start, decoder)


def _after_space(text: str, position: int) -> int:
    space = _SPACE.match(text, position)
    return space.end() if space else position


def _parse_deep(text: str, position: int, decoder: json.JSONDecoder) -> tuple[Any, int]:
    """Parse a document of any depth, with a stack of our own in place of Python's."""
    document: list[Any] = []
    open_containers: list[list[Any] | dict[str, Any]] = [document]
    key = ""
    while True:
        position = _after_space(text, position)
        opener = text[position : position + 1]
        value: Any
        if opener in ("[", "{"):
            value, position = ([] if opener == "[" else {}), _after_space(text, position + 1)
        else:
            value, position = decoder.raw_decode(text, position)
        parent = open_containers[-1]
        if isinstance(parent, list):
            parent.append(value)
        else:
            parent.setdefault(key, value)
        if opener in ("[", "{"):
            open_containers.append(value)
            if text[position : position + 1] != ("]" if opener == "[" else "}"):
                if opener == "{":
                    key, position = _parse_key(text, position)
                continue
        while True:
            container = open_containers[-1]
            if container is document:
                return document[0], position
            position = _after_space(text, position)
            follower = text[position : position + 1]
            if follower == ("]" if isinstance(container, list) else "}"):
                open_containers.pop()
                position += 1
                continue
            if follower != ",":
                raise json.JSONDecodeError("Expecting ',' delimiter", text, position)
            position += 1
            if isinstance(container, dict):
                key, position = _parse_key(text, position)
            break


def _parse_key(text: str, position: int) -> tuple[str, int]:
    position = _after_space(text, position)
    if text[position : position + 1] != '"':
        raise json.JSONDecodeError("Expecting property name enclosed in double quotes", text, position)
    key, position = _FAST.raw_decode(text, position)
    position = _after_space(text, position)
    if text[position : position + 1] != ":":
        raise json.JSONDecodeError("Expecting ':' delimiter", text, position)
    return key, position + 1
