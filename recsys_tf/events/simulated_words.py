"""Words of the simulated shop: invented names for categories and brands, titles and search queries made of them."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from recsys_tf.events.simulated_laws import STYLES, Bools, Ints, Texts

WORDS_PER_CATEGORY = 4
BRANDS = 40
MISSPELLED = 0.06

_SYLLABLES = np.array([c + v for c in "bdfgklmnprstvwyz" for v in "aeiou"], dtype=object)


@dataclass(frozen=True)
class Words:
    """The vocabulary: category words [categories, 4], the same misspelled in two ways [2, …], brand and style words."""

    category: Texts
    misspelled: Texts
    brand: Texts
    style: Texts


def make_words(categories: int, rng: np.random.Generator) -> Words:
    """Invent distinct words of three syllables; no word belongs to two categories."""
    number = categories * WORDS_PER_CATEGORY + BRANDS
    size = len(_SYLLABLES)
    picks = rng.choice(size**3, size=number, replace=False)
    words = _SYLLABLES[picks // size**2] + _SYLLABLES[picks // size % size] + _SYLLABLES[picks % size]
    own = words[: categories * WORDS_PER_CATEGORY].reshape(categories, WORDS_PER_CATEGORY)
    swapped = np.array([w[0] + w[2] + w[1] + w[3:] for w in own.ravel()], dtype=object).reshape(own.shape)
    shortened = np.array([w[:4] + w[5:] for w in own.ravel()], dtype=object).reshape(own.shape)
    return Words(own, np.stack([swapped, shortened]), words[own.size :], np.array(STYLES, dtype=object))


def make_titles(words: Words, category: Ints, brand: Ints, style: Ints, rng: np.random.Generator) -> Texts:
    """Write one title per item [items]: brand, style, one or two words of the category; 1 % are empty."""
    first, second = _two_words(len(category), rng)
    titles = _capitalised(words.brand)[brand] + " " + words.style[style] + " " + words.category[category, first]
    titles = np.where(rng.random(len(category)) < 0.7, titles + " " + words.category[category, second], titles)
    return np.where(rng.random(len(category)) < 0.01, "", titles)


def make_queries(words: Words, category: Ints, brand: Ints, style: Ints, rng: np.random.Generator) -> Texts:
    """Write one query per search [searches] for an item of this category, brand and style.

    At least one word is of the category; it is misspelled in 6 % of the queries. Cases are mixed.
    """
    n = len(category)
    first, second = _two_words(n, rng)
    wrong = words.misspelled[rng.integers(0, 2, n), category, first]
    text = np.where(rng.random(n) < MISSPELLED, wrong, words.category[category, first])
    text = _prefixed(words.brand[brand], rng.random(n) < 0.30, text)
    text = _prefixed(words.style[style], rng.random(n) < 0.45, text)
    text = np.where(rng.random(n) < 0.25, text + " " + words.category[category, second], text)
    lettering = rng.random(n)
    text = np.where(lettering < 0.10, _upper(text), text)
    return np.where(lettering > 0.80, _capitalised(text), text)


def _two_words(n: int, rng: np.random.Generator) -> tuple[Ints, Ints]:
    first = rng.integers(0, WORDS_PER_CATEGORY, n)
    return first, (first + rng.integers(1, WORDS_PER_CATEGORY, n)) % WORDS_PER_CATEGORY


def _prefixed(word: Texts, wanted: Bools, text: Texts) -> Texts:
    return np.where(wanted, word + " " + text, text)


def _upper(text: Texts) -> Texts:
    return pd.Series(text, dtype=object).str.upper().to_numpy()


def _capitalised(text: Texts) -> Texts:
    return pd.Series(text, dtype=object).str.capitalize().to_numpy()
