"""The newest events of a user, and accounts that were taken over, on a log that can be written out by hand."""

import numpy as np

from recsys_tf.sequences.newest_windows import newest_windows, spliced
from recsys_tf.sequences.shards import UserSequences
from recsys_tf.sequences.vocabularies import START


def sequences() -> UserSequences:
    """Anna has 4 events, Bob 3; Anna's third is a search for two words."""
    return UserSequences(
        users=["anna", "bob"],
        first=np.array([0, 4, 7]),
        training_end=np.array([2, 1]),
        validation_end=np.array([3, 2]),
        row=np.array([11, 12, 0, 14, 21, 22, 23]),
        behavior=np.array([3, 3, 4, 5, 3, 6, 3]),
        device=np.array([3, 3, 3, 3, 4, 4, 4]),
        timestamp=np.array([100, 200, 300, 400, 1000, 1010, 1030]),
        words=np.array([7, 8, 9]),
        words_held=np.array([0, 0, 2, 0, 0, 1, 0]),
    )


def test_windows_end_where_they_should_and_keep_the_newest_events() -> None:
    windows = newest_windows(sequences(), np.array([0, 0, 1]), np.array([4, 2, 0]), 3)
    assert windows["row"].tolist() == [[START, 12, 0, 14], [START, 11, 12, 0], [START, 0, 0, 0]]
    assert windows["behavior"].tolist() == [[START, 3, 4, 5], [START, 3, 3, 0], [START, 0, 0, 0]]
    assert windows["timestamp"].tolist() == [[0, 200, 300, 400], [0, 100, 200, 0], [0, 0, 0, 0]]
    assert windows["device"].tolist() == [[0, 3, 3, 3], [0, 3, 3, 0], [0, 0, 0, 0]]
    assert windows["words"][0].tolist() == [[0, 0], [0, 0], [7, 8], [0, 0]]
    assert not windows["words"][1:].any()


def test_an_account_goes_on_with_somebody_elses_events() -> None:
    forged = spliced(sequences(), np.array([0, 1]), np.array([1, 0]), 2)
    assert forged.users == ["anna", "bob"]
    assert forged.first.tolist() == [0, 4, 7]
    # Anna's own two, then Bob's last two; Bob's own first, then Anna's search and her last event.
    assert forged.row.tolist() == [11, 12, 22, 23, 21, 0, 14]
    assert forged.behavior.tolist() == [3, 3, 6, 3, 3, 4, 5]
    assert forged.device.tolist() == [3, 3, 4, 4, 4, 3, 3]
    # The first of them comes when the head's own did, the others as far behind it as they were.
    assert forged.timestamp.tolist() == [100, 200, 300, 320, 1000, 1010, 1110]
    assert forged.words_held.tolist() == [0, 0, 1, 0, 0, 2, 0]
    assert forged.words.tolist() == [9, 7, 8]
