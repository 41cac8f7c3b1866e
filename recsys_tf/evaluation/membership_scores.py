"""What somebody who has the model and a user's history can go by to say whether it was trained on that user."""

from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from recsys_tf.models.retrieval import Retrieval
from recsys_tf.models.surprise import surprises
from recsys_tf.sequences.catalogue import Catalogue
from recsys_tf.sequences.newest_windows import newest_windows
from recsys_tf.sequences.shards import UserSequences
from recsys_tf.sequences.vocabularies import FIRST
from recsys_tf.training.fit_risk import in_batches

Array = npt.NDArray[Any]

LOSS = "loss: the model is not surprised"
CALIBRATED = "loss, less what popularity explains"
KNOWN_ITEMS = "items that the model has an id for"
POPULARITY = "popularity alone, which cannot know"


def membership_scores(
    retrieval: Retrieval, sequences: UserSequences, catalogue: Catalogue, length: int
) -> tuple[Array, dict[str, Array]]:
    """Score users by the newest `length` of their events; each of `sequences` is judged as a whole.

    Returns which users have an event to judge, one whose item is in the catalogue, bool [users], and each score of
    those, float64 [judged users], higher for who looks like a member:

    - LOSS, minus the mean -log P(item | what came before) (Yeom et al. 2018);
    - CALIBRATED, the same less how surprising the items are by popularity alone (after Watson et al. 2022, who take
      another model for it): rare items surprise a model of whoever they are;
    - KNOWN_ITEMS, the share of the items that the training side knows: members' own always are;
    - POPULARITY, minus the mean -log of the items' shares of everybody else's events. It cannot know who was trained
      on, so that it tells whether members and others are alike but for that.
    """
    counts = np.diff(sequences.first)
    windows = newest_windows(sequences, np.arange(len(counts)), counts, length)
    table = retrieval.model.table()
    items = retrieval.model.candidates(table)

    def ask(ids: dict[str, Any]) -> dict[str, Any]:
        surprise, _ = surprises(retrieval.every_query(ids), items, ids)
        return {"surprise": tf.reduce_sum(surprise, axis=1)}

    rows = windows["row"]
    is_judged = rows >= FIRST
    some: Array = np.any(is_judged, axis=1)
    sums = (
        in_batches(ask, windows)["surprise"].astype(np.float64),
        np.sum(_rarity(sequences, rows, len(catalogue)), axis=1, where=is_judged),
        np.sum(catalogue.item[rows] >= FIRST, axis=1, where=is_judged),
    )
    surprise, rarity, known = (one[some] / is_judged.sum(axis=1)[some] for one in sums)
    return some, {LOSS: -surprise, CALIBRATED: rarity - surprise, KNOWN_ITEMS: known, POPULARITY: -rarity}


def _rarity(sequences: UserSequences, rows: Array, items: int) -> Array:
    """-log of each item's share of everybody else's events, one event of each item added: float64 [users, length].

    rows: int64 [users, length], catalogue rows of the users of `sequences`, one row each.
    """
    width = FIRST + items
    user = np.repeat(np.arange(len(sequences.users)), np.diff(sequences.first))
    is_item = sequences.row >= FIRST
    all_of_item = np.bincount(sequences.row[is_item], minlength=width)
    all_of_user = np.bincount(user[is_item], minlength=len(sequences.users))
    pair, own = np.unique(user[is_item] * width + sequences.row[is_item], return_counts=True)
    asked = np.arange(len(rows))[:, np.newaxis] * width + rows
    at = np.minimum(np.searchsorted(pair, asked), len(pair) - 1)
    others = all_of_item[rows] - np.where(pair[at] == asked, own[at], 0) + 1.0
    total = all_of_item.sum() - all_of_user[:, np.newaxis] + items
    return np.asarray(-np.log(others / total))
