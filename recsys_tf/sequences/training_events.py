"""The training events of a prepared data set as plain arrays, for everything that counts."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from recsys_tf.sequences.dataset import PreparedData, read_users
from recsys_tf.sequences.vocabularies import PADDING

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class FlatEvents:
    """Training events of some users, user after user: int64 [events] each, words [events, words].

    user: the user's number, counted over the whole data set; timestamp in ms, 0 = not known.
    """

    user: Ints
    row: Ints
    behavior: Ints
    timestamp: Ints
    words: Ints

    def next_rows(self) -> Ints:
        """Return the catalogue row of the same user's next event, PADDING where there is none: int64 [events]."""
        following = np.append(self.row[1:], PADDING)
        last = np.append(self.user[1:] != self.user[:-1], True)[: len(self.row)]
        return np.where(last, PADDING, following[: len(self.row)])


def read_training_parts(data: PreparedData) -> Iterator[FlatEvents]:
    """Read the training side, one partition of users at a time, so that memory does not grow with their number."""
    seen = 0
    for batch in read_users(data).as_numpy_iterator():
        length = batch["length"]
        within = np.arange(length.sum()) - np.repeat(np.cumsum(length) - length, length)
        known = within < np.repeat(batch["training_end"], length)
        user = np.repeat(np.arange(seen, seen + len(length)), length)
        seen += len(length)
        yield FlatEvents(user[known], *(batch[name][known] for name in ("row", "behavior", "timestamp", "words")))
