"""JSON as TensorFlow Serving reads it."""

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys_tf.serving.server.errors import Code, ServingError
from recsys_tf.serving.server.json_text import excerpt, parse_object

values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@given(st.dictionaries(st.text(), values, max_size=4))
def test_every_document_comes_back_as_it_was(document: dict[str, object]) -> None:
    try:
        body = json.dumps(document, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError:
        return
    assert parse_object(body) == document


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b'\xef\xbb\xbf{"a": 1}', {"a": 1}),
        (b' \n\t{"a": 1} trailing } text', {"a": 1}),
        (b'{"a": 1, "b": 2, "a": 3}', {"a": 1, "b": 2}),
        (b'{"a": [Infinity, -Infinity]}', {"a": [math.inf, -math.inf]}),
        (b'{"a": "\xff\xfe"}', {"a": "\udcff\udcfe"}),
        (b'{"a": "\\ud83d\\ude00"}', {"a": "\U0001f600"}),
        (b'{"a": "\\\\ud83d"}', {"a": "\\ud83d"}),
        (b'{"a": 1e308}', {"a": 1e308}),
        (b'{"a": 18446744073709551615}', {"a": 2**64 - 1}),
    ],
)
def test_habits(body: bytes, expected: object) -> None:
    assert parse_object(body) == expected


def test_nan_is_a_bare_word() -> None:
    assert math.isnan(parse_object(b'{"a": NaN}')["a"])


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "JSON Parse error: The document is empty"),
        (b" \r\n", "JSON Parse error: The document is empty"),
        (b"\xef\xbb\xbf", "JSON Parse error: The document is empty"),
        (b"{", "JSON Parse error: "),
        (b'{"a": 1e400}', "JSON Parse error: Number too big"),
        (b'{"a": -1e0000400}', "JSON Parse error: Number too big"),
        (b'{"a": ' + b"9" * 400 + b"}", "JSON Parse error: Number too big"),
        (b'{"a": ' + b"9" * 5000 + b"}", "JSON Parse error: Number too big"),
        (b'{"a": "\\ud83d"}', "JSON Parse error: The surrogate pair"),
        (b'{"a": "\\udc80"}', "JSON Parse error: The surrogate pair"),
        (b'{"a": "x\ny"}', "JSON Parse error: "),
        (b"{'a': 1}", "JSON Parse error: "),
        (b"\x00", "JSON Parse error: "),
        (b"[1]", "JSON Value: [1] Is not object"),
        (b"NaN", "JSON Value: NaN Is not object"),
    ],
)
def test_refusals(body: bytes, message: str) -> None:
    with pytest.raises(ServingError) as caught:
        parse_object(body)
    assert caught.value.code == Code.INVALID_ARGUMENT
    assert caught.value.message.startswith(message)


def test_deep_nesting_is_read() -> None:
    depth = 50_000
    body = b'{"deep": ' + b'[{"k": ' * depth + b"1" + b"}]" * depth + b', "a": [1, {"b": [], "b": 2}, {}], "a": 9}'
    document = parse_object(body)
    assert document["a"] == [1, {"b": []}, {}]
    value, levels = document["deep"], 0
    while isinstance(value, list):
        value, levels = value[0]["k"], levels + 1
    assert (value, levels) == (1, depth)


@pytest.mark.parametrize("end", [b"", b"}", b",", b"1 1", b'{"a" 1}', b"{1: 2}", b'{"a": 1,}', b"[1,]"])
def test_deep_nesting_that_is_broken_is_refused(end: bytes) -> None:
    with pytest.raises(ServingError, match="JSON Parse error"):
        parse_object(b'{"a": ' + b"[" * 20_000 + end + b"]" * 19_999 + b"}")


def test_excerpts_are_short_for_any_value() -> None:
    deep = parse_object(b'{"a": ' + b"[" * 20_000 + b"]" * 20_000 + b"}")
    assert len(excerpt(deep)) <= 201
    assert len(excerpt(["x" * 10_000] * 1000)) <= 201
    assert excerpt({"a": [1, None]}) == '{"a": [1, null]}'
