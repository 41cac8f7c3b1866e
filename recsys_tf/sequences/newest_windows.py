"""The newest events of every user as of some moment: what a server would have been sent then."""

import dataclasses
from typing import Any

import numpy as np
import numpy.typing as npt

from recsys_tf.sequences.shards import UserSequences
from recsys_tf.sequences.vocabularies import START

Ints = npt.NDArray[np.int64]

_IDS = ("row", "behavior", "device", "timestamp")


def newest_windows(sequences: UserSequences, users: Ints, end: Ints, length: int) -> dict[str, Ints]:
    """Return the newest `length` events of some users before the event at `end`, behind the start token.

    users: int64 [windows], places in sequences.users; end: int64 [windows], how many of the user's events have
    happened. Returns row, behavior, device, timestamp int64 [windows, 1 + length] and words int64 [windows, 1 + length,
    most words of an event], padded on the right.
    """
    held = np.minimum(end, length)
    at = (sequences.first[users] + end - held)[:, None] + np.arange(length)
    valid = np.arange(length) < held[:, None]
    at = np.where(valid, at, 0)
    start = np.zeros((len(users), 1), np.int64)
    windows = {
        name: np.concatenate(
            [start + (START if name in ("row", "behavior") else 0), np.where(valid, getattr(sequences, name)[at], 0)], 1
        )
        for name in _IDS
    }
    words = _padded_words(sequences)[at] * valid[..., None]
    windows["words"] = np.pad(words, [(0, 0), (1, 0), (0, 0)])
    return windows


def spliced(sequences: UserSequences, heads: Ints, tails: Ints, events: int) -> UserSequences:
    """Return users whose newest events are those of somebody else: an account that was taken over.

    heads, tails: int64 [users], places in sequences.users; the last `events` events of each head, who must have as
    many, give way to the last ones of the tail, moved in time so that the first of them comes when the head's own did.
    """
    parts: dict[str, list[npt.NDArray[np.int64]]] = {name: [] for name in (*_IDS, "words_held", "words")}
    words_first = np.concatenate([[0], np.cumsum(sequences.words_held)])
    for head, tail in zip(heads.tolist(), tails.tolist(), strict=True):
        own = slice(int(sequences.first[head]), int(sequences.first[head + 1]) - events)
        other = slice(int(sequences.first[tail + 1]) - events, int(sequences.first[tail + 1]))
        shift = sequences.timestamp[own.stop] - sequences.timestamp[other.start]
        for name in ("row", "behavior", "device", "words_held"):
            parts[name] += [getattr(sequences, name)[part] for part in (own, other)]
        moved = np.where(sequences.timestamp[other] > 0, sequences.timestamp[other] + shift, 0)
        parts["timestamp"] += [sequences.timestamp[own], moved]
        parts["words"] += [sequences.words[words_first[part.start] : words_first[part.stop]] for part in (own, other)]
    length = np.diff(sequences.first)[heads]
    flat = {name: np.concatenate(values) for name, values in parts.items()}
    return dataclasses.replace(
        sequences,
        users=[sequences.users[head] for head in heads],
        first=np.concatenate([[0], np.cumsum(length)]),
        training_end=sequences.training_end[heads],
        validation_end=sequences.validation_end[heads],
        **flat,
    )


def _padded_words(sequences: UserSequences) -> Any:
    """Word ids of all events, padded: int64 [events, most words of an event], at least one column."""
    held = sequences.words_held
    padded = np.zeros((len(held), max(int(held.max(initial=0)), 1)), np.int64)
    padded[np.arange(padded.shape[1]) < held[:, None]] = sequences.words
    return padded
