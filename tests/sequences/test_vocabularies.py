"""Text gets ids by training counts, and the files give the same ids back."""

from pathlib import Path

import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from recsys_tf.errors import InputError
from recsys_tf.sequences.vocabularies import FIRST, PADDING, UNKNOWN, Vocabulary, fit_vocabulary


def test_frequent_tokens_come_first_and_rare_ones_not_at_all() -> None:
    vocabulary = fit_vocabulary("items", ["b", "a", "b", "c", "a", "b", "", ""], min_count=2)
    assert vocabulary.tokens == ("b", "a")
    ids = vocabulary.table().lookup(tf.constant(["b", "a", "c", "never", ""])).numpy()
    assert ids.tolist() == [FIRST, FIRST + 1, UNKNOWN, UNKNOWN, PADDING]


def test_equal_counts_are_ordered_by_text() -> None:
    assert fit_vocabulary("v", ["b", "a", "c"]).tokens == ("a", "b", "c")


@given(st.lists(st.text(st.characters(codec="utf-8"), min_size=1), unique=True, max_size=20))
def test_any_text_survives_the_file(tmp_path_factory: pytest.TempPathFactory, tokens: list[str]) -> None:
    folder = tmp_path_factory.mktemp("vocabulary")
    Vocabulary("v", tuple(tokens)).save(folder)
    assert Vocabulary.load(folder, "v").tokens == tuple(tokens)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"items\.txt"):
        Vocabulary.load(tmp_path, "items")
