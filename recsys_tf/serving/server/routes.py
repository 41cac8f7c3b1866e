"""Paths: what a request asks for, read from its method and its target, query string included."""

import re
from dataclasses import dataclass
from typing import Literal
from urllib.parse import unquote_to_bytes

from recsys_tf.serving.model_folders import LARGEST_VERSION
from recsys_tf.serving.server.errors import ServingError, invalid

Verb = Literal["predict", "classify", "regress", "status", "metadata"]

# Prefixes match in any case; the verb after the colon does not.
_MODEL = r"(?i:/v1/models)/([^/:]+)(?:(?i:/versions)/([0-9]+)|(?i:/labels)/([^/:]+))?"
_POST = re.compile(_MODEL + r":(predict|classify|regress)", re.DOTALL)
_GET = re.compile(_MODEL + r"((?i:/metadata))?", re.DOTALL)


@dataclass(frozen=True)
class Route:
    """What is asked of which model; version and label are None for the newest version."""

    verb: Verb
    name: str
    version: int | None
    label: str | None


def is_api(target: str) -> bool:
    """Tell whether a target belongs to the interface at all; what does not is a plain 404."""
    return target[:4].lower() == "/v1/"


def find_route(method: str, target: str) -> Route:
    """Read a request line. Raises ServingError (INVALID_ARGUMENT) for what is no request of this interface."""
    if method == "POST" and (match := _POST.fullmatch(target)):
        verb: Verb = _verb(match[4])
        return Route(verb, _decoded(match[1]), _version(match[2]), match[3] and _decoded(match[3]))
    if method == "GET" and target.lower() == "/v1/models":
        raise invalid("Missing model name in request.")
    if method == "GET" and (match := _GET.fullmatch(target)):
        verb = "metadata" if match[4] else "status"
        return Route(verb, _decoded(match[1]), _version(match[2]), match[3] and _decoded(match[3]))
    raise malformed(method, target)


def malformed(method: str, target: str) -> ServingError:
    """Return the error of a request that no route takes; there is no 405."""
    return invalid(f"Malformed request: {method} {target}")


def _verb(text: str) -> Verb:
    match text:
        case "predict":
            return "predict"
        case "classify":
            return "classify"
        case _:
            return "regress"


def _decoded(text: str) -> str:
    return unquote_to_bytes(text.encode("latin-1")).decode("utf-8", "surrogateescape")


def _version(digits: str | None) -> int | None:
    if digits is None:
        return None
    # A row of digits that is longer than this cannot be an int64, and Python refuses to read very long ones.
    if len(digits.lstrip("0")) > 19 or int(digits) > LARGEST_VERSION:
        raise invalid(f"Failed to convert version: {digits[:100]} to numeric.")
    return int(digits)
