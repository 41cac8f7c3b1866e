"""The questions of an evaluation: every event of the test side, with the history that a server would have been sent."""

import dataclasses
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from recsys_tf.config import EvaluateConfig, Target
from recsys_tf.evaluation.interactions import Histories, Interactions, sessions_by_gap
from recsys_tf.events.schema import BEHAVIORS
from recsys_tf.sequences.dataset import PreparedData, read_questions, read_users
from recsys_tf.sequences.labels import NO_CLASS
from recsys_tf.sequences.training_events import read_training_parts
from recsys_tf.sequences.vocabularies import FIRST, PADDING

Ints = npt.NDArray[np.int64]

# The behaviour id of a search.
SEARCH = FIRST + BEHAVIORS.index("search")

_IDS = ("row", "behavior", "device", "timestamp", "words")


@dataclass(frozen=True)
class Queries:
    """Test events and the histories before them.

    ids: row, behavior, device, timestamp int64 [queries, 1 + max_length], words int64 [..., most words of any], from
    the start token to the newest event, then padding; held: int64 [queries], positions that are not padding.
    label: int64 [queries], the class to guess, UNSEEN_CLASS where training has not seen it.
    user: text [queries]; target_row, target_behavior, target_timestamp: int64 [queries], the event itself.
    possible: how many such events the test side holds, of which these are all or a sample.
    """

    ids: dict[str, Ints]
    held: Ints
    label: Ints
    user: npt.NDArray[np.str_]
    target_row: Ints
    target_behavior: Ints
    target_timestamp: Ints
    possible: int
    # Item events that are too old for the histories, as pairs (query, row) [pairs, 2], where they were asked for.
    earlier: Ints | None = None

    def __len__(self) -> int:
        return len(self.held)

    @property
    def last_timestamp(self) -> Ints:
        """Time of the newest event of each history, 0 for an empty history or a log without times: [queries]."""
        return np.take_along_axis(self.ids["timestamp"], self.held[:, None] - 1, axis=1)[:, 0]

    @property
    def clusters(self) -> Ints:
        """A number for each query's user, for resampling: int64 [queries]."""
        return np.unique(self.user, return_inverse=True)[1].astype(np.int64)

    def chosen(self, rows: Ints) -> "Queries":
        """Return some of the questions: rows int64 [some], ascending; `possible` stays as it is."""
        per_query = ("held", "label", "user", "target_row", "target_behavior", "target_timestamp")
        parts: dict[str, Any] = {name: getattr(self, name)[rows] for name in per_query}
        parts["ids"] = {name: values[rows] for name, values in self.ids.items()}
        if self.earlier is not None:
            number = np.full(len(self), -1, np.int64)
            number[rows] = np.arange(len(rows))
            query = number[self.earlier[:, 0]]
            parts["earlier"] = np.column_stack([query, self.earlier[:, 1]])[query >= 0]
        return dataclasses.replace(self, **parts)

    def blinded(self) -> "Queries":
        """Return the same questions with every search emptied of its words."""
        return dataclasses.replace(self, ids=self.ids | {"words": np.zeros_like(self.ids["words"])})

    def histories(self) -> Histories:
        """Return the catalogue indices of each history's items, searches left out."""
        rows = self.ids["row"]
        is_item = rows >= FIRST
        lengths = is_item.sum(axis=1)
        order = np.argsort(~is_item, axis=1, kind="stable")
        packed = np.take_along_axis(np.where(is_item, rows - FIRST, -1), order, axis=1)
        return Histories(packed[:, : max(int(lengths.max(initial=0)), 1)], lengths.astype(np.int64))


def read_queries(
    data: PreparedData, target: Target, horizon: int, config: EvaluateConfig, earlier: bool = False
) -> Queries:
    """Read the test side's questions, as many as the configuration asks for, drawn at random with its seed.

    earlier: also read what is too old for the histories, so that all that a user had can be taken out of the answers.
    """
    questions = read_questions(data, "test", target, horizon, config.min_history)
    parts = [_answered(part) for part in questions.as_numpy_iterator()]
    most = max(part["words"].shape[-1] for part in parts)
    windows = {name: np.concatenate([part[name] for part in parts]) for name in parts[0] if name != "words"}
    wide = [np.pad(part["words"], [(0, 0), (0, 0), (0, most - part["words"].shape[-1])]) for part in parts]
    windows["words"] = np.concatenate(wide)
    possible = len(windows["held"])
    if 0 < config.max_queries < possible:
        chosen = np.sort(np.random.default_rng(config.seed).choice(possible, config.max_queries, replace=False))
        windows = {name: values[chosen] for name, values in windows.items()}
    label = np.take_along_axis(windows["label"], windows["held"][:, None] - 1, axis=1)[:, 0]
    return Queries(
        ids={name: windows[name] for name in _IDS},
        held=windows["held"],
        label=label,
        user=windows["user"].astype(np.str_),
        target_row=windows["target_row"],
        target_behavior=windows["target_behavior"],
        target_timestamp=windows["target_timestamp"],
        possible=possible,
        earlier=read_earlier(data, windows["user"], windows["before"]) if earlier else None,
    )


def read_earlier(data: PreparedData, user: npt.NDArray[np.object_], before: Ints) -> Ints:
    """Read the item events that came before the window of each query, as pairs (query, row): int64 [pairs, 2].

    user: ids as bytes [queries]; before: int64 [queries], how many of the user's events those are.
    """
    cut = np.flatnonzero(before > 0)
    asked = pd.DataFrame({"user": user[cut], "query": cut, "before": before[cut]})
    pairs = [np.empty((0, 2), np.int64)]
    for batch in read_users(data).as_numpy_iterator() if len(cut) else ():
        length = batch["length"]
        within = np.arange(length.sum()) - np.repeat(np.cumsum(length) - length, length)
        events = pd.DataFrame({"user": np.repeat(batch["user"], length), "within": within, "row": batch["row"]})
        found = events[events["row"] >= FIRST].merge(asked, on="user")
        pairs.append(found.loc[found["within"] < found["before"], ["query", "row"]].to_numpy(np.int64))
    return np.concatenate(pairs)


@dataclass(frozen=True)
class SearchClicks:
    """Searches and what came right after them, every different pair once.

    words: int64 [pairs, words], word ids; row: int64 [pairs], the item's catalogue row, or PADDING where the same user
    did nothing with an item next; count: int64 [pairs], how often.
    """

    words: Ints
    row: Ints
    count: Ints


@dataclass(frozen=True)
class TrainingEvents:
    """All training events, flat, user after user: int64 [events] each; times are 0 in a log without them."""

    user: Ints
    row: Ints
    behavior: Ints
    timestamp: Ints
    searches: SearchClicks

    def interactions(self, number_of_items: int) -> Interactions:
        """Return the item events as a log of catalogue indices."""
        is_item = self.row >= FIRST
        user, item, timestamp = self.user[is_item], self.row[is_item] - FIRST, self.timestamp[is_item]
        if not timestamp.any():
            return Interactions(user, item, None, number_of_items)
        return Interactions(user, item, timestamp, number_of_items, sessions_by_gap(user, timestamp))


def read_training_events(data: PreparedData) -> TrainingEvents:
    """Read the training side of every user."""
    columns: dict[str, list[Ints]] = {"user": [], "row": [], "behavior": [], "timestamp": []}
    searches = [np.empty((0, data.search_words + 1), np.int64)]
    for events in read_training_parts(data):
        for name, values in columns.items():
            values.append(getattr(events, name))
        is_search, following = events.behavior == SEARCH, events.next_rows()
        found = np.where(following >= FIRST, following, PADDING)
        searches.append(np.column_stack([events.words, found])[is_search])
    flat = {name: np.concatenate(values) for name, values in columns.items()}
    pairs, count = np.unique(np.concatenate(searches), axis=0, return_counts=True)
    return TrainingEvents(**flat, searches=SearchClicks(pairs[:, :-1], pairs[:, -1], count))


def _answered(windows: dict[str, Any]) -> dict[str, Any]:
    """Keep the questions that the target applies to, and the word columns that are used."""
    label = np.take_along_axis(windows["label"], windows["held"][:, None] - 1, axis=1)[:, 0]
    kept = {name: values[label != NO_CLASS] for name, values in windows.items()}
    return kept | {"words": kept["words"][..., : np.count_nonzero(kept["words"], axis=-1).max(initial=0)]}
