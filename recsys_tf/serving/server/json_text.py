"""JSON text as TensorFlow Serving reads and writes it, where that differs from the standard module's habits.

Reading: a byte-order mark is skipped, text after the document is ignored, the first of duplicate keys wins, NaN and
Infinity are bare words, a number beyond float64 is an error, and nesting may be of any depth. Bytes that are no UTF-8
pass through strings unharmed, as surrogate escapes in between.
"""

import json
import re
from collections.abc import Callable
from typing import Any

from recsys_tf.serving.server.errors import ServingError, invalid
from recsys_tf.serving.server.json_nesting import parse_nested

_BLANK = " \t\n\r"
# Only an exponent of three digits or a very long row of digits can leave float64: others keep the fast path.
_MAY_OVERFLOW = re.compile(rb"[eE]\+?[0-9]{3}|[0-9]{200}")
_MAY_BE_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")
_ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|.)", re.DOTALL)


def parse_json(body: bytes) -> Any:
    """Read the JSON document at the start of `body`. Raises ServingError (INVALID_ARGUMENT) when there is none."""
    text = body.removeprefix(b"\xef\xbb\xbf").decode("utf-8", "surrogateescape").lstrip(_BLANK)
    if not text:
        raise invalid("JSON Parse error: The document is empty")
    decoder = _CAREFUL if _MAY_OVERFLOW.search(body) else _FAST
    try:
        value, end = decoder.raw_decode(text)
    except RecursionError:
        value, end = _parse_deep(text, decoder)
    except ValueError as error:
        raise _parse_error(error) from error
    if _MAY_BE_SURROGATE.search(body):
        _refuse_lone_surrogates(text[:end])
    return value


def _parse_deep(text: str, decoder: json.JSONDecoder) -> tuple[Any, int]:
    try:
        return parse_nested(text, decoder, _first_wins)
    except ValueError as error:
        raise _parse_error(error) from error


def _parse_error(error: ValueError) -> ServingError:
    if isinstance(error, json.JSONDecodeError):
        return invalid(f"JSON Parse error: {error.msg} at offset: {error.pos}")
    return invalid(f"JSON Parse error: {error}")


def _first_wins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    return found if len(found) == len(pairs) else dict(reversed(pairs))


def _finite(parse: Callable[[str], int | float]) -> Callable[[str], int | float]:
    def parse_number(text: str) -> int | float:
        number = float(text)
        if number in (float("inf"), float("-inf")):
            raise ValueError("Number too big to be stored in double")
        # An integer beyond 64 bits is a double to TensorFlow Serving's parser.
        return parse(text) if abs(number) < 2.0**65 else number

    return parse_number


_FAST = json.JSONDecoder(object_pairs_hook=_first_wins)
_CAREFUL = json.JSONDecoder(object_pairs_hook=_first_wins, parse_float=_finite(float), parse_int=_finite(int))


def _refuse_lone_surrogates(text: str) -> None:
    """Raise for half a surrogate pair: it stands for no character and has no UTF-8."""
    high_end = -1
    for escape in _ESCAPE.finditer(text):
        unit = int(escape[1], 16) if escape[1] else 0
        low = 0xDC00 <= unit <= 0xDFFF
        if low != (high_end == escape.start()) or (high_end >= 0 and not low):
            raise invalid(f"JSON Parse error: The surrogate pair in string is invalid. at offset: {escape.start()}")
        high_end = escape.end() if 0xD800 <= unit <= 0xDBFF else -1
    if high_end >= 0:
        raise invalid(f"JSON Parse error: The surrogate pair in string is invalid. at offset: {high_end}")


def write_string(text: bytes) -> str:
    """Quote a string for JSON; bytes that are no UTF-8 stay in it as surrogate escapes."""
    return json.encoder.encode_basestring(text.decode("utf-8", "surrogateescape"))


def to_bytes(text: str) -> bytes:
    """Encode text that `parse_json` or `write_string` made, its surrogate escapes as the bytes that they were."""
    return text.encode("utf-8", "surrogateescape")
