"""The candidate tower: what an item is, from its id and from everything that the catalogue says of it.

One tower for both sides: the items of a history are seen by the query tower as the candidates they are.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from recsys_tf.models.event_embedding import EventSizes
from recsys_tf.models.lookup import Embedding
from recsys_tf.sequences.catalogue import Catalogue
from recsys_tf.sequences.vocabularies import FIRST, PADDING, UNKNOWN


def small_random() -> tf.keras.initializers.Initializer:
    """Return a fresh initializer of embeddings: small, so that scores begin near zero and the softmax near uniform."""
    return tf.keras.initializers.RandomNormal(stddev=0.02)


@dataclass(frozen=True)
class Titles:
    """The words of all titles without their padding.

    words: int32 [words], one after the other; owners: int32 [words], the title that each belongs to; shares: float32
    [titles, 1], 1 / how many words a title has, 0 where it has none.
    """

    words: npt.NDArray[np.int32]
    owners: npt.NDArray[np.int32]
    shares: npt.NDArray[np.float32]

    @classmethod
    def of(cls, padded: npt.NDArray[Any]) -> "Titles":
        """Take the padding out of word ids [titles, words]."""
        owners, places = np.nonzero(padded)
        held = np.count_nonzero(padded, axis=1)[:, np.newaxis]
        shares = np.where(held > 0, 1.0 / np.maximum(held, 1), 0.0)
        return cls(padded[owners, places].astype(np.int32), owners.astype(np.int32), shares.astype(np.float32))


class WordEmbedding(tf.keras.layers.Layer):  # type: ignore[misc]
    """The mean of the embeddings of words and of parts of words; titles and searches share it."""

    def __init__(self, size: int, width: int, **options: Any) -> None:
        super().__init__(**options)
        self._embedding = _embedding(size, width, "words")

    def call(self, words: Any) -> Any:
        """Word ids int32 [..., words], 0 is none → float32 [..., width]; no word at all gives zeros."""
        known = tf.cast(words != PADDING, self.compute_dtype)[..., tf.newaxis]
        total = tf.reduce_sum(self._embedding(words) * known, axis=-2)
        return tf.math.divide_no_nan(total, tf.reduce_sum(known, axis=-2))

    def of_titles(self, titles: "Titles") -> Any:
        """All titles at once, without touching their padding → float32 [titles, width]."""
        total = tf.math.unsorted_segment_sum(self._embedding(titles.words), titles.owners, len(titles.shares))
        return total * tf.cast(titles.shares, total.dtype)


class CandidateTower(tf.keras.layers.Layer):  # type: ignore[misc]
    """Item id + category + price bucket + words of the title + a vector computed elsewhere, whatever the log has.

    In training an item is taken for an unknown one with probability `item_dropout`: so its other features learn to
    place it, and the entry of the unknown item learns to stand for one that has no past.
    """

    def __init__(
        self,
        catalogue: Catalogue,
        sizes: EventSizes,
        words: WordEmbedding,
        width: int,
        item_dropout: float,
        **more: Any,
    ) -> None:
        super().__init__(**more)
        self._item_dropout = item_dropout
        self._item = tf.constant(catalogue.item, tf.int32)
        self._item_embedding = _embedding(sizes.item, width, "item")
        self._features = {}
        if sizes.category > FIRST:
            self._features["category"] = (tf.constant(catalogue.category, tf.int32), sizes.category)
        if catalogue.price_bucket.any():
            self._features["price"] = (tf.constant(catalogue.price_bucket, tf.int32), sizes.price)
        self._embeddings = {name: _embedding(size, width, name) for name, (_, size) in self._features.items()}
        self._words = words if catalogue.title_words.any() else None
        self._title_words = tf.constant(_without_empty_columns(catalogue.title_words), tf.int32)
        self._titles = Titles.of(catalogue.title_words)
        self._vectors = tf.constant(catalogue.vectors, tf.float32) if catalogue.vectors.shape[1] else None
        self._project = tf.keras.layers.Dense(width, use_bias=False, name="vector") if catalogue.vectors.any() else None

    @property
    def rows(self) -> int:
        """Number of catalogue rows, the three reserved ones included."""
        return int(self._item.shape[0])

    def call(self, rows: Any, training: bool | None = None) -> Any:
        """Catalogue rows int32 of any shape [...] → float32 [..., width]."""
        words = None if self._words is None else self._words(tf.gather(self._title_words, rows))
        return self._vector(lambda facts: tf.gather(facts, rows), words, training)

    def table(self, training: bool | None = None) -> Any:
        """Every row of the catalogue at once: float32 [rows, width]."""
        words = None if self._words is None else self._words.of_titles(self._titles)
        return self._vector(lambda facts: facts, words, training)

    def _vector(self, chosen: Callable[[Any], Any], words: Any, training: bool | None) -> Any:
        """Add up what is known of the rows that `chosen` picks from a tensor [rows, ...]."""
        item = chosen(self._item)
        if training and self._item_dropout:
            hidden = (tf.random.uniform(tf.shape(item)) < self._item_dropout) & (item > UNKNOWN)
            item = tf.where(hidden, UNKNOWN, item)
        vector = self._item_embedding(item)
        for name, (ids, _) in self._features.items():
            vector += self._embeddings[name](chosen(ids))
        if words is not None:
            vector += words
        if self._project is not None:
            vector += self._project(chosen(self._vectors))
        return vector


def _embedding(size: int, width: int, name: str) -> tf.keras.layers.Embedding:
    return Embedding(size, width, embeddings_initializer=small_random(), name=name)


def _without_empty_columns(words: Any) -> Any:
    """Cut the padding that no title needs: [rows, words] → [rows, longest title]."""
    used = np.flatnonzero(words.any(axis=0))
    return words[:, : used[-1] + 1 if used.size else 1]
