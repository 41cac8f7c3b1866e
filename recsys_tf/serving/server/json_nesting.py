"""A JSON reader without recursion, for documents that are nested more deeply than Python's own reader goes."""

import json
import re
from collections.abc import Callable
from typing import Any

_TOKEN = re.compile(r'[ \t\n\r]*(?:([\[\]{}:,])|(?=(["\-0-9tfnNI])))')

# An open container: its values so far (a list's, or an object's key-value pairs), and the key that waits for a value.
_Open = tuple[bool, list[Any], list[str]]


def parse_nested(
    text: str, decoder: json.JSONDecoder, finish_object: Callable[[list[tuple[str, Any]]], Any]
) -> tuple[Any, int]:
    """Read the JSON document at the start of `text`; return it and the index after it.

    Scalars are left to `decoder`, an object's pairs to `finish_object`. Raises ValueError when there is no document.
    """
    stack: list[_Open] = []
    position, want = 0, "value"
    while True:
        token = _TOKEN.match(text, position)
        if token is None:
            raise json.JSONDecodeError("Expecting value", text, position)
        mark, position = token[1], token.end()
        if mark is None:
            value, position = _scalar(text, position, want, decoder)
            if want in ("key", "first key"):
                stack[-1][2].append(value)
                want = "colon"
                continue
        elif mark in "[{" and want in ("value", "first value"):
            stack.append((mark == "{", [], []))
            want = "first key" if mark == "{" else "first value"
            continue
        elif mark == ":" and want == "colon":
            want = "value"
            continue
        elif mark == "," and want == "comma":
            want = "key" if stack[-1][0] else "value"
            continue
        elif (mark == "]" and want in ("first value", "comma") and not stack[-1][0]) or (
            mark == "}" and want in ("first key", "comma") and stack[-1][0]
        ):
            is_object, values, _ = stack.pop()
            value = finish_object(values) if is_object else values
        else:
            raise json.JSONDecodeError(f"Expecting {want}", text, position - 1)
        if not stack:
            return value, position
        is_object, values, keys = stack[-1]
        values.append((keys.pop(), value) if is_object else value)
        want = "comma"


def _scalar(text: str, position: int, want: str, decoder: json.JSONDecoder) -> tuple[Any, int]:
    key = want in ("key", "first key")
    if want not in ("value", "first value") and not (key and text[position] == '"'):
        raise json.JSONDecodeError(f"Expecting {want}", text, position)
    return decoder.raw_decode(text, position)
