"""Vocabularies: which text gets which id, fitted on training events only and kept as text files, one token a line."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pandas as pd
import tensorflow as tf

from recsys_tf.errors import InputError

PADDING: Final = 0  # no event, or an event without this property
START: Final = 1  # the token that every sequence begins with
UNKNOWN: Final = 2  # text that training has not seen, or too rarely
FIRST: Final = 3  # the first token of the vocabulary


@dataclass(frozen=True)
class Vocabulary:
    """Tokens in the order of their ids; the id of tokens[i] is FIRST + i."""

    name: str
    tokens: tuple[str, ...]

    @property
    def size(self) -> int:
        """Number of ids, the three reserved ones included: an Embedding's input_dim."""
        return FIRST + len(self.tokens)

    def table(self) -> Any:
        """Return a tf.lookup.StaticHashTable: text → int64 id, "" → PADDING, anything else → UNKNOWN."""
        keys = tf.constant(["", *self.tokens], dtype=tf.string)
        ids = tf.constant([PADDING, *range(FIRST, self.size)], dtype=tf.int64)
        return tf.lookup.StaticHashTable(tf.lookup.KeyValueTensorInitializer(keys, ids), default_value=UNKNOWN)

    def save(self, directory: Path) -> None:
        """Write <directory>/<name>.txt; line n holds the token whose id is FIRST + n - 1."""
        text = "".join(f"{_escape(token)}\n" for token in self.tokens)
        (directory / f"{self.name}.txt").write_text(text, encoding="utf-8", newline="\n")

    @classmethod
    def load(cls, directory: Path, name: str) -> "Vocabulary":
        """Read what `save` wrote. Raises InputError when the file is not there."""
        path = directory / f"{name}.txt"
        if not path.is_file():
            raise InputError("this vocabulary is missing; prepare the data again", file=path)
        lines = path.read_text(encoding="utf-8").split("\n")[:-1]
        return cls(name, tuple(_unescape(line) for line in lines))


def fit_vocabulary(
    name: str, values: Iterable[str], min_count: int = 1, among: "pd.Index[str] | None" = None
) -> Vocabulary:
    """Give an id to every text that occurs at least `min_count` times; frequent ones first, equal ones by text.

    among: the only texts that may get one, None for any.
    """
    counts = pd.Series(values, dtype="str").value_counts(sort=False)
    counts = counts[(counts >= min_count) & (counts.index != "")]
    if among is not None:
        counts = counts[counts.index.isin(among)]
    ordered = (
        counts.rename_axis("token").reset_index(name="count").sort_values(["count", "token"], ascending=[False, True])
    )
    return Vocabulary(name, tuple(ordered["token"]))


def _escape(token: str) -> str:
    return token.replace("\\", "\\\\").replace("\n", "\\n").replace("\r", "\\r")


def _unescape(line: str) -> str:
    return re.sub(r"\\(.)", lambda match: {"n": "\n", "r": "\r"}.get(match[1], match[1]), line)
