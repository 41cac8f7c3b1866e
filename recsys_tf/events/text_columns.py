"""A column of text as codes into its distinct values, so that every rule touches each different text once."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class TextColumn:
    """A column of text: codes [events] into the distinct texts, which are stripped of white space around them."""

    codes: Ints
    texts: "pd.Index[str]"

    def is_empty(self) -> Bools:
        empty: Bools = np.asarray(self.texts == "")[self.codes]
        return empty

    def emptied(self, rows: Bools) -> "TextColumn":
        """Put "" in the rows of a mask."""
        empty = np.flatnonzero(np.asarray(self.texts == ""))
        texts = self.texts if len(empty) else pd.Index([*self.texts, ""], dtype="str")
        return TextColumn(np.where(rows, empty[0] if len(empty) else len(self.texts), self.codes), texts)

    def series(self, rows: Ints) -> pd.Series:
        taken: pd.Series = pd.Series(self.texts.take(self.codes[rows]).array)
        return taken


def text_column(raw: pd.DataFrame, name: str) -> TextColumn:
    """Take a column of a raw table, stripped of white space around each text; "" everywhere where there is none."""
    if name not in raw:
        return TextColumn(np.zeros(len(raw), np.int64), pd.Index([""], dtype="str"))
    values = raw[name]
    if isinstance(values.dtype, pd.CategoricalDtype):
        codes, texts = pd.factorize(pd.Series(values.cat.categories, dtype="str").str.strip())
        return TextColumn(codes.astype(np.int64)[values.cat.codes.to_numpy()], pd.Index(texts, dtype="str"))
    codes, texts = pd.factorize(values.str.strip())
    return TextColumn(codes.astype(np.int64), pd.Index(texts, dtype="str"))
