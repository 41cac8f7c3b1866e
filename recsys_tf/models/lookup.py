"""Looking rows up in a table of embeddings, such that training is fast."""

from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf


def lookup(table: Any, ids: Any) -> Any:
    """Rows of a table [rows, width] (tensor or variable) by ids int [...] → [..., width], with a dense gradient.

    TensorFlow would hand the optimizer the rows that were looked up, doubles among them; Adam sorts those out anew for
    every table and moves all rows anyway. Adding them up here is several times as fast.
    """
    # The gradient of a reshape is dense whatever it is given.
    return tf.gather(tf.reshape(table, table.shape), ids)


class FixedLookup:
    """A look-up of the same ids every time, with nothing to sort out while training goes on.

    ids: int [ids], rows of a table [size, width]. owners: int [ids], ascending, which of the `number` results each id
    is added to; without them every id is a result of its own. static_shapes: keep to operations that XLA knows.
    """

    def __init__(
        self,
        ids: npt.NDArray[Any],
        size: int,
        owners: npt.NDArray[Any] | None = None,
        number: int = 0,
        static_shapes: bool = False,
    ) -> None:
        self._single = owners is None
        self._ids, self._size, self._static = ids.astype(np.int32), size, static_shapes
        self._owners = np.arange(len(ids), dtype=np.int32) if owners is None else owners.astype(np.int32)
        self._number = len(ids) if owners is None else number
        # The gradient goes the same way back: to every id what came to its owners, ids ascending.
        order = np.argsort(self._ids, kind="stable")
        self._back_ids, self._back_owners = self._ids[order], self._owners[order]

    def __call__(self, table: Any) -> Any:
        """Sum of the rows of each owner: table [size, width] (tensor or variable) → [number, width]."""
        if self._static:
            found = lookup(table, self._ids)
            return found if self._single else tf.math.unsorted_segment_sum(found, self._owners, self._number)
        return self._summed(tf.convert_to_tensor(table))

    def _summed(self, table: Any) -> Any:
        @tf.custom_gradient  # type: ignore[untyped-decorator, unused-ignore]
        def summed(table: Any) -> Any:
            def gradient(upstream: Any) -> Any:
                return tf.sparse.segment_sum(upstream, self._back_owners, self._back_ids, num_segments=self._size)

            if self._single:
                return tf.gather(table, self._ids), gradient
            return tf.sparse.segment_sum(table, self._ids, self._owners, num_segments=self._number), gradient

        return summed(table)


class Embedding(tf.keras.layers.Embedding):  # type: ignore[misc]
    """Keras' Embedding by way of `lookup`."""

    built: bool

    def call(self, ids: Any) -> Any:
        """Ids int [...] → [..., width], in the precision that the layer computes in."""
        return tf.cast(lookup(self.embeddings, ids), self.compute_dtype)

    def fixed(self, ids: FixedLookup) -> Any:
        """Look up what is the same every time → [number, width], in the precision that the layer computes in."""
        if not self.built:
            with tf.name_scope(self.name):
                self.build(None)
            self.built = True
        return tf.cast(ids(self.embeddings), self.compute_dtype)
