"""Sequence encoders behind one call: events [batch, length, width] → hidden states [batch, length, width].

The hidden state at position p stands for the user after event p and answers for event p + 1. Sequences are padded on
the right, so a causal encoder never meets padding before an answer and needs no mask. RNN, LSTM and GRU are the
article's section 2.3; the causal Transformer is SASRec's and GPT's way (Kang & McAuley 2018), the masked bidirectional
one BERT4Rec's (Sun et al. 2019).

Whoever wants the answer of one position only says `at`, int32 [batch]: the result is then [batch, 1, width], and the
Transformers leave out what nobody reads of their last block.
"""

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from recsys_tf.config import TwoTowerConfig
from recsys_tf.models.attention import TransformerBlock

_EPSILON = 1e-6
_INITIAL = 0.02  # deviation of fresh embeddings, as in BERT


def build_encoder(config: TwoTowerConfig, max_positions: int) -> tf.keras.layers.Layer:
    """Build the encoder of the given name; max_positions: the longest sequence, the start token included."""
    match config.encoder:
        case "transformer":
            return Transformer(config, max_positions)
        case "bert":
            return MaskedTransformer(config, max_positions)
        case "lstm" | "gru" | "rnn":
            return Recurrent(config)


class Recurrent(tf.keras.layers.Layer):  # type: ignore[misc]
    """Stacked RNN, LSTM or GRU layers, as the article stacks them (section 3.2.2), and a last projection."""

    def __init__(self, config: TwoTowerConfig, **options: Any) -> None:
        super().__init__(**options)
        layers = tf.keras.layers
        kind = {"rnn": layers.SimpleRNN, "lstm": layers.LSTM, "gru": layers.GRU}[config.encoder]
        self._layers = [kind(config.width, return_sequences=True) for _ in range(config.layers)]
        self._output = layers.Dense(config.width)
        self._norm = layers.LayerNormalization(epsilon=_EPSILON)
        self._dropout = layers.Dropout(config.dropout)

    def call(
        self, events: Any, held: Any = None, masked: Any = None, at: Any = None, training: bool | None = None
    ) -> Any:
        """Events [batch, length, width] → hidden states of the same shape; held and masked change nothing."""
        hidden = self._dropout(events, training=training)
        for layer in self._layers:
            hidden = self._dropout(layer(hidden), training=training)
        if at is not None:
            hidden = tf.gather(hidden, at[:, tf.newaxis], batch_dims=1)
        return self._norm(self._output(hidden))


class Transformer(tf.keras.layers.Layer):  # type: ignore[misc]
    """Causal self-attention: each position sees itself and what came before."""

    def __init__(self, config: TwoTowerConfig, max_positions: int, **options: Any) -> None:
        super().__init__(**options)
        self._width, self._max_positions = config.width, max_positions
        relative = max_positions if config.relative_bias else 0
        self._blocks = [
            TransformerBlock(config.width, config.heads, config.feed_forward, config.dropout, relative)
            for _ in range(config.layers)
        ]
        self._norm = tf.keras.layers.LayerNormalization(epsilon=_EPSILON)
        self._dropout = tf.keras.layers.Dropout(config.dropout)

    def build(self, shape: Any) -> None:
        """Create the position embedding: float32 [max_positions, width]."""
        # Events come scaled by √width; so must positions, or they would be drowned.
        self._positions = self.add_weight(
            name="positions",
            shape=(self._max_positions, self._width),
            initializer=tf.keras.initializers.RandomNormal(stddev=_INITIAL * self._width**0.5),
        )
        super().build(shape)

    def call(
        self, events: Any, held: Any = None, masked: Any = None, at: Any = None, training: bool | None = None
    ) -> Any:
        """Events [batch, length, width] → hidden states of the same shape; held and masked change nothing."""
        return self._encode(*self._seen(events, held, masked), at, training)

    def attention(self, events: Any, held: Any = None) -> Any:
        """How much each position takes from each, block by block: float32 [blocks, batch, heads, length, length].

        The last two are who asks and who is asked; `bert` has its mask token as one position more.
        """
        events, visible = self._seen(events, held, None)
        hidden, seen = self._placed(events), visible(tf.range(tf.shape(events)[1])[tf.newaxis])
        shares = []
        for block in self._blocks:
            shares.append(block.shares(hidden, seen))
            hidden = block(hidden, seen)
        return tf.stack(shares)

    def _seen(self, events: Any, held: Any, masked: Any) -> tuple[Any, Callable[[Any], Any]]:
        """Return the events as the blocks get them, and what each position sees of them."""
        position = tf.range(tf.shape(events)[1])
        return events, lambda asking: position <= asking[..., tf.newaxis]

    def _placed(self, events: Any) -> Any:
        """Events with their positions: [batch, length, width]."""
        return events + tf.cast(self._positions[: tf.shape(events)[1]], events.dtype)

    def _encode(self, events: Any, visible: Callable[[Any], Any], at: Any, training: bool | None) -> Any:
        """visible: from positions that ask [batch or 1, queries] to bool [batch or 1, queries or 1, length]."""
        hidden = self._dropout(self._placed(events), training=training)
        every = tf.range(tf.shape(events)[1])[tf.newaxis]
        seen_by_every = visible(every)
        for block in self._blocks[:-1]:
            hidden = block(hidden, seen_by_every, training=training)
        seen = seen_by_every if at is None else visible(at[:, tf.newaxis])
        return self._norm(self._blocks[-1](hidden, seen, at=at, training=training))


class MaskedTransformer(Transformer):
    """Bidirectional self-attention with its own training target: guess hidden events from both sides.

    A mask token stands for the event that comes after the last one, and in training for every event that is hidden.
    The output is moved by one position, so that here too position p answers for event p + 1; outside training only the
    answer at the last event means anything.
    """

    def __init__(self, config: TwoTowerConfig, max_positions: int, **options: Any) -> None:
        super().__init__(config, max_positions + 1, **options)

    def build(self, shape: Any) -> None:
        """Create the mask token: float32 [width]."""
        self._mask_token = self.add_weight(
            name="mask_token",
            shape=(self._width,),
            initializer=tf.keras.initializers.RandomNormal(stddev=_INITIAL * self._width**0.5),
        )
        super().build(shape)

    def call(
        self, events: Any, held: Any = None, masked: Any = None, at: Any = None, training: bool | None = None
    ) -> Any:
        """Events [batch, length, width] → answers of the same shape.

        held: int32 [batch], positions that are not padding. masked: bool [batch, length], position p says that event
        p + 1 is hidden; without it none is.
        """
        longer, visible = self._seen(events, held, masked)
        if at is not None:
            return self._encode(longer, visible, at + 1, training)
        return self._encode(longer, visible, None, training)[:, 1:]

    def _seen(self, events: Any, held: Any, masked: Any) -> tuple[Any, Callable[[Any], Any]]:
        length = tf.shape(events)[1]
        held = tf.fill([tf.shape(events)[0]], length) if held is None else held
        position = tf.range(length + 1)
        hidden = (position == held[:, tf.newaxis])[..., tf.newaxis]  # the event to come
        if masked is not None:
            hidden |= tf.pad(masked, [[0, 0], [1, 0]])[..., tf.newaxis]
        longer = tf.pad(events, [[0, 0], [0, 1], [0, 0]])
        longer = tf.where(hidden, tf.cast(self._mask_token, events.dtype), longer)
        visible = (position <= held[:, tf.newaxis])[:, tf.newaxis, :]  # [batch, 1, length + 1], for every query
        return longer, lambda _: visible
