"""What a shop can count of a history at the moment of a contact: how often each thing was done how long ago."""

from typing import Any, Final

import numpy as np
import tensorflow as tf

from recsys_tf.events.schema import BEHAVIORS
from recsys_tf.sequences.feature_space import FeatureSpace
from recsys_tf.sequences.vocabularies import FIRST, PADDING

Tensors = dict[str, Any]

# Upper ends of the bands of time before the contact, in hours; what is older stands in one more.
BAND_ENDS: Final = (1.0, 6.0, 24.0, 72.0, 168.0, 336.0)
_BANDS: Final = len(BAND_ENDS) + 1
_DAY_MS: Final = 86_400_000
_HOUR_MS: Final = 3_600_000
_VIEW, _CLICK, _CART, _FAVORITE, _PURCHASE = (
    FIRST + BEHAVIORS.index(name) for name in ("view", "click", "cart", "favorite", "purchase")
)
# Looks at one category within a day that make a look one of many.
_LOOKS: Final = 3
COUNTED: Final = (
    *BEHAVIORS,
    "carts without a purchase",
    "favourites without a purchase",
    "many looks at one category",
    "another device than before",
    "purchases at a weekend",
)
SINCE: Final = ("the last event", "the last purchase", "the last cart")
NAMES: Final = (
    *(f"{what}, band {band}" for what in COUNTED for band in range(_BANDS)),
    *(f"hours since {what}" for what in SINCE),
    *(f"there is {what}" for what in SINCE),
    *(f"the last event is a {behavior}" for behavior in BEHAVIORS),
)


class ServiceFeatures(tf.Module):  # type: ignore[misc]
    """Counts by bands of time, times since, and the last behaviour."""

    def __init__(self, space: FeatureSpace) -> None:
        super().__init__()
        self._category = tf.constant(space.catalogue.category, tf.int32)

    def __call__(self, ids: Tensors, contacted: Any) -> Any:
        """Ids of histories before a contact → float32 [batch, NAMES].

        ids: int64 row, behavior, device, timestamp [batch, length], from the start token on, padded on the right, time
        ascending. contacted: int64 [batch, 1], ms; 0 is taken as right after the newest event. Events without a time
        are in no band.
        """
        behavior, timestamp = ids["behavior"], ids["timestamp"]
        there = behavior >= FIRST
        timed = there & (timestamp > 0)
        newest = tf.reduce_max(tf.where(timed, timestamp, 0), axis=1, keepdims=True)
        now = tf.where(contacted > 0, contacted, newest)
        hours = tf.cast(tf.maximum(now - timestamp, 0), tf.float32) / _HOUR_MS
        band = tf.searchsorted(tf.constant(BAND_ENDS), tf.reshape(hours, [-1]), side="right")
        in_band = tf.one_hot(tf.reshape(band, tf.shape(hours)), _BANDS) * tf.cast(timed, tf.float32)[..., tf.newaxis]
        marks = tf.stack([*(behavior == FIRST + one for one in range(len(BEHAVIORS))), *self._marks(ids)], axis=2)
        # [batch, marks, bands]
        counts = tf.matmul(tf.cast(marks & there[..., tf.newaxis], tf.float32), in_band, transpose_a=True)
        since, known = self._since(behavior, timed, hours)
        position = tf.range(tf.shape(behavior)[1])
        last = tf.reduce_max(tf.where(there, position, 0), axis=1)
        last_behavior = tf.gather(behavior, last, batch_dims=1)
        return tf.concat(
            [
                tf.math.log1p(tf.reshape(counts, [-1, len(COUNTED) * _BANDS])),
                tf.math.log1p(since),
                tf.cast(known, tf.float32),
                tf.one_hot(last_behavior - FIRST, len(BEHAVIORS)),
            ],
            axis=1,
        )

    def _marks(self, ids: Tensors) -> list[Any]:
        """The last of COUNTED, those that take more than the behaviour: bool [batch, length] each."""
        row, behavior, device, timestamp = ids["row"], ids["behavior"], ids["device"], ids["timestamp"]
        # [batch, later or equal, earlier or equal]: earlier events are those of smaller positions.
        length = tf.shape(row)[1]
        before = tf.range(length)[:, tf.newaxis] > tf.range(length)
        bought = (behavior == _PURCHASE)[:, :, tf.newaxis] & before
        category = tf.gather(self._category, row)
        item = row >= FIRST
        same_item = row[:, :, tf.newaxis] == row[:, tf.newaxis]
        same_category = (category[:, :, tf.newaxis] == category[:, tf.newaxis]) & item[:, tf.newaxis]
        item_bought = tf.reduce_any(bought & same_item, axis=1)
        category_bought = tf.reduce_any(bought & same_category, axis=1)
        within_day = timestamp[:, :, tf.newaxis] - timestamp[:, tf.newaxis] <= _DAY_MS
        look = (behavior == _VIEW) | (behavior == _CLICK)
        looks = same_category & look[:, tf.newaxis] & within_day & (before | tf.eye(length, dtype=tf.bool))
        many = tf.math.count_nonzero(looks, axis=2, dtype=tf.int32) >= _LOOKS
        device_before = tf.pad(device[:, :-1], [[0, 0], [1, 0]])
        other = (device != device_before) & (device_before != PADDING) & (device != PADDING)
        # 1970-01-01 was a Thursday, the fourth day of its week.
        weekend = (timestamp // _DAY_MS + 3) % 7 >= 5
        return [
            (behavior == _CART) & ~item_bought,
            (behavior == _FAVORITE) & ~item_bought,
            look & many & ~category_bought,
            other,
            (behavior == _PURCHASE) & weekend,
        ]

    def _since(self, behavior: Any, timed: Any, hours: Any) -> tuple[Any, Any]:
        """Hours since each of SINCE, float32 [batch, 3], 0 where there is none, and whether there is: bool."""
        marked = tf.stack([timed, timed & (behavior == _PURCHASE), timed & (behavior == _CART)], axis=1)
        known = tf.reduce_any(marked, axis=2)
        shortest = tf.reduce_min(tf.where(marked, hours[:, tf.newaxis], np.inf), axis=2)
        return tf.where(known, shortest, 0.0), known
