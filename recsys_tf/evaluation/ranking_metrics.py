"""Ranking over the whole catalogue: one rank per query, and every metric made from those ranks."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Scores = npt.NDArray[np.float32]


def target_ranks(scores: Scores, targets: Ints, excluded: sp.csr_matrix | None = None) -> Ints:
    """Return the place of each query's target among all items, 1 for the best, 0 for a target that is never found.

    scores [queries, items] float32; targets [queries] int64, -1 for an item that is not in the catalogue; excluded
    [queries, items] sparse, nonzero where an item (the target never) leaves the competition; result [queries] int64.
    A tie counts against the target: its rank is 1 + the number of other items with at least its score. A score of NaN
    is minus infinity, and a target at minus infinity is never found, just as one outside the catalogue.
    Raises ValueError for shapes that do not fit and for a target beyond the last item.
    """
    queries, items = scores.shape
    if targets.shape != (queries,) or (excluded is not None and excluded.shape != scores.shape):
        raise ValueError(f"scores {scores.shape}, targets {targets.shape} and excluded items do not fit together")
    if queries and (targets.min() < -1 or targets.max() >= items):
        raise ValueError(f"targets {targets.min()}…{targets.max()} in a catalogue of {items} items")
    rows = np.arange(queries)
    own = scores[rows, targets] if items else np.full(queries, -np.inf, np.float32)
    found = (targets >= 0) & (own > -np.inf)
    # A comparison with NaN is false, so such items never stand above the target; the target itself is the 1 in "1 +".
    ranks = np.count_nonzero(scores >= own[:, None], axis=1).astype(np.int64)
    if excluded is not None:
        row, column = _pairs(excluded)
        removed = (scores[row, column] >= own[row]) & (column != targets[row])
        ranks -= np.bincount(row[removed], minlength=queries)
    return np.where(found, ranks, 0)


def top_items(scores: Scores, k: int, excluded: sp.csr_matrix | None = None) -> Ints:
    """Return the k best items of each query, best first; of equal scores the lower index comes first.

    scores [queries, items] float32; excluded [queries, items] sparse; result [queries, k] int64, -1 where a query has
    fewer than k items that are neither excluded nor at NaN or minus infinity.
    """
    queries, items = scores.shape
    lists = np.full((queries, k), -1, np.int64)
    if min(queries, items, k) == 0:
        return lists
    usable = np.where(np.isnan(scores), np.float32(-np.inf), scores)
    if excluded is not None:
        usable[_pairs(excluded)] = -np.inf
    last = max(items - k, 0)
    threshold = np.partition(usable, last, axis=1)[:, last]
    row, column = np.nonzero((usable >= threshold[:, None]) & (usable > -np.inf))
    # Stable, and nonzero() yields columns in order: equal scores keep the order of their indices.
    order = np.lexsort((-usable[row, column], row))
    row, column = row[order], column[order]
    place = np.arange(row.size) - np.searchsorted(row, row)
    kept = place < k
    lists[row[kept], place[kept]] = column[kept]
    return lists


@dataclass(frozen=True)
class Ranking:
    """What a recommender did with a set of queries: ranks [queries] int64, lists [queries, list_length] int64."""

    ranks: Ints
    lists: Ints


def evaluate_recommender(
    score_block: Callable[[slice], Scores],
    targets: Ints,
    excluded: sp.csr_matrix | None = None,
    list_length: int = 0,
    block_size: int = 512,
) -> Ranking:
    """Rank every query's target and keep its best items, scoring block_size queries at a time.

    score_block(rows) gives float32 [rows, items] for a slice of the queries; targets and excluded as in target_ranks.
    """
    ranks, lists = [np.empty(0, np.int64)], [np.empty((0, list_length), np.int64)]
    for start in range(0, len(targets), block_size):
        rows = slice(start, min(start + block_size, len(targets)))
        scores, hidden = score_block(rows), None if excluded is None else excluded[rows]
        ranks.append(target_ranks(scores, targets[rows], hidden))
        lists.append(top_items(scores, list_length, hidden))
    return Ranking(np.concatenate(ranks), np.concatenate(lists))


def hit_rate(ranks: Ints, k: int) -> Floats:
    """Return 1 for each query whose target is among its k best items, else 0; [queries] float64."""
    return _found(ranks, k).astype(np.float64)


def ndcg(ranks: Ints, k: int) -> Floats:
    """Return 1 / log2(rank + 1) within the k best items, else 0 (one relevant item: ideal gain 1); [queries]."""
    return np.where(_found(ranks, k), 1.0 / np.log2(np.maximum(ranks, 1) + 1.0), 0.0)


def reciprocal_rank(ranks: Ints, k: int) -> Floats:
    """Return 1 / rank within the k best items, else 0; [queries] float64, its mean is MRR@k."""
    return np.where(_found(ranks, k), 1.0 / np.maximum(ranks, 1), 0.0)


def ranking_values(ranks: Ints, ks: Sequence[int]) -> dict[str, Floats]:
    """Return the values of every query, [queries] float64, under the names HR@k, NDCG@k and MRR@k for each k."""
    metrics = {"HR": hit_rate, "NDCG": ndcg, "MRR": reciprocal_rank}
    return {f"{name}@{k}": metric(ranks, k) for name, metric in metrics.items() for k in ks}


def _found(ranks: Ints, k: int) -> npt.NDArray[np.bool_]:
    return (ranks >= 1) & (ranks <= k)


def _pairs(matrix: sp.csr_matrix) -> tuple[Ints, Ints]:
    """Return row and column of every nonzero entry, each pair once."""
    merged = sp.csr_matrix(matrix, dtype=bool, copy=True)
    merged.sum_duplicates()
    row, column = merged.nonzero()
    return row.astype(np.int64), column.astype(np.int64)
