"""How often an item comes, guessed from the batches as they come."""

import numpy as np
import pytest
import tensorflow as tf

from recsys_tf.models.item_frequency import ItemFrequency

ITEMS = 50


def show(frequency: ItemFrequency, items: list[int], seen: list[bool] | None = None) -> None:
    """One training step in which these items are in the batch."""
    counted = [True] * len(items) if seen is None else seen
    frequency(tf.constant(items, tf.int32), tf.constant(counted, tf.bool), training=True)


def probability(frequency: ItemFrequency, *items: int) -> list[float]:
    asked = tf.constant(items, tf.int32)
    answer: list[float] = frequency(asked, tf.ones_like(asked, tf.bool)).numpy().tolist()
    return answer


def test_as_long_as_nothing_is_known_all_items_are_equally_likely() -> None:
    assert probability(ItemFrequency(ITEMS), 0, 7, 49) == pytest.approx([1 / ITEMS] * 3)


def test_an_item_of_every_nth_step_tends_to_one_nth() -> None:
    frequency = ItemFrequency(ITEMS)
    for step in range(600):
        show(frequency, [0, *([1] if step % 3 == 0 else []), *([2] if step % 7 == 4 else [])])
    assert probability(frequency, 0, 1, 2) == pytest.approx([1.0, 1 / 3, 1 / 7], rel=0.05)
    assert probability(frequency, 3) == pytest.approx([1 / ITEMS])


def test_the_average_moves_by_its_rate() -> None:
    frequency = ItemFrequency(ITEMS, rate=0.1)
    for items in ([9], [9], [4], [9], [9], [9], [4]):
        show(frequency, items)
    # First seen in step 3, which is taken for its distance; then four steps later.
    assert probability(frequency, 4) == pytest.approx([1 / (0.9 * 3 + 0.1 * 4)])


def test_what_is_not_seen_is_not_counted() -> None:
    frequency = ItemFrequency(ITEMS)
    for _ in range(20):
        show(frequency, [5, 6, 0], [True, False, False])
    assert probability(frequency, 5, 6, 0) == pytest.approx([1.0, 1 / ITEMS, 1 / ITEMS])


def test_an_item_that_is_there_twice_counts_once() -> None:
    once, twice = ItemFrequency(ITEMS), ItemFrequency(ITEMS)
    for step in range(40):
        items = [1] if step % 2 else [2]
        show(once, items)
        show(twice, items * 3)
    assert probability(twice, 1, 2) == probability(once, 1, 2)
    assert np.max(probability(once, 1, 2)) < 0.9


def test_asking_outside_training_counts_nothing() -> None:
    frequency = ItemFrequency(ITEMS)
    for _ in range(5):
        show(frequency, [3])
        probability(frequency, 8)
    assert probability(frequency, 3, 8) == pytest.approx([1.0, 1 / ITEMS])
    assert not frequency.trainable_weights
