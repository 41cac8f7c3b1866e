"""What was known at given moments: the events of a user before them, and the side of the split that they fall on."""

from typing import Any

import numpy as np
import numpy.typing as npt

from recsys_tf.sequences.shards import UserSequences
from recsys_tf.sequences.splits import TEST, TRAINING, VALIDATION

Ints = npt.NDArray[np.int64]


def places_of(sequences: UserSequences, user_ids: Any) -> Ints:
    """Find users by their ids, text [moments]: places in sequences.users, -1 for a user who is not among them."""
    order = np.argsort(np.array(sequences.users, object), kind="stable")
    names = np.array(sequences.users, object)[order]
    wanted = np.asarray(user_ids, object)
    at = np.minimum(np.searchsorted(names, wanted), max(len(names) - 1, 0))
    found: Ints = np.where(names[at] == wanted, order[at], -1).astype(np.int64)
    return found


def events_before(sequences: UserSequences, users: Ints, timestamp: Ints) -> Ints:
    """Count the events of each user strictly before a moment: int64 [moments].

    users: int64 [moments], places in sequences.users, -1 for somebody of whom nothing is known; timestamp: int64
    [moments], ms. An event at the very moment does not count.
    """
    owner = np.repeat(np.arange(len(sequences.users)), np.diff(sequences.first))
    # Ranks in place of times, so that user and time fit into one number whatever the times are.
    times, rank = np.unique(np.concatenate([sequences.timestamp, timestamp]), return_inverse=True)
    key = owner * len(times) + rank[: len(owner)]
    known = np.maximum(users, 0)
    end = np.searchsorted(key, known * len(times) + rank[len(owner) :], side="left")
    return np.where(users >= 0, end - sequences.first[known], 0)


def side_of(timestamp: Ints, validation_from: int, test_from: int) -> Ints:
    """Say on which side moments [moments] fall: TRAINING, VALIDATION or TEST."""
    return np.where(timestamp >= test_from, TEST, np.where(timestamp >= validation_from, VALIDATION, TRAINING))
