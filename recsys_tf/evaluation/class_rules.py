"""Simple rules for the class of a user's next event: the bar that a classifier has to clear.

A history is a row of class ids, oldest event first, 0 where an event has no class (a search) and as padding on the
right. Every rule gives scores that add up to 1 with the classes' frequencies in training as the last word, so ties are
rare, a class 0 is never an answer, and a history without classes is answered with the majority.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from recsys_tf.errors import InputError
from recsys_tf.evaluation.ranking_metrics import Floats, Ints, Scores

# Rows that are scored at once when only the best class is wanted.
BLOCK = 1024


@dataclass(frozen=True)
class ClassTransitions:
    """What the rules learn from: the class of every training event and of the event before it in the same history.

    previous [n] int64, 0 where there is none; following [n] int64, 1 … number_of_classes - 1 (0 is passed over).
    """

    previous: Ints
    following: Ints
    number_of_classes: int


@dataclass(frozen=True)
class MajorityClass:
    """Always the most frequent class; shares [classes] float64 are the classes' shares of the training events."""

    shares: Floats

    @classmethod
    def fit(cls, train: ClassTransitions) -> Self:
        """Count classes; raises InputError when no training event has one."""
        return cls(_shares(train))

    def scores(self, history: Ints, lengths: Ints) -> Scores:
        """Return the same shares for every history [queries, length]: [queries, classes] float32."""
        return np.tile(self.shares.astype(np.float32), (len(lengths), 1))

    def predict(self, history: Ints, lengths: Ints) -> Ints:
        """Return the class with the highest score: [queries] int64."""
        return _best(self.scores, history, lengths)


@dataclass(frozen=True)
class LastClass:
    """The class of the newest event that has one, then the others by frequency."""

    shares: Floats

    @classmethod
    def fit(cls, train: ClassTransitions) -> Self:
        """Count classes; raises InputError when no training event has one."""
        return cls(_shares(train))

    def scores(self, history: Ints, lengths: Ints) -> Scores:
        """Return [queries, classes] float32 for histories [queries, length] of lengths [queries]."""
        last = last_class(history, lengths)
        scores = np.tile(self.shares, (len(last), 1))
        known = last > 0
        scores[np.flatnonzero(known), last[known]] += 1.0
        return _normalised(scores)

    def predict(self, history: Ints, lengths: Ints) -> Ints:
        """Return the class with the highest score: [queries] int64."""
        return _best(self.scores, history, lengths)


@dataclass(frozen=True)
class MostFrequentClass:
    """The class that occurs most often in the user's own history; of equally frequent ones the latest."""

    shares: Floats

    @classmethod
    def fit(cls, train: ClassTransitions) -> Self:
        """Count classes; raises InputError when no training event has one."""
        return cls(_shares(train))

    def scores(self, history: Ints, lengths: Ints) -> Scores:
        """Return [queries, classes] float32 for histories [queries, length] of lengths [queries]."""
        row, position = np.nonzero(_has_class(history, lengths))
        seen = history[row, position]
        size = len(lengths), len(self.shares)
        count = np.bincount(row * size[1] + seen, minlength=size[0] * size[1]).reshape(size)
        latest = np.zeros(size)
        step = 1.0 / (lengths + 1.0)
        np.maximum.at(latest, (row, seen), (position + 1) * step[row])
        # Recency stays below one count, and frequency in training below one step of recency.
        return _normalised(count + latest + self.shares * step[:, None] / 2)

    def predict(self, history: Ints, lengths: Ints) -> Ints:
        """Return the class with the highest score: [queries] int64."""
        return _best(self.scores, history, lengths)


@dataclass(frozen=True)
class MarkovClass:
    """First-order Markov chain: what most often followed the newest class in training."""

    shares: Floats
    # How often each class (column) followed each class (row) in training, [classes, classes] float64.
    transitions: sp.csr_matrix

    @classmethod
    def fit(cls, train: ClassTransitions) -> Self:
        """Count transitions; raises InputError when no training event has a class."""
        used = (train.previous > 0) & (train.following > 0)
        pairs = train.previous[used], train.following[used]
        shape = (train.number_of_classes, train.number_of_classes)
        return cls(_shares(train), sp.csr_matrix((np.ones(len(pairs[0])), pairs), shape=shape))

    def scores(self, history: Ints, lengths: Ints) -> Scores:
        """Return transition probabilities, [queries, classes] float32.

        One pseudo-count, spread like the classes' shares, breaks ties by frequency and answers for a last class that
        training never saw; it cannot overturn two counts that differ.
        """
        counts = self.transitions[last_class(history, lengths)].toarray()
        return _normalised(counts + self.shares)

    def predict(self, history: Ints, lengths: Ints) -> Ints:
        """Return the class with the highest score: [queries] int64."""
        return _best(self.scores, history, lengths)


def last_class(history: Ints, lengths: Ints) -> Ints:
    """Return the newest class of each history, 0 where it has none: history [queries, length], result [queries]."""
    if history.shape[1] == 0:
        return np.zeros(len(lengths), np.int64)
    newest = history.shape[1] - 1 - np.argmax(_has_class(history, lengths)[:, ::-1], axis=1)
    rows = np.arange(len(lengths))
    return np.where(newest < lengths, history[rows, newest], 0)


def _has_class(history: Ints, lengths: Ints) -> npt.NDArray[np.bool_]:
    return (history > 0) & (np.arange(history.shape[1]) < lengths[:, None])


def _shares(train: ClassTransitions) -> Floats:
    counts = np.bincount(train.following[train.following > 0], minlength=train.number_of_classes)
    if counts.sum() == 0:
        raise InputError("no training event has a class")
    shares: Floats = counts / counts.sum()
    return shares


def _normalised(scores: Floats) -> Scores:
    shares: Scores = (scores / scores.sum(axis=1, keepdims=True)).astype(np.float32)
    return shares


def _best(scores: Callable[[Ints, Ints], Scores], history: Ints, lengths: Ints) -> Ints:
    """Return the class with the highest score; classes × queries never stand in memory at once."""
    best = np.zeros(len(lengths), np.int64)
    for start in range(0, len(lengths), BLOCK):
        rows = slice(start, start + BLOCK)
        best[rows] = scores(history[rows], lengths[rows]).argmax(axis=1)
    return best
