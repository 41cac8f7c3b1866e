"""Kinds of questions: where a recommender is good and where it is not says more than its average."""

import numpy as np
import numpy.typing as npt

from recsys_tf.evaluation.interactions import Interactions
from recsys_tf.evaluation.queries import SEARCH, Ints, Queries
from recsys_tf.events.schema import BEHAVIORS
from recsys_tf.sequences.vocabularies import FIRST

BoolArray = npt.NDArray[np.bool_]


def query_slices(queries: Queries, train: Interactions, searches: Ints) -> dict[str, dict[str, BoolArray]]:
    """Sort queries into slices: group → slice → mask [queries].

    train: the training log, which says how popular a target is; searches: int64 [lists, words], the word ids of the
    training searches. A slice without queries is left out, and so is a group of a single slice.
    """
    target = queries.target_row - FIRST
    counts = np.bincount(train.item, minlength=train.number_of_items)
    # A target outside the catalogue (-1) has no training event either.
    seen = np.where(target >= 0, counts[target], 0)
    groups = {
        "length of the history": _by_length(queries.held - 1),
        "popularity of the target": _by_popularity(seen, counts[train.item]),
        "behaviour of the target": {
            name: queries.target_behavior == FIRST + i for i, name in enumerate(BEHAVIORS) if FIRST + i != SEARCH
        },
        "target item": {"known": seen > 0, "new": seen == 0},
        **_by_question(queries, searches),
    }
    filled = {group: {name: mask for name, mask in slices.items() if mask.any()} for group, slices in groups.items()}
    return {group: slices for group, slices in filled.items() if len(slices) > 1}


def _by_length(length: Ints) -> dict[str, BoolArray]:
    """Slices by the item and search events of a history, [queries]; the start token is none."""
    return {
        "empty": length == 0,
        "1–4": (length >= 1) & (length < 5),
        "5–19": (length >= 5) & (length < 20),
        "20 or more": length >= 20,
    }


def _by_popularity(seen: Ints, popularity: Ints) -> dict[str, BoolArray]:
    """Slices by the training events of the target, [queries]; popularity [events]: those of each training event's item.

    Rare, medium and popular items hold a third of the training events each, as nearly as whole items allow.
    """
    if len(popularity) == 0:
        return {"new (0)": seen == 0}
    low, high = (int(bound) for bound in np.quantile(popularity, [1 / 3, 2 / 3], method="inverted_cdf"))
    return {
        "new (0)": seen == 0,
        f"rare ({_span(1, low)})": (seen >= 1) & (seen <= low),
        f"medium ({_span(low + 1, high)})": (seen > low) & (seen <= high),
        f"popular ({high + 1:,} or more)": seen > high,
    }


def _by_question(queries: Queries, searches: Ints) -> dict[str, dict[str, BoolArray]]:
    """Groups by what is asked: a search is answered when the newest event of the history is one, the feed otherwise.

    The words of a search count as seen when training holds the same list of word ids; words without an id of their own
    are all alike.
    """
    rows, newest = np.arange(len(queries)), queries.held - 1
    asks = queries.ids["behavior"][rows, newest] == SEARCH
    words = queries.ids["words"][rows, newest]
    words = np.pad(words, [(0, 0), (0, searches.shape[1] - words.shape[1])])
    number = np.unique(np.concatenate([searches, words]), axis=0, return_inverse=True)[1].ravel()
    seen = np.isin(number[len(searches) :], number[: len(searches)])
    return {
        "question": {"search": asks, "feed": ~asks},
        "words of the search": {"seen in training": asks & seen, "new": asks & ~seen},
    }


def _span(low: int, high: int) -> str:
    return f"{low:,}" if low == high else f"{low:,}–{high:,}"
