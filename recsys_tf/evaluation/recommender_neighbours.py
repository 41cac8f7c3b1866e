"""Simple recommenders by what goes together: the item that came next, and the items of the same sessions."""

from dataclasses import dataclass
from typing import Self

import numpy as np
import scipy.sparse as sp

from recsys_tf.evaluation.interactions import Histories, Interactions, recency
from recsys_tf.evaluation.ranking_metrics import Floats, Ints, Scores
from recsys_tf.evaluation.recommender_baselines import popularity_places, raised

# Items whose similarities are computed at once, [BLOCK, items], mostly zeros.
BLOCK = 512


@dataclass(frozen=True)
class MarkovItems:
    """First-order Markov chain: what most often followed the newest item in training, then all others by popularity."""

    popularity: Scores
    # How often each item (column) came right after each item (row), [items, items].
    transitions: sp.csr_matrix

    @classmethod
    def fit(cls, train: Interactions) -> Self:
        """Count each pair of neighbouring events of one user."""
        same = train.user[1:] == train.user[:-1]
        pairs = train.item[:-1][same], train.item[1:][same]
        shape = (train.number_of_items, train.number_of_items)
        return cls(popularity_places(train), sp.csr_matrix((np.ones(len(pairs[0])), pairs), shape=shape))

    def scores(self, histories: Histories) -> Scores:
        """Return [queries, items] float32."""
        row, item, age = recency(histories)
        newest = age == 0
        followers = self.transitions[item[newest]].tocoo()
        return raised(row[newest][followers.row], followers.col, followers.data, histories, self.popularity)


@dataclass(frozen=True)
class SessionNeighbours:
    """Item-kNN: items whose sessions are those of the user's last items, by cosine (Sarwar et al. 2001, section 3.1.1).

    A session counts an item once. Score = sum over the last items of decay^age × cosine, age 0 being the newest.
    """

    popularity: Scores
    # Cosine of each item (row) with its nearest other items (columns), [items, items].
    similarities: sp.csr_matrix
    last: int
    decay: float

    @classmethod
    def fit(cls, train: Interactions, neighbours: int = 100, last: int = 20, decay: float = 0.8) -> Self:
        """Keep each item's nearest neighbours; without sessions in the log, a user's whole history is one."""
        session = train.user if train.session is None else train.session
        popularity = popularity_places(train)
        cosines = session_cosines(session, train.item, train.number_of_items, neighbours, popularity)
        return cls(popularity, cosines, last, decay)

    def scores(self, histories: Histories) -> Scores:
        """Return [queries, items] float32."""
        row, item, age = recency(histories)
        used = age < self.last
        weights = self.decay ** age[used]
        shape = (len(histories.lengths), len(self.popularity))
        near = (sp.csr_matrix((weights, (row[used], item[used])), shape=shape) @ self.similarities).tocoo()
        # Sums that are equal on paper differ in their last digits; rounded, they tie, and popularity decides.
        return raised(near.row, near.col, np.round(near.data, 9), histories, self.popularity)


def session_cosines(session: Ints, item: Ints, items: int, neighbours: int, popularity: Scores) -> sp.csr_matrix:
    """Return each item's largest cosines with other items, [items, items], rows sorted by nothing in particular.

    session [n], item [n] int64; popularity [items] decides which of equally near items are kept. Computed for a block
    of items at a time, so that long sessions never fill memory with the whole [items, items] matrix.
    """
    sessions, number = np.unique(session, return_inverse=True)
    incidence = sp.csc_matrix((np.ones(len(item)), (number, item)), shape=(len(sessions), items))
    incidence.data[:] = 1.0
    length = np.sqrt(np.asarray(incidence.sum(axis=0)).ravel())
    scaled = (incidence @ sp.diags(1.0 / np.maximum(length, 1.0))).tocsr()
    across = scaled.T.tocsr()
    blocks = [
        _nearest((across[start : start + BLOCK] @ scaled).tocoo(), start, neighbours, popularity)
        for start in range(0, items, BLOCK)
    ]
    row, column, cosine = (np.concatenate(parts) for parts in zip(*blocks, strict=True))
    return sp.csr_matrix((cosine, (row, column)), shape=(items, items))


def _nearest(cosines: sp.coo_matrix, start: int, neighbours: int, popularity: Scores) -> tuple[Ints, Ints, Floats]:
    """Keep the largest cosines of each row but the item's own; rows of the block begin at item `start`."""
    other = cosines.row + start != cosines.col
    row, column, cosine = cosines.row[other], cosines.col[other], np.round(cosines.data[other], 12)
    order = np.lexsort((-popularity[column], -cosine, row))
    row, column, cosine = row[order], column[order], cosine[order]
    kept = np.arange(row.size) - np.searchsorted(row, row) < neighbours
    return row[kept].astype(np.int64) + start, column[kept].astype(np.int64), cosine[kept]
