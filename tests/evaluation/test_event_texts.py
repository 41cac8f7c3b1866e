"""Events in words."""

import dataclasses

import numpy as np
import pytest

from recsys_tf.evaluation.event_texts import event_text, item_title, search_text, time_text
from recsys_tf.evaluation.queries import SEARCH
from recsys_tf.events.schema import BEHAVIORS
from recsys_tf.sequences.dataset import PreparedData
from recsys_tf.sequences.feature_space import FeatureSpace
from recsys_tf.sequences.vocabularies import FIRST, PADDING, UNKNOWN, Vocabulary

RED, LAMP, PART = FIRST, FIRST + 1, FIRST + 2


@pytest.fixture
def space(prepared: PreparedData) -> FeatureSpace:
    """Two words and a part of one; the first item is a red lamp, the second has no title."""
    titles = ("Red lamp", "", *prepared.space.catalogue.titles[2:])
    return dataclasses.replace(
        prepared.space,
        word_vocabulary=Vocabulary("words", ("red", "lamp", "#<re")),
        catalogue=dataclasses.replace(prepared.space.catalogue, titles=titles),
    )


def test_every_behaviour_has_its_words(space: FeatureSpace) -> None:
    nothing = np.zeros(2, np.int64)
    said = [event_text(space, FIRST, FIRST + i, nothing) for i, one in enumerate(BEHAVIORS) if one != "search"]
    assert said == [
        "viewed Red lamp",
        "clicked on Red lamp",
        "put Red lamp in the cart",
        "marked Red lamp as a favourite",
        "bought Red lamp",
    ]
    assert event_text(space, PADDING, SEARCH, np.array([RED, LAMP])) == "searched for “red lamp”"


def test_an_item_without_a_title_is_named_by_its_id(space: FeatureSpace) -> None:
    assert item_title(space, FIRST + 1) == space.catalogue.item_ids[1]
    assert item_title(space, UNKNOWN) == "an item outside the catalogue"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([RED, LAMP, PART, UNKNOWN, PADDING], "red lamp"),
        ([RED, UNKNOWN, LAMP, PADDING], "red … lamp"),
        ([UNKNOWN, UNKNOWN, UNKNOWN, PART], "…"),
        ([PADDING], ""),
    ],
)
def test_words_of_a_search_are_read_back(space: FeatureSpace, words: list[int], said: str) -> None:
    assert search_text(space, np.array(words)) == said


def test_times_are_text() -> None:
    assert time_text(0) == ""
    assert time_text(86_400_000 * 365 + 3_600_000 * 13 + 60_000 * 5 + 59_999) == "1971-01-01 13:05"
