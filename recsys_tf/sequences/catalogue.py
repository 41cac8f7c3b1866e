"""The catalogue as arrays: what each row of the item table looks like to a model."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from recsys_tf.errors import InputError
from recsys_tf.sequences.scalers import LogScaler
from recsys_tf.sequences.vocabularies import FIRST, START, UNKNOWN, Vocabulary


@dataclass(frozen=True)
class Catalogue:
    """One row an item, in the order of the item ids; rows 0, 1, 2 stand for no item, the start token, an unknown item.

    item_ids, titles: text [items]; catalogue index 0 is row FIRST.
    item: int32 [rows], the item vocabulary's id (UNKNOWN for items that training has not seen).
    category: int32 [rows], the category vocabulary's id.
    price_bucket: int32 [rows], 0 for no price, else 1 + bucket.
    price: float32 [rows], the scaled price.
    """

    item_ids: tuple[str, ...]
    titles: tuple[str, ...]
    item: npt.NDArray[np.int32]
    category: npt.NDArray[np.int32]
    price_bucket: npt.NDArray[np.int32]
    price: npt.NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.item_ids)

    def save(self, directory: Path) -> None:
        """Write <directory>/catalogue.parquet, one row an item."""
        pd.DataFrame(
            {
                "item_id": self.item_ids,
                "title": self.titles,
                "item": self.item[FIRST:],
                "category": self.category[FIRST:],
                "price_bucket": self.price_bucket[FIRST:],
                "price": self.price[FIRST:],
            }
        ).to_parquet(directory / "catalogue.parquet", index=False)

    @classmethod
    def load(cls, directory: Path) -> "Catalogue":
        """Read what `save` wrote. Raises InputError when the file is not there."""
        path = directory / "catalogue.parquet"
        if not path.is_file():
            raise InputError("the catalogue is missing; prepare the data again", file=path)
        table = pd.read_parquet(path)
        return cls(
            tuple(table["item_id"]),
            tuple(table["title"]),
            _with_reserved(table["item"].to_numpy(np.int32)),
            _with_reserved(table["category"].to_numpy(np.int32)),
            _with_reserved(table["price_bucket"].to_numpy(np.int32), plain=True),
            np.concatenate([np.zeros(FIRST, np.float32), table["price"].to_numpy(np.float32)]),
        )


def build_catalogue(
    items: pd.DataFrame,
    item_vocabulary: Vocabulary,
    category_vocabulary: Vocabulary,
    price_edges: tuple[float, ...],
    price_scaler: LogScaler,
) -> Catalogue:
    """Turn an item table without missing prices into a catalogue."""
    items = items.sort_values("item_id")
    price = items["price"].to_numpy(np.float64)
    scaled = (np.log1p(price) - price_scaler.mean) / price_scaler.deviation
    return Catalogue(
        tuple(items["item_id"]),
        tuple(items["title"]),
        _with_reserved(_ids(items["item_id"], item_vocabulary)),
        _with_reserved(_ids(items["category_id"], category_vocabulary)),
        _with_reserved(1 + np.searchsorted(price_edges, price, side="right").astype(np.int32), plain=True),
        np.concatenate([np.zeros(FIRST, np.float32), scaled.astype(np.float32)]),
    )


def _ids(values: pd.Series, vocabulary: Vocabulary) -> npt.NDArray[np.int32]:
    position = pd.Index(vocabulary.tokens, dtype="str").get_indexer(pd.Index(values))
    return np.where(position < 0, UNKNOWN, position + FIRST).astype(np.int32)


def _with_reserved(ids: npt.NDArray[np.int32], plain: bool = False) -> npt.NDArray[np.int32]:
    # A "plain" property has no entries of its own for start and unknown: both count as "not given".
    reserved = [0, 0, 0] if plain else [0, START, UNKNOWN]
    return np.concatenate([np.array(reserved, np.int32), ids])
