"""Configurations as JSON and back, so that every run can be read and repeated."""

import dataclasses
import json
import types
import typing
from pathlib import Path
from typing import Any, Literal, TypeVar

from recsys_tf.errors import InputError

T = TypeVar("T")


def to_json(config: Any) -> dict[str, Any]:
    """Turn a configuration dataclass into plain JSON values, nested by field."""
    return typing.cast(dict[str, Any], json.loads(json.dumps(dataclasses.asdict(config), default=str)))


def from_json(kind: type[T], values: dict[str, Any], file: object = None) -> T:
    """Build a configuration dataclass of class `kind` from what `to_json` wrote; absent fields keep their defaults.

    Raises InputError for a name that is no field of `kind` and for a value of the wrong type.
    """
    hints = typing.get_type_hints(kind)
    unknown = sorted(set(values) - set(hints))
    if unknown:
        raise InputError(f"{unknown[0]!r} is no field of {kind.__name__}", file=file)
    return kind(**{name: _value(hints[name], value, name, file) for name, value in values.items()})


def _value(hint: Any, value: Any, name: str, file: object) -> Any:
    origin, choices = typing.get_origin(hint), typing.get_args(hint)
    if dataclasses.is_dataclass(hint) and isinstance(value, dict):
        return from_json(typing.cast(type, hint), value, file)
    if origin is Literal and value in choices:
        return value
    if origin is tuple and isinstance(value, list):
        return tuple(_value(choices[0], one, name, file) for one in value)
    if origin in (types.UnionType, typing.Union):
        return None if value is None else _value(choices[0], value, name, file)
    if hint is Path and isinstance(value, str):
        return Path(value)
    if hint is float and isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    if isinstance(hint, type) and type(value) is hint:
        return value
    raise InputError(f"{value!r} does not fit {name}", file=file)
