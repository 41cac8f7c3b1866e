"""How likely each item is to be in a batch, estimated from the batches as they come (Yi et al. 2019, algorithm 2)."""

from typing import Any

import tensorflow as tf


class ItemFrequency(tf.keras.layers.Layer):  # type: ignore[misc]
    """A moving average of the number of steps between two sightings of each item; its inverse is the probability."""

    def __init__(self, items: int, rate: float = 0.05, **options: Any) -> None:
        super().__init__(**options)
        self._items, self._rate = items, rate

    def build(self, shape: Any) -> None:
        """Create the clock and the two columns of the algorithm, with one place more for what is not to be counted."""
        # Every replica counts the items of all of them, so that any one copy is right.
        shared = {"trainable": False, "dtype": tf.float32, "aggregation": tf.VariableAggregation.ONLY_FIRST_REPLICA}
        self._step = self.add_weight(name="step", shape=(), initializer="zeros", **shared)
        self._last = self.add_weight(name="last_seen", shape=(self._items + 1,), initializer="zeros", **shared)
        # As long as nothing is known, an item is taken for one of equally frequent ones.
        apart = tf.keras.initializers.Constant(float(self._items))
        self._apart = self.add_weight(name="steps_apart", shape=(self._items + 1,), initializer=apart, **shared)
        super().build(shape)

    def call(self, items: Any, seen: Any, training: bool | None = None) -> Any:
        """Item ids int32 [n] → probabilities float32 [n]; in training those with `seen` bool [n] are counted."""
        if training:
            self._count(tf.where(seen, items, self._items))
        return 1.0 / tf.maximum(tf.gather(self._apart, items), 1.0)

    def _count(self, items: Any) -> None:
        now = self._step.assign_add(1.0)
        last, apart = tf.gather(self._last, items), tf.gather(self._apart, items)
        moved = (1 - self._rate) * apart + self._rate * (now - last)
        # The first sighting says when an item was seen, not how long it stays away.
        moved = tf.where(last > 0, moved, tf.minimum(apart, now))
        # An item that is there twice is given the same value twice.
        at = items[:, tf.newaxis]
        self._apart.assign(tf.tensor_scatter_nd_update(self._apart, at, moved))
        self._last.assign(tf.tensor_scatter_nd_update(self._last, at, tf.fill(tf.shape(last), now)))
