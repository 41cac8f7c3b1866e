"""Items that users had before, taken out of the answers where they never repeat one."""

import numpy as np
import scipy.sparse as sp

from recsys_tf.evaluation.queries import Ints, Queries
from recsys_tf.sequences.vocabularies import FIRST


def targets_and_excluded(queries: Queries, items: int, remove_seen: bool) -> tuple[Ints, sp.csr_matrix | None]:
    """Return what is to be found and what is taken out of the answers.

    Targets are int64 [queries], catalogue indices, -1 for what cannot be found: an item outside the catalogue, and with
    remove_seen one that the user had before. Excluded is [queries, items], None where nothing is.
    """
    targets = queries.target_row - FIRST
    if not remove_seen:
        return targets, None
    excluded = seen_items(queries, items)
    repeated = np.asarray(excluded[np.arange(len(targets)), targets]).ravel()
    return np.where(repeated, -1, targets), excluded


def seen_items(queries: Queries, items: int) -> sp.csr_matrix:
    """Mark the items of each history: [queries, items]."""
    histories = queries.histories()
    query, position = np.nonzero(histories.known())
    item = histories.items[query, position]
    if queries.earlier is not None:
        query = np.concatenate([query, queries.earlier[:, 0]])
        item = np.concatenate([item, queries.earlier[:, 1] - FIRST])
    return sp.csr_matrix((np.ones(len(query), bool), (query, item)), shape=(len(queries), items))
