"""Floats as TensorFlow Serving writes them: as few digits as come back to the same value, and always a float's look."""

import math

import numpy as np
import numpy.typing as npt


def write_floats(values: npt.NDArray[np.float32] | npt.NDArray[np.float64]) -> list[str]:
    """Write a flat array [n] of float32 or float64, one text per value.

    Six significant digits where they read back as the same value, else nine for float32 and seventeen for float64;
    a whole number ends in ".0"; NaN, Infinity and -Infinity are bare words.
    """
    numbers = values.tolist()
    texts = [f"{number:.6g}" for number in numbers]
    with np.errstate(over="ignore"):
        read_back = np.array([float(text) for text in texts], np.float64).astype(values.dtype)
    exact = ".9g" if values.dtype == np.float32 else ".17g"
    for index in np.flatnonzero(read_back != values).tolist():
        texts[index] = _word(numbers[index]) or format(numbers[index], exact)
    for index in np.flatnonzero(np.isinf(values)).tolist():
        texts[index] = _word(numbers[index])
    return [text if "." in text or "e" in text or "n" in text or "N" in text else f"{text}.0" for text in texts]


def write_float(value: float) -> str:
    """Write one float64."""
    return write_floats(np.array([value], np.float64))[0]


def _word(number: float) -> str:
    if math.isnan(number):
        return "NaN"
    if math.isinf(number):
        return "Infinity" if number > 0 else "-Infinity"
    return ""
