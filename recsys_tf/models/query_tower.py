"""The query tower: a user's history, and what is asked about it, as one vector beside those of the candidates."""

from typing import Any

import tensorflow as tf

from recsys_tf.config import TwoTowerConfig
from recsys_tf.models.candidate_tower import WordEmbedding, small_random
from recsys_tf.models.encoders import build_encoder
from recsys_tf.models.event_embedding import CONTEXT, EventSizes
from recsys_tf.models.lookup import Embedding
from recsys_tf.sequences.vocabularies import PADDING

# Asked for the next event whatever the user does with it.
ANY_BEHAVIOR = PADDING


class QueryTower(tf.keras.layers.Layer):  # type: ignore[misc]
    """Event = item (as the candidate tower sees it) + behaviour + device + time, or the words of a search; then the
    encoder; then the question: which behaviour is asked for scales and moves the answer (FiLM: Perez et al. 2018)."""

    def __init__(
        self, sizes: EventSizes, words: WordEmbedding, config: TwoTowerConfig, max_positions: int, **options: Any
    ) -> None:
        super().__init__(**options)
        self._width, self._context_dropout = config.width, config.context_dropout
        self._words = words
        self._embeddings = {
            name: Embedding(getattr(sizes, name), config.width, embeddings_initializer=small_random(), name=name)
            for name in ("behavior", *CONTEXT)
        }
        self._encoder = build_encoder(config, max_positions)
        self._scale = Embedding(sizes.behavior, config.width, embeddings_initializer="zeros")
        self._shift = Embedding(sizes.behavior, config.width, embeddings_initializer="zeros")

    def call(
        self,
        features: dict[str, Any],
        items: Any,
        target_behavior: Any,
        masked: Any = None,
        at: Any = None,
        training: bool | None = None,
    ) -> Any:
        """Answer at every position, float32 [batch, length, width], or at one of each sequence, [batch, 1, width].

        features: int32 [batch, length] under behavior, device, gap, hour and weekday, [batch, length, words] under
        words, [batch] under held. items: [batch, length, width] from the candidate tower. target_behavior: int32
        [batch, length], the behaviour asked for at each position that answers, or ANY_BEHAVIOR. masked: see
        `MaskedTransformer`. at: int32 [batch], the one position that answers; None for every one.
        """
        if training and self._context_dropout:
            hidden = tf.random.uniform([tf.shape(items)[0], 1]) < self._context_dropout
            features = features | {name: tf.where(hidden, PADDING, features[name]) for name in CONTEXT}
        events = self._events(features, items)
        hidden = self._encoder(events, held=features["held"], masked=masked, at=at, training=training)
        return hidden * (1.0 + self._scale(target_behavior)) + self._shift(target_behavior)

    def attention(self, features: dict[str, Any], items: Any) -> Any:
        """How much each position takes from each: float32 [blocks, batch, heads, length, length]; Transformers only."""
        return self._encoder.attention(self._events(features, items), features["held"])

    def _events(self, features: dict[str, Any], items: Any) -> Any:
        """One vector per event: [batch, length, width]."""
        events = items + self._words(features["words"])
        for name, embed in self._embeddings.items():
            events += embed(features[name])
        # Embeddings are small, for the sake of the scores; the encoder wants values of the order of 1.
        return events * self._width**0.5
