"""The Transformer's block: pre-norm self-attention and feed-forward (Vaswani et al. 2017; pre-norm: Xiong et al. 2020).

x ─┬─ LayerNorm ─ attention ─ dropout ─ + ─┬─ LayerNorm ─ Dense, GELU ─ Dense ─ dropout ─ + ─ y
   └────────────────────────────────────┘  └───────────────────────────────────────────┘
"""

from typing import Any

import tensorflow as tf

# The score of what must not be looked at: no weight is left after the softmax.
_HIDDEN = -1e9
_EPSILON = 1e-6


class SelfAttention(tf.keras.layers.Layer):  # type: ignore[misc]
    """Multi-head self-attention; with `relative_length` a learned bias per head and distance in positions.

    Raises ValueError when the heads do not divide the width.
    """

    def __init__(self, width: int, heads: int, dropout: float, relative_length: int = 0, **options: Any) -> None:
        super().__init__(**options)
        if width % heads:
            raise ValueError(f"{heads} heads do not divide a width of {width}")
        self._heads, self._per_head, self._relative_length = heads, width // heads, relative_length
        self._project = tf.keras.layers.Dense(3 * width, use_bias=False, name="query_key_value")
        self._output = tf.keras.layers.Dense(width, name="output")
        self._dropout = tf.keras.layers.Dropout(dropout)

    def build(self, shape: Any) -> None:
        """Create the bias by distance: float32 [2 × relative_length - 1, heads]."""
        if self._relative_length:
            self._bias = self.add_weight(
                name="bias_by_distance", shape=(2 * self._relative_length - 1, self._heads), initializer="zeros"
            )
        super().build(shape)

    def call(self, x: Any, visible: Any, at: Any = None, training: bool | None = None) -> Any:
        """x [batch, length, width], visible bool [batch or 1, length, length] (query, key) → [batch, length, width].

        at: int32 [batch], the one position of each sequence that asks; visible is then [batch or 1, 1, length] and the
        answer [batch, 1, width].
        """
        query, key, value = self._projected(x, at)
        weights = tf.cast(self._between(query, key, visible, at), value.dtype)
        weights = self._dropout(weights, training=training)
        heads = tf.transpose(tf.matmul(weights, value), [0, 2, 1, 3])  # [batch, length, heads, per_head]
        return self._output(tf.reshape(heads, [tf.shape(x)[0], -1, self._heads * self._per_head]))

    def shares(self, x: Any, visible: Any) -> Any:
        """Return how much each position takes from each: float32 [batch, heads, length, length] (query, key)."""
        query, key, _ = self._projected(x, None)
        return self._between(query, key, visible, None)

    def _projected(self, x: Any, at: Any) -> tuple[Any, Any, Any]:
        """Query, key and value: [batch, heads, length, per_head] each; with `at`, the query of one position only."""
        batch, length = tf.shape(x)[0], tf.shape(x)[1]
        parts = tf.reshape(self._project(x), [batch, length, 3, self._heads, self._per_head])
        query, key, value = tf.unstack(tf.transpose(parts, [2, 0, 3, 1, 4]), num=3)
        if at is not None:
            query = tf.gather(query, at[:, tf.newaxis], axis=2, batch_dims=1)
        return query, key, value

    def _between(self, query: Any, key: Any, visible: Any, at: Any) -> Any:
        """Softmax over what is visible: float32 [batch, heads, queries, length]."""
        length = tf.shape(key)[2]
        # [batch, heads, length, length]; scaling the query is less work than scaling these.
        scores = tf.matmul(query * self._per_head**-0.5, key, transpose_b=True)
        # Sums of many small weights need more digits than bfloat16 has.
        scores = tf.where(visible[:, tf.newaxis], tf.cast(scores, tf.float32), _HIDDEN)
        # Not before the line above: oneDNN would fuse product and addition, and add to every pair one by one.
        if self._relative_length:
            asking = tf.range(length)[tf.newaxis] if at is None else at[:, tf.newaxis]
            scores += self._bias_between(asking, tf.range(length))
        return tf.nn.softmax(scores)

    def _bias_between(self, asking: Any, seen: Any) -> Any:
        """Positions of queries [batch or 1, queries] and keys [keys] → float32 [batch or 1, heads, queries, keys]."""
        distance = asking[..., tf.newaxis] - seen + self._relative_length - 1
        bias = tf.gather(tf.cast(self._bias, tf.float32), distance)  # [batch or 1, queries, keys, heads]
        return tf.transpose(bias, [0, 3, 1, 2])


class TransformerBlock(tf.keras.layers.Layer):  # type: ignore[misc]
    """One block: attention over what is visible, then a feed-forward network at every position."""

    def __init__(
        self, width: int, heads: int, feed_forward: int, dropout: float, relative_length: int = 0, **options: Any
    ) -> None:
        super().__init__(**options)
        self._before_attention = tf.keras.layers.LayerNormalization(epsilon=_EPSILON)
        self._attention = SelfAttention(width, heads, dropout, relative_length)
        self._before_dense = tf.keras.layers.LayerNormalization(epsilon=_EPSILON)
        self._wide = tf.keras.layers.Dense(feed_forward * width, activation="gelu")
        self._narrow = tf.keras.layers.Dense(width)
        self._dropout = tf.keras.layers.Dropout(dropout)

    def call(self, x: Any, visible: Any, at: Any = None, training: bool | None = None) -> Any:
        """x [batch, length, width] → the same shape, or [batch, 1, width] at one position; see `SelfAttention`."""
        attended = self._attention(self._before_attention(x), visible, at=at, training=training)
        if at is not None:
            x = tf.gather(x, at[:, tf.newaxis], batch_dims=1)
        x = x + self._dropout(attended, training=training)
        wide = self._dropout(self._wide(self._before_dense(x)), training=training)
        return x + self._dropout(self._narrow(wide), training=training)

    def shares(self, x: Any, visible: Any) -> Any:
        """Return the attention's weights: float32 [batch, heads, length, length]."""
        return self._attention.shares(self._before_attention(x), visible)
