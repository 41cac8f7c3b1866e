"""What a classifier is to predict: the class of the event that comes next."""

from typing import Any, Final

import numpy as np
import tensorflow as tf

from recsys_tf.config import Target
from recsys_tf.events.schema import BEHAVIORS
from recsys_tf.sequences.feature_space import FeatureSpace
from recsys_tf.sequences.vocabularies import FIRST

NO_CLASS: Final = -1  # an event that the target does not apply to: a search has no category
UNSEEN_CLASS: Final = -2  # a class that training has not seen: no model can be right about it


def class_names(space: FeatureSpace, target: Target) -> tuple[str, ...]:
    """Name the classes in the order of their labels 0, 1, 2, …"""
    match target:
        case "next_category":
            return space.categories.tokens
        case "next_behavior":
            return BEHAVIORS
        case "next_item":
            return space.items.tokens
        case "will_purchase":
            return ("no purchase", "purchase")


class EventClasses(tf.Module):  # type: ignore[misc]
    """The label that each event gives to the position before it."""

    def __init__(self, space: FeatureSpace, target: Target, purchase_horizon: int) -> None:
        super().__init__()
        self._target = target
        self._horizon = purchase_horizon
        by_row = space.categories if target == "next_category" else space.items
        ids = space.catalogue.category if target == "next_category" else space.catalogue.item
        labels = np.where(ids >= FIRST, ids - FIRST, UNSEEN_CLASS)
        labels[:2] = NO_CLASS  # rows 0 and 1 are padding and the start token
        self._by_row = tf.constant(labels, tf.int64) if len(by_row.tokens) else tf.fill([len(ids)], NO_CLASS)

    def __call__(self, row: Any, behavior: Any, side_end: Any) -> Any:
        """Return int64 labels [events] for flat events: catalogue rows, behaviour ids, and where their side ends.

        side_end: int64 [events], the flat position after the last event that may be looked at for a label.
        """
        match self._target:
            case "next_category" | "next_item":
                return tf.gather(self._by_row, row)
            case "next_behavior":
                return tf.where(behavior >= FIRST, behavior - FIRST, NO_CLASS)
            case "will_purchase":
                return self._will_purchase(behavior, side_end)

    def _will_purchase(self, behavior: Any, side_end: Any) -> Any:
        is_purchase = tf.cast(behavior == FIRST + BEHAVIORS.index("purchase"), tf.int64)
        before = tf.concat([[0], tf.cumsum(is_purchase)], axis=0)  # purchases before each flat position
        here = tf.range(tf.size(behavior, tf.int64))
        until = tf.minimum(here + self._horizon, side_end)
        bought = tf.gather(before, tf.maximum(until, here)) > tf.gather(before, here)
        # Without a purchase the answer is known only when the whole horizon lies on this side of the split.
        complete = here + self._horizon <= side_end
        one = tf.ones_like(here)
        return tf.where(bought, one, tf.where(complete, 0 * one, NO_CLASS * one))
