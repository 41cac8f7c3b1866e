"""Simple recommenders by popularity and by the user's own history.

Every recommender is fitted by a class method and then scores a block of queries, [queries, items] float32. A score is
a place in an order: 1 … items by popularity, and above them the items that the rule speaks for. Places are whole
numbers, exact in float32 up to 8 million items, so no two items of a query tie, and popularity has the last word.
"""

from dataclasses import dataclass
from typing import Protocol, Self

import numpy as np
import numpy.typing as npt

from recsys_tf.errors import InputError
from recsys_tf.evaluation.interactions import Histories, Interactions, recency
from recsys_tf.evaluation.ranking_metrics import Floats, Ints, Scores

DAY_MS = 24 * 60 * 60 * 1000


class Recommender(Protocol):
    """Anything that scores the whole catalogue for a block of histories."""

    def scores(self, histories: Histories) -> Scores:
        """Return [queries, items] float32, larger for the better item."""


@dataclass(frozen=True)
class MostPopular:
    """The items with the most training events, the same for everybody; popularity [items] float32 holds places."""

    popularity: Scores

    @classmethod
    def fit(cls, train: Interactions) -> Self:
        """Count each item's training events."""
        return cls(popularity_places(train))

    def scores(self, histories: Histories) -> Scores:
        """Return [queries, items] float32: every query's row is the popularity."""
        return np.tile(self.popularity, (len(histories.lengths), 1))


@dataclass(frozen=True)
class RecentlyPopular:
    """The items with the most events in the last days of the training log, then the others by all their events."""

    popularity: Scores

    @classmethod
    def fit(cls, train: Interactions, days: float = 7) -> Self:
        """Count the events of the last days; raises InputError for a log without times, which has no last days."""
        if train.timestamp is None:
            raise InputError(f"a log that holds only an order has no last {days:g} days")
        newest = train.timestamp.max(initial=0)
        recent = train.item[train.timestamp > newest - days * DAY_MS]
        counts = np.bincount(recent, minlength=train.number_of_items)
        return cls(places(counts, popularity_places(train)))

    def scores(self, histories: Histories) -> Scores:
        """Return [queries, items] float32: every query's row is the recent popularity."""
        return np.tile(self.popularity, (len(histories.lengths), 1))


@dataclass(frozen=True)
class RecentItems:
    """The user's own items, the most recent first, then all others by popularity."""

    popularity: Scores

    @classmethod
    def fit(cls, train: Interactions) -> Self:
        """Count each item's training events."""
        return cls(popularity_places(train))

    def scores(self, histories: Histories) -> Scores:
        """Return [queries, items] float32."""
        row, item, age = recency(histories)
        cells, cell = _cells(row, item, len(self.popularity))
        newest = np.full(len(cells), -np.inf)
        np.maximum.at(newest, cell, -age)
        return raised(cells // len(self.popularity), cells % len(self.popularity), newest, histories, self.popularity)


@dataclass(frozen=True)
class FrequentItems:
    """The user's own items, the most frequent first and of those the most recent, then all others by popularity."""

    popularity: Scores

    @classmethod
    def fit(cls, train: Interactions) -> Self:
        """Count each item's training events."""
        return cls(popularity_places(train))

    def scores(self, histories: Histories) -> Scores:
        """Return [queries, items] float32."""
        row, item, age = recency(histories)
        cells, cell = _cells(row, item, len(self.popularity))
        length = histories.items.shape[1]
        newest = np.full(len(cells), -np.inf)
        np.maximum.at(newest, cell, -age)
        # Age stays below the length, so it cannot outweigh one more occurrence.
        value = np.bincount(cell, minlength=len(cells)) * float(length) + newest
        return raised(cells // len(self.popularity), cells % len(self.popularity), value, histories, self.popularity)


def popularity_places(train: Interactions) -> Scores:
    """Return each item's place by training events, 1 for the fewest: [items] float32.

    Of equally popular items the lower index stands higher.
    """
    counts = np.bincount(train.item, minlength=train.number_of_items)
    return places(counts, -np.arange(train.number_of_items))


def places(values: npt.NDArray[np.number], tie_break: npt.NDArray[np.number]) -> Scores:
    """Return the place of each value in ascending order, 1 for the smallest; all three arrays are [items]."""
    place = np.empty(len(values), np.float32)
    place[np.lexsort((tie_break, values))] = np.arange(1, len(values) + 1)
    return place


def raised(row: Ints, item: Ints, value: Floats, histories: Histories, popularity: Scores) -> Scores:
    """Return popularity for every query, and above it the given items in the order of their values.

    row, item, value [m]: the items that a rule speaks for, each pair of query and item once; of equal values the more
    popular item stands higher. Result [queries, items] float32.
    """
    return placed_above(row, item, value, len(histories.lengths), popularity)


def placed_above(
    row: Ints, item: Ints, value: npt.NDArray[np.number], number_of_queries: int, popularity: Scores
) -> Scores:
    """Do what `raised` does, for a number of queries."""
    scores = np.tile(popularity, (number_of_queries, 1))
    order = np.lexsort((popularity[item], value, row))
    row, item = row[order], item[order]
    place = np.arange(1, row.size + 1) - np.searchsorted(row, row)
    scores[row, item] = len(popularity) + place
    return scores


def _cells(row: Ints, item: Ints, number_of_items: int) -> tuple[Ints, Ints]:
    """Number the pairs of query and item: the distinct row × items + item, and each position's index among them."""
    cells, cell = np.unique(row * number_of_items + item, return_inverse=True)
    return cells, cell
