"""Looking rows up in a table of embeddings, such that training is fast."""

from typing import Any

import tensorflow as tf


def lookup(table: Any, ids: Any) -> Any:
    """Rows of a table [rows, width] (tensor or variable) by ids int [...] → [..., width], with a dense gradient.

    TensorFlow would hand the optimizer the rows that were looked up, doubles among them; Adam sorts those out anew for
    every table and moves all rows anyway. Adding them up here is several times as fast.
    """
    # The gradient of a reshape is dense whatever it is given.
    return tf.gather(tf.reshape(table, table.shape), ids)


class Embedding(tf.keras.layers.Embedding):  # type: ignore[misc]
    """Keras' Embedding by way of `lookup`."""

    def call(self, ids: Any) -> Any:
        """Ids int [...] → [..., width], in the precision that the layer computes in."""
        return tf.cast(lookup(self.embeddings, ids), self.compute_dtype)
