"""Each event is answered for once, from nothing but its own past."""

import numpy as np
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from recsys_tf.sequences.windows import cut_windows, window_bounds


@given(
    lengths=st.lists(st.integers(0, 30), min_size=1, max_size=6),
    share=st.floats(0, 1),
    length=st.integers(1, 9),
    single=st.booleans(),
)
def test_windows_against_a_slow_reading(lengths: list[int], share: float, length: int, single: bool) -> None:
    first = np.array([int(n * share) for n in lengths], np.int64)
    end = np.array(lengths, np.int64)
    stride = 1 if single else max(length // 2, 1)
    lead = length + 1 if share == 0 and not single else stride
    offset = np.cumsum(end) - end
    flat = np.arange(1, end.sum() + 1)  # the event at flat position n is called n + 1
    events = {"row": tf.constant(flat), "words": tf.constant(np.stack([flat, flat], axis=1).reshape(-1, 2))}
    bounds = window_bounds(tf.constant(first), tf.constant(end), lead, stride, length)
    windows = cut_windows(events, {"label": tf.constant(flat)}, tf.constant(offset), bounds, length)
    rows, labels = windows["row"].numpy(), windows["label"].numpy()
    answered = sorted(labels[labels != -1].tolist())
    expected = [offset[user] + t + 1 for user in range(len(lengths)) for t in range(first[user], end[user])]
    assert answered == sorted(expected)
    for row, label, held, user in zip(rows, labels, windows["held"].numpy(), bounds[0].numpy(), strict=True):
        assert row[0] == 0
        assert (row[1:held] > 0).all()
        assert (row[held:] == 0).all()
        assert (row[1:held] > offset[user]).all()
        for position in np.flatnonzero(label != -1):
            history = row[1 : position + 1]
            # The history is what comes right before the answer, as much of it as there is or fits.
            assert history.tolist() == list(range(label[position] - len(history), label[position]))
            if position == 0:
                assert label[0] - 1 == offset[user]
            if single:
                assert len(history) == min(length, label[position] - 1 - offset[user])
    assert (windows["words"].numpy()[..., 0] == rows).all()
