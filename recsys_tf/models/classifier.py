"""The article's two classifiers, to be read beside its listings (sections 3.2.2 and 5.2, and 4.3).

    model = Sequential([
        Embedding(input_dim=vocab_size, output_dim=embedding_size),        or: no Embedding, numeric features (4.3)
        LSTM(units=128, return_sequences=True),
        LSTM(units=64, return_sequences=False),                            or: LSTM(units=128) twice (4.3)
        Dense(units=num_classes, activation='softmax')
    ])
    model.compile(optimizer='adam', loss='categorical_crossentropy', metrics=['accuracy'])

Three things differ, and have to: padding is masked (mask_zero), the labels are integers (sparse cross-entropy), and
with `every_position` the last LSTM returns its whole sequence, so that one pass learns from each of its events. The
weights are the same either way. Dropout is ours (section 5.5); the preset `article` sets it to 0.
"""

from typing import Any

import tensorflow as tf

from recsys_tf.config import ClassifierConfig
from recsys_tf.models.event_embedding import EventEmbedding, EventSizes

# Share of the training sequences in which device and times are hidden: requests often come without them.
_CONTEXT_DROPOUT = 0.1


def build_classifier(
    config: ClassifierConfig,
    num_classes: int,
    sizes: EventSizes,
    vocab_size: int,
    every_position: bool,
) -> tf.keras.Sequential:
    """Stack the layers of the article's classifier.

    Inputs, by config.inputs: "token" int32 [batch, length] (sections 3.2.2 and 5.2); "numeric" float32
    [batch, length, num_features] (section 4.3); "events" a dict of int32 features [batch, length].
    Output: class probabilities float32 [batch, length, num_classes] with `every_position`, else [batch, num_classes].
    """
    match config.inputs:
        case "token":
            first = tf.keras.layers.Embedding(input_dim=vocab_size, output_dim=config.embedding_size, mask_zero=True)
        case "numeric":
            first = tf.keras.layers.Masking(mask_value=0.0)
        case "events":
            first = EventEmbedding(sizes, config.embedding_size, config.item_dropout, _CONTEXT_DROPOUT)

    *lower, last = config.lstm_units
    return tf.keras.Sequential(
        [
            first,
            *(tf.keras.layers.LSTM(units=units, return_sequences=True, dropout=config.dropout) for units in lower),
            tf.keras.layers.LSTM(units=last, return_sequences=every_position, dropout=config.dropout),
            tf.keras.layers.Dropout(config.dropout),
            tf.keras.layers.Dense(units=num_classes, activation="softmax"),
        ]
    )


def representation(model: tf.keras.Sequential, inputs: Any) -> Any:
    """Return the layer before the softmax: float32 [batch, (length,) width], the article's X = f(W·S + b) (4.1).

    `model.predict` would return class probabilities, which are no representation (errata of section 3.2.3).
    """
    hidden = inputs
    for layer in model.layers[:-1]:
        hidden = layer(hidden)  # Keras passes the mask along with the tensor
    return hidden
