"""Diagrams of Mermaid as pictures."""

import re
from xml.etree import ElementTree

import pytest

from recsys_tf.tutorial.diagrams import drawn


def widths(picture: str) -> list[float]:
    found = re.findall(r'<foreignObject[^>]* width="([\d.]+)"', picture)
    return sorted(float(width) for width in found if float(width))


def test_chinese_labels_have_room_and_are_kept() -> None:
    picture = drawn("graph LR\n    A[数据清洗之后] --> B[ok]\n")
    assert "数据清洗之后" in picture
    # Six signs of 16 px each, measured a little narrower.
    assert 6 * 16 * 0.85 < widths(picture)[-1] < 6 * 16 * 1.1
    assert ElementTree.fromstring(picture).tag.endswith("svg")


def test_other_labels_are_as_they_were() -> None:
    assert drawn("graph LR\n    A[one] --> B[two]\n") == drawn("graph LR\n    A[one] --> B[two]\n")
    assert "two" in drawn("graph LR\n    A[one] --> B[two]\n")


def test_no_label_is_cut_off_where_fonts_are_wider() -> None:
    picture = drawn("graph LR\n    A[清洗] -- 然后 --> B[two]\n")
    labels = re.findall(r"<foreignObject[^>]*>", picture)
    assert labels
    assert all('overflow="visible"' in label for label in labels)


def test_too_many_different_signs_are_refused() -> None:
    signs = "".join(chr(code) for code in range(0x4E00, 0x4E00 + 2000))
    with pytest.raises(ValueError, match="2000 different Chinese signs"):
        drawn(f"graph LR\n    A[{signs}] --> B[b]\n")
