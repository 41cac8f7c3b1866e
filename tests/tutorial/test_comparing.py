"""When a run counts as the same as its text."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys_tf.tutorial.comparing import differences


@pytest.mark.parametrize(
    ("said", "found"),
    [
        ("", ""),
        ("accuracy 0.541\n", "accuracy 0.542\n"),  # rounded the other way
        ("a    b\n", "a b\n"),  # columns are as wide as their numbers
        ("epoch 1  3.1 s  12.0 steps/s\n", "epoch 1  9.9 s  4.5 steps/s\n"),
        ("peak 900 MiB, 1,200 rows\n", "peak 1100 MiB, 1,200 rows\n"),
        ("1.25e-07\n", "1.26e-07\n"),
    ],
)
def test_same(said: str, found: str) -> None:
    assert differences(said, found) == []


@pytest.mark.parametrize(
    ("said", "found"),
    [
        ("accuracy 0.541\n", "accuracy 0.544\n"),
        ("1,234 rows\n", "1,235 rows\n"),
        ("label lamp\n", "label chair\n"),
        ("one\n", "one\ntwo\n"),
        ("12 rows\n", "12 s\n"),
        ("-0.5\n", "0.5\n"),
        ("1.25e-07\n", "1.25e-06\n"),
        ("x = [1, 2]\n", "x = [1, 2, 3]\n"),
    ],
)
def test_different(said: str, found: str) -> None:
    assert differences(said, found)


def test_a_tolerance_is_absolute_below_one_and_a_share_above() -> None:
    assert differences("0.50", "0.52", tolerance=0.02) == []
    assert differences("0.50", "0.54", tolerance=0.02)
    assert differences("200", "203", tolerance=0.02) == []
    assert differences("200", "205", tolerance=0.02)
    assert differences("lamp 1", "chair 1", tolerance=0.5)


@given(st.floats(-1e6, 1e6), st.integers(1, 6))
def test_a_number_printed_from_the_same_value_is_the_same(value: float, digits: int) -> None:
    text = f"{value:.{digits}f}"
    assert differences(text, text) == []
    far = value + 3 * 10.0**-digits
    assert differences(text, f"{far:.{digits}f}")
