"""What recommended lists look like beyond accuracy: how much of the catalogue they show, how new, how varied.

Lists are int64 [queries, k] of catalogue indices, -1 where a list has no item.
"""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from recsys_tf.evaluation.ranking_metrics import Floats, Ints

# Lists whose items' vectors stand in memory at once.
BLOCK = 2048


def catalogue_coverage(lists: Ints, number_of_items: int) -> float:
    """Return the share of the catalogue that stands in at least one list; lists [queries, k], -1 is no item."""
    return float(np.count_nonzero(_exposure(lists, number_of_items)) / max(number_of_items, 1))


def gini_of_exposure(lists: Ints, number_of_items: int) -> float:
    """Return how unevenly lists show the catalogue: 0 each item equally often, towards 1 a single item all the time.

    lists [queries, k] int64, -1 is no item; items that are never shown count with exposure 0.
    """
    exposure = np.sort(_exposure(lists, number_of_items)).astype(np.float64)
    if exposure.sum() == 0:
        return 0.0
    weights = 2 * np.arange(1, number_of_items + 1) - number_of_items - 1
    return float((weights * exposure).sum() / (number_of_items * exposure.sum()))


def novelty(lists: Ints, counts: Ints) -> float:
    """Return the mean self-information of the items shown, in bits: rarer in training is newer to the user.

    An item's is -log2((count + 1) / (all counts + items)) (Castells, Vargas & Wang 2011; one added to each count, so
    that an item without training events has a finite one). lists [queries, k] int64, -1 is no item; counts [items]
    int64, training events of each item. 0 when nothing is shown.
    """
    information = -np.log2((counts + 1) / (counts.sum() + len(counts)))
    shown = lists[lists >= 0]
    return float(information[shown].mean()) if shown.size else 0.0


def intra_list_diversity(lists: Ints, vectors: npt.NDArray[np.floating]) -> float:
    """Return the mean over lists of 1 - the mean cosine of the list's pairs of items, 0 (all alike) … 2.

    lists [queries, k] int64, -1 is no item; vectors [items, width], a vector of length 0 being like none. Lists of
    fewer than two items have no pairs and are passed over; 0 when there are only such lists.
    """
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit = np.divide(vectors, length, out=np.zeros_like(vectors), where=length > 0)
    values = []
    for shown, items in _blocks_with_pairs(lists):
        placed = np.where(shown[..., None], unit[items], 0.0)
        # The square of a sum holds every pair twice, and the squares of the vectors themselves.
        pairs = (placed.sum(axis=1) ** 2).sum(axis=1) - (placed**2).sum(axis=(1, 2))
        values.append(1.0 - pairs / _ordered_pairs(shown))
    return float(np.concatenate(values).mean()) if values else 0.0


def category_diversity(lists: Ints, categories: Ints) -> float:
    """Return the mean over lists of the share of the list's pairs of items whose categories differ.

    It needs no model, so it judges every recommender by the same measure. lists [queries, k] int64, -1 is no item;
    categories [items] int64. Lists of fewer than two items are passed over; 0 when there are only such lists.
    """
    values = []
    for shown, items in _blocks_with_pairs(lists):
        category = categories[items]
        differ = category[:, :, None] != category[:, None, :]
        pairs = (differ & shown[:, :, None] & shown[:, None, :]).sum(axis=(1, 2))
        values.append(pairs / _ordered_pairs(shown))
    return float(np.concatenate(values).mean()) if values else 0.0


def _blocks_with_pairs(lists: Ints) -> Iterator[tuple[npt.NDArray[np.bool_], Ints]]:
    """Yield where a block of lists of two items or more shows an item, and the items, 0 where there is none."""
    paired = lists[(lists >= 0).sum(axis=1) >= 2]
    for start in range(0, len(paired), BLOCK):
        block = paired[start : start + BLOCK]
        yield block >= 0, np.maximum(block, 0)


def _ordered_pairs(shown: npt.NDArray[np.bool_]) -> Floats:
    items = shown.sum(axis=1).astype(np.float64)
    pairs: Floats = items * (items - 1.0)
    return pairs


def _exposure(lists: Ints, number_of_items: int) -> Ints:
    return np.bincount(lists[lists >= 0], minlength=number_of_items)
