"""Labels by hand, for every target."""

import numpy as np
import tensorflow as tf

from recsys_tf.events.schema import BEHAVIORS
from recsys_tf.sequences.dataset import PreparedData
from recsys_tf.sequences.labels import NO_CLASS, UNSEEN_CLASS, EventClasses, class_names
from recsys_tf.sequences.vocabularies import FIRST, UNKNOWN


def test_next_category_and_item_read_the_catalogue(prepared: PreparedData) -> None:
    space = prepared.space
    rows = tf.constant([0, UNKNOWN, FIRST, FIRST + 5], tf.int64)
    behavior = tf.fill([4], tf.constant(FIRST, tf.int64))
    category = EventClasses(space, "next_category", 1)(rows, behavior, None).numpy()
    names = class_names(space, "next_category")
    assert category[:2].tolist() == [NO_CLASS, UNSEEN_CLASS]
    expected = [int(space.catalogue.category[row]) - FIRST for row in (FIRST, FIRST + 5)]
    assert [value if value >= 0 else -1 for value in category[2:]] == [max(value, -1) for value in expected]
    assert max(category) < len(names)
    item = EventClasses(space, "next_item", 1)(rows, behavior, None).numpy()
    assert all(
        label == UNSEEN_CLASS or space.items.tokens[label] == space.catalogue.item_ids[row - FIRST]
        for label, row in zip(item[2:], [FIRST, FIRST + 5], strict=True)
    )


def test_next_behavior(prepared: PreparedData) -> None:
    behavior = tf.constant([FIRST + BEHAVIORS.index("cart"), 1, 0], tf.int64)
    labels = EventClasses(prepared.space, "next_behavior", 1)(behavior * 0, behavior, None)
    assert labels.numpy().tolist() == [BEHAVIORS.index("cart"), NO_CLASS, NO_CLASS]


def test_will_purchase_looks_no_further_than_its_side(prepared: PreparedData) -> None:
    view, buy = FIRST, FIRST + BEHAVIORS.index("purchase")
    behavior = tf.constant([view, view, buy, view, view, view, buy], tf.int64)
    side_end = tf.constant([6, 6, 6, 6, 6, 6, 7], tf.int64)  # the last purchase is beyond the side of the others
    labels = EventClasses(prepared.space, "will_purchase", 2)(behavior * 0, behavior, side_end).numpy()
    assert labels.tolist() == [0, 1, 1, 0, 0, NO_CLASS, 1]
    assert np.isin(labels, [0, 1, NO_CLASS]).all()
