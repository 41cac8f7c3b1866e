"""What the recommenders of this room read: a training log of item numbers, and the histories to answer."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from recsys_tf.evaluation.ranking_metrics import Ints

SESSION_GAP_MS = 30 * 60 * 1000


@dataclass(frozen=True)
class Interactions:
    """A training log sorted by user, then time.

    user [n] int64; item [n] int64, 0-based index in the catalogue; timestamp [n] int64 milliseconds UTC, or None for a
    log that holds only an order; session [n] int64, or None where a user's whole history is one session.
    """

    user: Ints
    item: Ints
    timestamp: Ints | None
    number_of_items: int
    session: Ints | None = None


@dataclass(frozen=True)
class Histories:
    """Queries: items [queries, length] int64, oldest first, -1 as padding on the right and for an event without a known
    item; lengths [queries] int64 counts the real positions."""

    items: Ints
    lengths: Ints

    def block(self, rows: slice) -> "Histories":
        """Return some of the queries."""
        return Histories(self.items[rows], self.lengths[rows])

    def known(self) -> npt.NDArray[np.bool_]:
        """Return where a real position holds a known item: [queries, length] bool."""
        return (self.items >= 0) & (np.arange(self.items.shape[1]) < self.lengths[:, None])


def sessions_by_gap(user: Ints, timestamp: Ints, gap_ms: int = SESSION_GAP_MS) -> Ints:
    """Number the sessions of a log sorted by user, then time: a gap above gap_ms milliseconds begins a new one; [n]."""
    begins = (np.diff(user, prepend=-1) != 0) | (np.diff(timestamp, prepend=0) > gap_ms)
    begins[:1] = False
    return np.cumsum(begins)


def recency(histories: Histories) -> tuple[Ints, Ints, Ints]:
    """Return row, item and age of every known position; age 0 is the newest known item of its history."""
    known = histories.known()
    age = known[:, ::-1].cumsum(axis=1)[:, ::-1] - 1
    row, position = np.nonzero(known)
    return row, histories.items[row, position], age[row, position]
