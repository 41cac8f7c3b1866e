"""What users say first when they turn to the simulated shop's customer service: a few words, not all to the point.

Given the reason, words are independent of each other: of the reason's own, of any reason's, or such as everybody uses.
"""

from typing import Final

import numpy as np
import pandas as pd

from recsys_tf.events.simulated_laws import Floats, Ints, Texts

# Own words of the reasons, in the order of REASONS; some belong to two.
OWN_WORDS: Final = (
    ("late", "parcel", "waiting", "delivery", "arrive", "days", "order"),
    ("return", "exchange", "size", "wrong", "refund", "parcel", "order"),
    ("cheaper", "price", "discount", "coupon", "sale", "difference", "refund"),
    ("pay", "card", "declined", "checkout", "cart", "error", "order"),
    ("password", "login", "account", "phone", "code", "locked", "error"),
    ("material", "colour", "fit", "stock", "compare", "size", "price"),
)
COMMON_WORDS: Final = ("hello", "please", "help", "my", "the", "is", "not", "can", "when", "why", "today", "thanks")
# How often a word is of the reason's own, and of any reason's; the others are common ones.
OWN: Final = 0.30
STRAY: Final = 0.12
FEWEST_WORDS: Final = 2
MOST_WORDS: Final = 5

VOCABULARY: Final = tuple(dict.fromkeys([*(word for words in OWN_WORDS for word in words), *COMMON_WORDS]))


def _word_law() -> Floats:
    own = np.array([[word in words for word in VOCABULARY] for words in OWN_WORDS], np.float64)
    common = np.array([word in COMMON_WORDS for word in VOCABULARY], np.float64)
    own /= own.sum(axis=1, keepdims=True)
    law: Floats = OWN * own + STRAY * own.mean(axis=0) + (1.0 - OWN - STRAY) * common / common.sum()
    return law


# How likely a word of a contact is, given its reason: [reasons, words], rows sum to 1.
WORD_LAW: Final[Floats] = _word_law()


def make_words(reason: Ints, rng: np.random.Generator) -> Ints:
    """Draw the words of contacts [contacts]: places in VOCABULARY, [contacts, MOST_WORDS], -1 after the last one."""
    number = rng.integers(FEWEST_WORDS, MOST_WORDS + 1, len(reason))
    uniform = rng.random((len(reason), MOST_WORDS))
    words = np.empty((len(reason), MOST_WORDS), np.int64)
    for one, law in enumerate(WORD_LAW):
        heap = np.cumsum(law)
        own = reason == one
        words[own] = np.minimum(np.searchsorted(heap, uniform[own] * heap[-1], side="right"), len(law) - 1)
    return np.where(np.arange(MOST_WORDS) < number[:, None], words, -1)


def sentences(words: Ints) -> Texts:
    """Write words [contacts, most words] out, separated by spaces: [contacts]."""
    texts = np.array([*(f" {word}" for word in VOCABULARY), ""], dtype=object)
    joined: Texts = pd.Series(texts[words].sum(axis=1), dtype=object).str.strip().to_numpy(object)
    return joined


def word_log_likelihood(words: Ints) -> Floats:
    """Log probability of the words [contacts, most words] given each reason and their number: [contacts, reasons]."""
    log = np.append(np.log(WORD_LAW), np.zeros((len(WORD_LAW), 1)), axis=1)
    found: Floats = log[:, words].sum(axis=2).T
    return found
