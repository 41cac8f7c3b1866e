"""A few users, what is recommended to them, and which of their events put it there (article section 9.3)."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from recsys_tf.config import EvaluateConfig
from recsys_tf.evaluation.event_texts import event_text, item_title, time_text
from recsys_tf.evaluation.queries import Ints, Queries
from recsys_tf.evaluation.ranking_metrics import top_items
from recsys_tf.evaluation.seen_items import seen_items
from recsys_tf.evaluation.two_tower_scores import TwoTowerScores
from recsys_tf.models.attribution import contributions
from recsys_tf.models.query_tower import ANY_BEHAVIOR
from recsys_tf.sequences.feature_space import FeatureSpace
from recsys_tf.sequences.vocabularies import FIRST

_USERS = 5
_LIST = 5
# Events that a history must hold: an explanation by fewer shows little.
_ENOUGH = 5


@dataclass(frozen=True)
class TimedEvent:
    """What a user did, in words, and when (UTC), "" in a log without times."""

    text: str
    time: str


@dataclass(frozen=True)
class Reason:
    """An event, by its place in the history, and its share of all that speaks for an item."""

    event: int
    share: float


@dataclass(frozen=True)
class ExplainedItem:
    """A recommended item and the events that speak for it, the strongest first; came_next: the user took it next."""

    title: str
    category: str
    came_next: bool
    reasons: list[Reason]


@dataclass(frozen=True)
class ExplainedUser:
    """A user without a name: the history, oldest event first, what is recommended, and what the user did then."""

    history: list[TimedEvent]
    recommended: list[ExplainedItem]
    did_next: TimedEvent


def explained_users(
    answers: TwoTowerScores, queries: Queries, space: FeatureSpace, config: EvaluateConfig
) -> list[ExplainedUser]:
    """Explain the last question of five users at most, drawn with the seed among those with five events or more."""
    asked = queries.chosen(np.sort(_drawn(queries, config.seed)))
    if not len(asked):
        return []
    ids = {name: tf.constant(values[:, : asked.held.max()]) for name, values in asked.ids.items()}
    scores = answers.retrieval(ids, tf.fill([len(asked)], ANY_BEHAVIOR), answers.table).numpy()
    excluded = seen_items(asked, len(space.catalogue)) if config.remove_seen else None
    items = top_items(scores, _LIST, excluded)
    # An empty place of a short list is explained like the first item, and left out.
    wanted = tf.constant(np.maximum(items, 0), tf.int32)
    worth = contributions(answers.retrieval, ids, wanted, answers.table).numpy()
    return [_explained(asked, at, items[at], worth[at], space) for at in range(len(asked))]


def shares(worth: npt.NDArray[np.float32]) -> list[Reason]:
    """Turn contributions [length], from the start token on, into shares of what speaks for the item, largest first.

    An event that does nothing for it, or speaks against it, is not there.
    """
    speaks = np.maximum(worth[1:].astype(np.float64), 0.0)
    order = np.argsort(-speaks, kind="stable")[: np.count_nonzero(speaks)]
    return [Reason(int(event), float(speaks[event] / speaks.sum())) for event in order]


def _drawn(queries: Queries, seed: int) -> Ints:
    """Return the last question of each user who is drawn."""
    able = np.flatnonzero(queries.held - 1 >= _ENOUGH)
    latest = able[np.lexsort((queries.target_timestamp[able], queries.user[able]))]
    users = queries.user[latest]
    last = np.append(users[1:] != users[:-1], True)[: len(latest)]
    return np.random.default_rng(seed).permutation(latest[last])[:_USERS]


def _explained(
    asked: Queries, at: int, items: Ints, worth: npt.NDArray[np.float32], space: FeatureSpace
) -> ExplainedUser:
    """Explain one question; items [list], -1 for none; worth [list, length]."""
    held = int(asked.held[at])
    ids = {name: values[at, 1:held] for name, values in asked.ids.items()}
    history = [
        TimedEvent(event_text(space, row, behavior, words), time_text(moment))
        for row, behavior, words, moment in zip(
            ids["row"].tolist(), ids["behavior"].tolist(), ids["words"], ids["timestamp"].tolist(), strict=True
        )
    ]
    target = int(asked.target_row[at])
    recommended = [
        ExplainedItem(
            item_title(space, FIRST + item),
            space.catalogue.categories[item],
            FIRST + item == target,
            shares(worth[place]),
        )
        for place, item in enumerate(items.tolist())
        if item >= 0
    ]
    said = event_text(space, target, int(asked.target_behavior[at]), np.empty(0, np.int64))
    return ExplainedUser(history, recommended, TimedEvent(said, time_text(int(asked.target_timestamp[at]))))
