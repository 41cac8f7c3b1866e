"""The strong simple rule of a search box: what others took up after typing the same."""

from dataclasses import dataclass
from typing import Self

import numpy as np

from recsys_tf.evaluation.interactions import Interactions
from recsys_tf.evaluation.queries import Queries, SearchClicks
from recsys_tf.evaluation.ranking_metrics import Ints, Scores
from recsys_tf.evaluation.recommender_baselines import placed_above, popularity_places
from recsys_tf.sequences.vocabularies import FIRST


@dataclass(frozen=True)
class QueryLookup:
    """Items by how often they followed the same search in training, then all others by popularity.

    Two searches are the same when their words have the same ids; without a search only popularity speaks.
    popularity: places [items] float32. clicks: searches of the training side and what followed them.
    """

    popularity: Scores
    clicks: SearchClicks

    @classmethod
    def fit(cls, train: Interactions, clicks: SearchClicks) -> Self:
        """Keep the searches that an item event followed."""
        followed = clicks.row >= FIRST
        kept = SearchClicks(clicks.words[followed], clicks.row[followed], clicks.count[followed])
        return cls(popularity_places(train), kept)

    def scores(self, queries: Queries, rows: slice) -> Scores:
        """Score the whole catalogue for a slice of the queries: [queries, items] float32."""
        newest = queries.held[rows] - 1
        at = np.arange(len(newest))
        query, pair = equal_lists(queries.ids["words"][rows][at, newest], self.clicks.words)
        item = self.clicks.row[pair] - FIRST
        return placed_above(query, item, self.clicks.count[pair], len(newest), self.popularity)


def equal_lists(first: Ints, second: Ints) -> tuple[Ints, Ints]:
    """Return every pair of equal rows of [n, words] and [m, words], word ids padded with 0, as indices [pairs] each.

    Rows without any word are equal to none.
    """
    width = max(first.shape[1], second.shape[1])
    first, second = (np.pad(one, [(0, 0), (0, width - one.shape[1])]) for one in (first, second))
    number = np.unique(np.concatenate([first, second]), axis=0, return_inverse=True)[1].ravel()
    asked, known = number[: len(first)], number[len(first) :]
    order = np.argsort(known, kind="stable")
    low, high = (np.searchsorted(known[order], asked, side=side) for side in ("left", "right"))
    number_of = np.where(first.any(axis=1), high - low, 0)
    query = np.repeat(np.arange(len(first)), number_of)
    nth = np.arange(len(query)) - np.repeat(np.cumsum(number_of) - number_of, number_of)
    return query, order[np.repeat(low, number_of) + nth]
