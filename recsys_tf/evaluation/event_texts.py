"""Events in words: "viewed Red lamp", "searched for “red lamp”"."""

import numpy as np

from recsys_tf.evaluation.queries import SEARCH, Ints
from recsys_tf.events.schema import BEHAVIORS
from recsys_tf.sequences.feature_space import FeatureSpace
from recsys_tf.sequences.vocabularies import FIRST, PADDING

_SAID = {
    "view": "viewed {}",
    "search": "searched for {}",
    "click": "clicked on {}",
    "cart": "put {} in the cart",
    "favorite": "marked {} as a favourite",
    "purchase": "bought {}",
}


def event_text(space: FeatureSpace, row: int, behavior: int, words: Ints) -> str:
    """Say what one event was; words: int64 [words], ids, padded with 0."""
    thing = f"“{search_text(space, words)}”" if behavior == SEARCH else item_title(space, row)
    return _SAID[BEHAVIORS[behavior - FIRST]].format(thing)


def item_title(space: FeatureSpace, row: int) -> str:
    """Return the title of a catalogue row, or the item's id where it has none."""
    if row < FIRST:
        return "an item outside the catalogue"
    return space.catalogue.titles[row - FIRST] or space.catalogue.item_ids[row - FIRST]


def search_text(space: FeatureSpace, words: Ints) -> str:
    """Return the words of a search from their ids [words]; "…" stands for those that training has not seen."""
    said: list[str] = []
    for word in words[words != PADDING].tolist():
        token = space.word_vocabulary.tokens[word - FIRST] if word >= FIRST else "…"
        # Words come first; what begins with "#" is a part of one, and so is all that follows.
        if token.startswith("#"):
            break
        # An unknown part of a word looks like one more unknown word.
        if token != "…" or said[-1:] != ["…"]:
            said.append(token)
    return " ".join(said)


def time_text(timestamp: int) -> str:
    """Write milliseconds since 1970 (UTC) as "2026-03-14 15:09"; "" for 0, not known."""
    if not timestamp:
        return ""
    return str(np.datetime_as_string(np.datetime64(timestamp, "ms"), unit="m")).replace("T", " ")
