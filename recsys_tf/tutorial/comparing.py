"""Whether what a block prints is what the text says it prints: the same words, and the same numbers within rounding."""

import re

# A time or a speed is of that machine and hour.
_TOKEN = re.compile(
    r"(?P<number>[-+−]?\d[\d,]*(?:\.\d+)?(?:[eE][-+]?\d+)?)"
    r"(?P<unit> ?(?:µs|ms|s|min|h|seconds|minutes|[a-z]+/s|MiB|GiB)\b)?"
)


def differences(said: str, found: str, tolerance: float = 0.0) -> list[str]:
    """Name every line in which a run differs from the text, by words or by more than the rounding of a number.

    tolerance: how far numbers may differ, in units of 1 below 1 and as a share above.
    """
    expected, actual = said.splitlines(), found.splitlines()
    if len(expected) != len(actual):
        return [f"{len(expected)} lines in the text, {len(actual)} in the run", *(f"  run: {line}" for line in actual)]
    return [
        f"line {number}: {one!r} in the text, {other!r} in the run"
        for number, (one, other) in enumerate(zip(expected, actual, strict=True), start=1)
        if not _same(one, other, tolerance)
    ]


def _same(said: str, found: str, tolerance: float) -> bool:
    if _words(said) != _words(found):
        return False
    pairs = zip(_TOKEN.finditer(said), _TOKEN.finditer(found), strict=True)
    return all(_close(one["number"], other["number"], tolerance) for one, other in pairs if not one["unit"])


def _words(line: str) -> list[str]:
    return _TOKEN.sub(lambda token: f"0{token['unit'] or ''}", line).split()


def _close(said: str, found: str, tolerance: float) -> bool:
    one, other = _value(said), _value(found)
    # The last digit that is printed may be rounded the other way.
    rounding = 1.01 * 10.0 ** -_decimals(said) if _decimals(said) else 0.0
    return abs(one - other) <= rounding + tolerance * max(1.0, abs(one))


def _value(number: str) -> float:
    return float(number.replace(",", "").replace("−", "-"))


def _decimals(number: str) -> int:
    digits = number.lower().partition("e")
    places = len(digits[0].partition(".")[2])
    return places - int(digits[2]) if digits[2] else places
