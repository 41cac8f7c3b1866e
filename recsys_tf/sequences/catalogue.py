"""The catalogue as arrays: what each row of the item table looks like to a model."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from recsys_tf.errors import InputError
from recsys_tf.sequences.scalers import LogScaler
from recsys_tf.sequences.vocabularies import FIRST, START, UNKNOWN, Vocabulary


@dataclass(frozen=True)
class Catalogue:
    """One row an item, in the order of the item ids; rows 0, 1, 2 stand for no item, the start token, an unknown item.

    item_ids, titles, categories: text [items], "" where the item table has none; catalogue index 0 is row FIRST.
    item: int32 [rows], the item vocabulary's id (UNKNOWN for items that training has not seen).
    category: int32 [rows], the category vocabulary's id.
    price_bucket: int32 [rows], 0 for no price, else 1 + bucket.
    price: float32 [rows], the scaled price.
    title_words: int32 [rows, words], the word vocabulary's ids of the title's tokens, padded with 0.
    vectors: float32 [rows, dims], each item's vector from the item table, zeros where it has none; dims is 0 when the
    table has none at all.
    """

    item_ids: tuple[str, ...]
    titles: tuple[str, ...]
    categories: tuple[str, ...]
    item: npt.NDArray[np.int32]
    category: npt.NDArray[np.int32]
    price_bucket: npt.NDArray[np.int32]
    price: npt.NDArray[np.float32]
    title_words: npt.NDArray[np.int32]
    vectors: npt.NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.item_ids)

    def save(self, directory: Path) -> None:
        """Write <directory>/catalogue.parquet, one row an item."""
        pd.DataFrame(
            {
                "item_id": self.item_ids,
                "title": self.titles,
                "category_id": self.categories,
                "item": self.item[FIRST:],
                "category": self.category[FIRST:],
                "price_bucket": self.price_bucket[FIRST:],
                "price": self.price[FIRST:],
                "title_words": list(self.title_words[FIRST:]),
                "vector": list(self.vectors[FIRST:]),
            }
        ).to_parquet(directory / "catalogue.parquet", index=False)

    @classmethod
    def load(cls, directory: Path) -> "Catalogue":
        """Read what `save` wrote. Raises InputError when the file is not there or of an earlier form."""
        path = directory / "catalogue.parquet"
        if not path.is_file():
            raise InputError("the catalogue is missing; prepare the data again", file=path)
        table = pd.read_parquet(path)
        for column in ("category_id", "title_words", "vector"):
            if column not in table:
                raise InputError("the column is missing; prepare the data again", file=path, column=column)
        return cls(
            tuple(table["item_id"]),
            tuple(table["title"]),
            tuple(table["category_id"]),
            _with_reserved(table["item"].to_numpy(np.int32)),
            _with_reserved(table["category"].to_numpy(np.int32)),
            _with_reserved(table["price_bucket"].to_numpy(np.int32), plain=True),
            np.concatenate([np.zeros(FIRST, np.float32), table["price"].to_numpy(np.float32)]),
            _with_zero_rows(np.stack(table["title_words"].to_list()).astype(np.int32)),
            _with_zero_rows(np.stack(table["vector"].to_list()).astype(np.float32)),
        )


def build_catalogue(
    items: pd.DataFrame,
    item_vocabulary: Vocabulary,
    category_vocabulary: Vocabulary,
    price_edges: tuple[float, ...],
    price_scaler: LogScaler,
    title_words: npt.NDArray[np.int64],
) -> Catalogue:
    """Turn an item table without missing prices into a catalogue.

    title_words: int64 [items, words], in the order of the table.
    """
    items = items.reset_index(drop=True).sort_values("item_id")
    price = items["price"].to_numpy(np.float64)
    scaled = (np.log1p(price) - price_scaler.mean) / price_scaler.deviation
    return Catalogue(
        tuple(items["item_id"]),
        tuple(items["title"]),
        tuple(items["category_id"]),
        _with_reserved(_ids(items["item_id"], item_vocabulary)),
        _with_reserved(_ids(items["category_id"], category_vocabulary)),
        _with_reserved(1 + np.searchsorted(price_edges, price, side="right").astype(np.int32), plain=True),
        np.concatenate([np.zeros(FIRST, np.float32), scaled.astype(np.float32)]),
        _with_zero_rows(title_words[items.index].astype(np.int32)),
        _with_zero_rows(_vectors(items)),
    )


def _vectors(items: pd.DataFrame) -> npt.NDArray[np.float32]:
    given = items["vector"].notna().to_numpy() if "vector" in items else np.zeros(len(items), bool)
    if not given.any():
        return np.zeros((len(items), 0), np.float32)
    held = np.stack(items.loc[given, "vector"].to_list()).astype(np.float32)
    vectors = np.zeros((len(items), held.shape[1]), np.float32)
    vectors[given] = held
    return vectors


def _with_zero_rows(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Put the reserved rows, all zero, above the rows of the items."""
    return np.concatenate([np.zeros((FIRST, values.shape[1]), values.dtype), values])


def _ids(values: pd.Series, vocabulary: Vocabulary) -> npt.NDArray[np.int32]:
    position = pd.Index(vocabulary.tokens, dtype="str").get_indexer(pd.Index(values))
    return np.where(position < 0, UNKNOWN, position + FIRST).astype(np.int32)


def _with_reserved(ids: npt.NDArray[np.int32], plain: bool = False) -> npt.NDArray[np.int32]:
    # A "plain" property has no entries of its own for start and unknown: both count as "not given".
    reserved = [0, 0, 0] if plain else [0, START, UNKNOWN]
    return np.concatenate([np.array(reserved, np.int32), ids])
