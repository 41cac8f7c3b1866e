"""What stands in the place of the listing's Embedding when an event is more than one integer."""

import dataclasses
from dataclasses import dataclass
from typing import Any

import tensorflow as tf

from recsys_tf.models.lookup import Embedding
from recsys_tf.sequences.feature_space import FeatureSpace
from recsys_tf.sequences.features import GAP_BUCKETS, HOUR_BUCKETS, WEEKDAY_BUCKETS
from recsys_tf.sequences.vocabularies import PADDING, UNKNOWN

# Features that a client may not know; they are hidden in some training sequences, so that a model can do without.
CONTEXT = ("device", "gap", "hour", "weekday")


@dataclass(frozen=True)
class EventSizes:
    """Number of different ids of each feature: the input_dim of its embedding."""

    item: int
    category: int
    behavior: int
    device: int
    price: int
    gap: int
    hour: int
    weekday: int
    words: int


def event_sizes(space: FeatureSpace) -> EventSizes:
    """Read the sizes off what was fitted."""
    return EventSizes(
        item=space.items.size,
        category=space.categories.size,
        behavior=space.behaviors.size,
        device=space.devices.size,
        price=1 + int(space.catalogue.price_bucket.max(initial=0)),
        gap=GAP_BUCKETS,
        hour=HOUR_BUCKETS,
        weekday=WEEKDAY_BUCKETS,
        words=space.word_vocabulary.size,
    )


class EventEmbedding(tf.keras.layers.Layer):  # type: ignore[misc]
    """One vector per event: the sum of the embeddings of its features; of a search, its words stand for the item.

    In training, items are replaced by UNKNOWN with probability `item_dropout`, and the context of a whole sequence
    (device, time gap, hour, weekday) is hidden with probability `context_dropout`.
    """

    def __init__(
        self, sizes: EventSizes, width: int, item_dropout: float = 0.0, context_dropout: float = 0.0, **options: Any
    ) -> None:
        super().__init__(**options)
        self._sizes, self._width = sizes, width
        self._item_dropout, self._context_dropout = item_dropout, context_dropout
        self._embeddings = {
            name: Embedding(input_dim=size, output_dim=width, name=name) for name, size in vars(sizes).items()
        }

    def call(self, features: dict[str, Any], training: bool | None = None) -> Any:
        """int32 features [batch, length] (words [batch, length, words]) → float32 [batch, length, width]."""
        if training:
            features = self._hide(features)
        event = tf.add_n([embed(features[name]) for name, embed in self._embeddings.items() if name != "words"])
        known = tf.cast(features["words"] != PADDING, event.dtype)[..., tf.newaxis]  # [batch, length, words, 1]
        words = tf.reduce_sum(self._embeddings["words"](features["words"]) * known, axis=-2)
        return event + tf.math.divide_no_nan(words, tf.reduce_sum(known, axis=-2))

    def compute_mask(self, features: dict[str, Any], mask: Any = None) -> Any:
        """bool [batch, length]: where there is an event, the start token included."""
        return features["behavior"] != PADDING

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments as plain values."""
        return {
            **super().get_config(),
            "sizes": dataclasses.asdict(self._sizes),
            "width": self._width,
            "item_dropout": self._item_dropout,
            "context_dropout": self._context_dropout,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "EventEmbedding":
        """Build the layer from what `get_config` returned."""
        return cls(**{**config, "sizes": EventSizes(**config["sizes"])})

    def _hide(self, features: dict[str, Any]) -> dict[str, Any]:
        item = features["item"]
        hide_item = (tf.random.uniform(tf.shape(item)) < self._item_dropout) & (item > UNKNOWN)
        hide_context = tf.random.uniform([tf.shape(item)[0], 1]) < self._context_dropout
        hidden = {name: tf.where(hide_context, PADDING, features[name]) for name in CONTEXT}
        return {**features, **hidden, "item": tf.where(hide_item, UNKNOWN, item)}
