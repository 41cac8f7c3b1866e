"""The one TensorFlow function from raw events to a model's integers, used by training and by every signature.

Raw text → ids (`EventIds`), then ids → features (`EventFeatures`). Preparation runs the first and stores its result,
training reads that and runs the second, a SavedModel runs both: there is no other code that could differ.
"""

from typing import Any, Final

import numpy as np
import tensorflow as tf

from recsys_tf.config import Inputs
from recsys_tf.events.schema import BEHAVIORS
from recsys_tf.sequences.feature_space import FeatureSpace
from recsys_tf.sequences.vocabularies import FIRST, PADDING, START, UNKNOWN

Tensors = dict[str, Any]

GAP_BUCKETS: Final = 28  # 0 = not known, then one per power of two of seconds, up to eight years
HOUR_BUCKETS: Final = 25  # 0 = not known, then 0:00 … 23:00 UTC
WEEKDAY_BUCKETS: Final = 8  # 0 = not known, then Monday … Sunday


def words_of(text: Any, ngrams: int) -> Any:
    """Split text [n] into tokens, ragged [n, (tokens)]: first its lower-case words, then their character n-grams.

    Each Chinese, Japanese or Korean ideograph is a word. ngrams: length of the n-grams, 0 = words only. They are taken
    from "<word>" (Bojanowski et al. 2017, section 3.2) and begin with "#", which no word holds: "#<ha" of "halo" is not
    its neighbour "#hal", and neither is the word "hal".
    """
    lower = tf.strings.lower(text, encoding="utf-8")
    apart = tf.strings.regex_replace(lower, r"(\p{Han})", r" \1 ")
    words = tf.strings.split(tf.strings.regex_replace(apart, r"[^\p{L}\p{N}]+", " "))
    if ngrams == 0:
        return words
    characters = tf.strings.unicode_split(tf.strings.join(["<", words.flat_values, ">"]), "UTF-8")
    grams = tf.strings.ngrams(characters, ngrams, separator="")  # [words, (n-grams)]
    grams = grams.with_flat_values(tf.strings.join(["#", grams.flat_values]))
    return tf.concat([words, words.with_values(grams).merge_dims(1, 2)], axis=1)


def word_ids(text: Any, table: Any, words: int, ngrams: int) -> Any:
    """Look up the tokens of queries or titles.

    text: [n]; table: a word vocabulary's look-up table. Returns int64 [n, words], the first `words` tokens of
    `words_of`, padded with 0.
    """
    found = words_of(text, ngrams)
    return found.with_flat_values(table.lookup(found.flat_values)).to_tensor(PADDING, shape=[None, words])


class EventIds(tf.Module):  # type: ignore[misc]
    """Raw text of events → integer ids."""

    def __init__(self, space: FeatureSpace) -> None:
        super().__init__()
        self._words, self._ngrams = space.words, space.ngrams
        item_ids = tf.constant(["", *space.catalogue.item_ids], dtype=tf.string)
        rows = tf.constant([PADDING, *range(FIRST, FIRST + len(space.catalogue))], dtype=tf.int64)
        self._row = tf.lookup.StaticHashTable(tf.lookup.KeyValueTensorInitializer(item_ids, rows), UNKNOWN)
        self._behavior = space.behaviors.table()
        self._device = space.devices.table()
        self._word = space.word_vocabulary.table()

    def rows(self, item_id: Any) -> Any:
        """Text of any shape → int64 catalogue rows of the same shape."""
        return self._row.lookup(item_id)

    def behaviors(self, behavior: Any) -> Any:
        """Text of any shape → int64 behaviour ids of the same shape."""
        return self._behavior.lookup(behavior)

    def devices(self, device: Any) -> Any:
        """Text of any shape → int64 device ids of the same shape."""
        return self._device.lookup(device)

    def words(self, query: Any) -> Any:
        """Text of any shape → int64 ids of its words, then of their n-grams, [..., words], padded with 0."""
        padded = word_ids(tf.reshape(query, [-1]), self._word, self._words, self._ngrams)
        return tf.reshape(padded, tf.concat([tf.shape(query), [self._words]], axis=0))

    def __call__(self, item_id: Any, behavior: Any, query: Any, device: Any) -> Tensors:
        """Text [batch, length] each → row, behavior, device int64 [batch, length] and words [batch, length, words]."""
        return {
            "row": self.rows(item_id),
            "behavior": self.behaviors(behavior),
            "device": self.devices(device),
            "words": self.words(query),
        }


class EventFeatures(tf.Module):  # type: ignore[misc]
    """Integer ids and times of events → the features of a model."""

    def __init__(self, space: FeatureSpace) -> None:
        super().__init__()
        catalogue = space.catalogue
        self._item, self._category = tf.constant(catalogue.item), tf.constant(catalogue.category)
        self._price_bucket, self._price = tf.constant(catalogue.price_bucket), tf.constant(catalogue.price)
        self._gap_scaler = space.gap_scaler
        self._categories = space.categories.size
        self._words = space.word_vocabulary.size

    def __call__(self, ids: Tensors) -> Tensors:
        """Turn ids into features.

        ids: int64 row, behavior, device and timestamp (ms) [batch, length], words [batch, length, words] of any width.
        Returns int32 [batch, length] under item, category, behavior, device, price, gap, hour and weekday, int32
        [batch, length, words] under words, and float32 [batch, length] under scaled_price and scaled_gap. A timestamp
        of 0 means not known. The gap belongs to an event and the one before it in the same row.
        """
        row, timestamp = ids["row"], ids["timestamp"]
        before = tf.pad(timestamp[:, :-1], [[0, 0], [1, 0]])
        timed = timestamp > 0
        spaced = timed & (before > 0)
        seconds = tf.cast(tf.maximum(timestamp - before, 0), tf.float32) / 1000.0
        power = tf.cast(tf.math.log1p(seconds) / np.log(2.0), tf.int32)
        return {
            "item": tf.gather(self._item, row),
            "category": tf.gather(self._category, row),
            "behavior": tf.cast(ids["behavior"], tf.int32),
            "device": tf.cast(ids["device"], tf.int32),
            "price": tf.gather(self._price_bucket, row),
            "gap": tf.where(spaced, 1 + tf.minimum(power, GAP_BUCKETS - 2), 0),
            "hour": tf.where(timed, 1 + tf.cast(timestamp // 3_600_000 % 24, tf.int32), 0),
            # 1970-01-01 was a Thursday, the fourth day of its week.
            "weekday": tf.where(timed, 1 + tf.cast((timestamp // 86_400_000 + 3) % 7, tf.int32), 0),
            "words": tf.cast(ids["words"], tf.int32),
            "scaled_price": tf.gather(self._price, row),
            "scaled_gap": tf.where(spaced, self._gap_scaler(seconds), 0.0),
        }

    def inputs(self, ids: Tensors, kind: Inputs) -> Any:
        """Return what a classifier of the given kind eats: a dict of features, int32 tokens, or float32 numbers."""
        features = self(ids)
        match kind:
            case "events":
                return {name: value for name, value in features.items() if not name.startswith("scaled")}
            case "token":
                return self.tokens(features)
            case "numeric":
                return self.numbers(features)

    @property
    def vocab_size(self) -> int:
        """Number of different tokens: the listing's vocab_size."""
        return FIRST + len(BEHAVIORS) * self._categories + self._words

    def tokens(self, features: Tensors) -> Any:
        """One integer per event, as the listing of section 5.2 wants it: int32 [batch, length].

        A token is a pair of behaviour and category; of a search, its first known word, or n-gram when
        it holds no known word.
        """
        behavior, category = features["behavior"], features["category"]
        pair = FIRST + (behavior - FIRST) * self._categories + category
        known = tf.where(features["words"] >= FIRST, features["words"], 0)
        # A batch without searches may be cut to no words at all.
        known = tf.pad(known, [[0, 0], [0, 0], [0, 1]])
        at = tf.argmax(tf.cast(known > 0, tf.int32), axis=-1, output_type=tf.int32)
        word = tf.gather(known, at, batch_dims=2)
        searched = FIRST + len(BEHAVIORS) * self._categories + word
        token = tf.where(features["behavior"] == FIRST + BEHAVIORS.index("search"), searched, pair)
        return tf.where(behavior >= FIRST, token, behavior)

    @property
    def num_features(self) -> int:
        """Numbers per event: the listing's num_features."""
        return 7 + len(BEHAVIORS) + self._categories

    def numbers(self, features: Tensors) -> Any:
        """Numeric features of each event, as section 4.3 wants them: float32 [batch, length, num_features].

        One for "there is an event", scaled price and gap, hour and weekday on a circle, behaviour and category one-hot;
        all zero for padding, which a Masking layer then recognises.
        """
        day = tf.cast(features["hour"] - 1, tf.float32) * (2 * np.pi / 24)
        week = tf.cast(features["weekday"] - 1, tf.float32) * (2 * np.pi / 7)
        timed = tf.cast(features["hour"] > 0, tf.float32)
        there = tf.cast(features["behavior"] != PADDING, tf.float32)
        plain = [there, features["scaled_price"], features["scaled_gap"]]
        circle = [timed * tf.sin(day), timed * tf.cos(day), timed * tf.sin(week), timed * tf.cos(week)]
        behavior = tf.one_hot(features["behavior"] - FIRST, len(BEHAVIORS))
        category = tf.one_hot(features["category"], self._categories) * there[..., tf.newaxis]
        return tf.concat([tf.stack([*plain, *circle], axis=-1), behavior, category], axis=-1)


def start_ids(batch: Any, words: int) -> Tensors:
    """The start token of `batch` sequences: int64 [batch, 1] each, words [batch, 1, words]."""
    start = tf.fill([batch, 1], tf.constant(START, tf.int64))
    none = tf.zeros_like(start)
    return {
        "row": start,
        "behavior": start,
        "device": none,
        "words": tf.zeros([batch, 1, words], tf.int64),
        "timestamp": none,
    }
