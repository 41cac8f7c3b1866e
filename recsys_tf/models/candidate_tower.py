"""The candidate tower: what an item is, from its id and from everything that the catalogue says of it.

One tower for both sides: the items of a history are seen by the query tower as the candidates they are.
"""

from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from recsys_tf.models.event_embedding import EventSizes
from recsys_tf.models.lookup import Embedding, FixedLookup
from recsys_tf.sequences.catalogue import Catalogue
from recsys_tf.sequences.vocabularies import FIRST, PADDING, UNKNOWN


def small_random() -> tf.keras.initializers.Initializer:
    """Return a fresh initializer of embeddings: small, so that scores begin near zero and the softmax near uniform."""
    return tf.keras.initializers.RandomNormal(stddev=0.02)


class WordEmbedding(tf.keras.layers.Layer):  # type: ignore[misc]
    """The mean of the embeddings of words and of parts of words; titles and searches share it.

    static_shapes: let no tensor's shape depend on the data; otherwise texts without a word cost nothing, and of the
    events of a history few are searches.
    """

    def __init__(self, size: int, width: int, static_shapes: bool = False, **options: Any) -> None:
        super().__init__(**options)
        self._width, self._static = width, static_shapes
        self._embedding = _embedding(size, width, "words")

    def call(self, words: Any) -> Any:
        """Word ids int32 [..., words], 0 is none → float32 [..., width]; no word at all gives zeros."""
        if self._static:
            return self._mean(words)
        shape = tf.shape(words, tf.int64)
        number = tf.reduce_prod(shape[:-1])
        texts = tf.reshape(words, tf.stack([number, shape[-1]]))
        at = tf.where(tf.reduce_any(texts != PADDING, axis=1))
        means = self._mean(tf.gather(texts, at[:, 0]))
        every = tf.scatter_nd(at, means, tf.stack([number, self._width]))
        return tf.reshape(every, tf.concat([shape[:-1], [self._width]], axis=0))

    def _mean(self, words: Any) -> Any:
        known = tf.cast(words != PADDING, self.compute_dtype)[..., tf.newaxis]
        total = tf.reduce_sum(self._embedding(words) * known, axis=-2)
        return tf.math.divide_no_nan(total, tf.reduce_sum(known, axis=-2))

    def of_titles(self, words: FixedLookup, shares: Any) -> Any:
        """Mean words of all titles, read without padding; shares: 1 / words of each [titles, 1] → [titles, width]."""
        total = self._embedding.fixed(words)
        return total * tf.cast(shares, total.dtype)


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
        static_shapes: bool = False,
        **more: Any,
    ) -> None:
        super().__init__(**more)
        self._item_dropout = item_dropout
        self._item = tf.constant(catalogue.item, tf.int32)
        self._item_embedding = _embedding(sizes.item, width, "item")
        known = _known_features(catalogue, sizes)
        self._features = {name: tf.constant(ids, tf.int32) for name, (ids, _) in known.items()}
        self._embeddings = {name: _embedding(size, width, name) for name, (_, size) in known.items()}
        self._fixed = {
            name: FixedLookup(ids, size, static_shapes=static_shapes)
            for name, (ids, size) in ({"item": (catalogue.item, sizes.item)} | known).items()
        }
        self._words = words if catalogue.title_words.any() else None
        self._title_words = tf.constant(_without_empty_columns(catalogue.title_words), tf.int32)
        titles, places = np.nonzero(catalogue.title_words)
        self._fixed["words"] = FixedLookup(
            catalogue.title_words[titles, places], sizes.words, titles, len(catalogue.item), static_shapes
        )
        held = np.count_nonzero(catalogue.title_words, axis=1)[:, np.newaxis]
        self._title_shares = tf.constant(np.where(held > 0, 1.0 / np.maximum(held, 1), 0.0), tf.float32)
        self._vectors = tf.constant(_of_usual_length_one(catalogue)) if catalogue.vectors.shape[1] else None
        project = tf.keras.layers.Dense(width, use_bias=False, kernel_initializer=small_random(), name="vector")
        self._project = project if catalogue.vectors.any() else None

    @property
    def rows(self) -> int:
        """Number of catalogue rows, the three reserved ones included."""
        return int(self._item.shape[0])

    def call(self, rows: Any, training: bool | None = None) -> Any:
        """Catalogue rows int32 of any shape [...] → float32 [..., width]."""
        item = tf.gather(self._item, rows)
        hidden = self._hidden(item, training)
        vector = self._item_embedding(item if hidden is None else tf.where(hidden, UNKNOWN, item))
        for name, ids in self._features.items():
            vector += self._embeddings[name](tf.gather(ids, rows))
        if self._words is not None:
            vector += self._words(tf.gather(self._title_words, rows))
        if self._project is not None:
            vector += self._project(tf.gather(self._vectors, rows))
        return vector

    def table(self, training: bool | None = None) -> Any:
        """Every row of the catalogue at once: float32 [rows, width]."""
        vector = self._item_embedding.fixed(self._fixed["item"])
        hidden = self._hidden(self._item, training)
        if hidden is not None:
            vector = tf.where(hidden[:, tf.newaxis], self._item_embedding(tf.constant([UNKNOWN])), vector)
        for name in self._features:
            vector += self._embeddings[name].fixed(self._fixed[name])
        if self._words is not None:
            vector += self._words.of_titles(self._fixed["words"], self._title_shares)
        if self._project is not None:
            vector += self._project(self._vectors)
        return vector

    def _hidden(self, item: Any, training: bool | None) -> Any:
        """Draw the items that training takes for unknown ones: bool of the shape of item, or None for none."""
        if not training or not self._item_dropout:
            return None
        return (tf.random.uniform(tf.shape(item)) < self._item_dropout) & (item > UNKNOWN)


def _known_features(catalogue: Catalogue, sizes: EventSizes) -> dict[str, tuple[npt.NDArray[np.int32], int]]:
    """Return the ids [rows] of what the log says of its items beside their id and words, and how many there are."""
    known = {}
    if sizes.category > FIRST:
        known["category"] = (catalogue.category, sizes.category)
    if catalogue.price_bucket.any():
        known["price"] = (catalogue.price_bucket, sizes.price)
    return known


def _of_usual_length_one(catalogue: Catalogue) -> npt.NDArray[np.float32]:
    """The items' vectors, scaled so that those of training have length 1 on average: float32 [rows, dims].

    Whatever made them has a scale of its own, and a large one would drown the embeddings beside it.
    """
    known = np.linalg.norm(catalogue.vectors[catalogue.item >= FIRST], axis=1)
    usual = float(known[known > 0].mean()) if (known > 0).any() else 1.0
    return (catalogue.vectors / usual).astype(np.float32)


def _embedding(size: int, width: int, name: str) -> tf.keras.layers.Embedding:
    return Embedding(size, width, embeddings_initializer=small_random(), name=name)


def _without_empty_columns(words: Any) -> Any:
    """Cut the padding that no title needs: [rows, words] → [rows, longest title]."""
    used = np.flatnonzero(words.any(axis=0))
    return words[:, : used[-1] + 1 if used.size else 1]
