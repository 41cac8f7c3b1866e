"""The two clean tables on disk: events.parquet and items.parquet."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pandera.errors
import pyarrow as pa

from recsys_tf.errors import InputError
from recsys_tf.events.schema import EVENTS, ITEMS


def write_tables(events: pd.DataFrame, items: pd.DataFrame, directory: Path) -> None:
    """Write events.parquet and items.parquet into a folder."""
    events.to_parquet(directory / "events.parquet", index=False)
    items.to_parquet(directory / "items.parquet", index=False)


def read_clean_log(directory: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Read the two tables and hold them against their schema.

    Returns events sorted by user and position, and items. Raises InputError when a table is missing, damaged, or not
    what the data contract says.
    """
    events, items = (
        _read(directory / name, schema) for name, schema in (("events.parquet", EVENTS), ("items.parquet", ITEMS))
    )
    if len(events) == 0:
        raise InputError("there is no event", file=directory / "events.parquet")
    known = events["item_id"].isin(items["item_id"]) | (events["item_id"] == "")
    if not known.all():
        row = int(np.argmin(known.to_numpy()))
        item = events["item_id"].iloc[row]
        raise InputError(
            f"{item!r} is not in items.parquet", file=directory / "events.parquet", row=row, column="item_id"
        )
    return events.sort_values(["user_id", "position"], kind="stable", ignore_index=True), items


def _read(path: Path, schema: Any) -> pd.DataFrame:
    if not path.is_file():
        raise InputError("no such file; `python run.py import` writes it", file=path)
    try:
        table: pd.DataFrame = schema.validate(pd.read_parquet(path), lazy=True)
    except (pa.ArrowInvalid, OSError) as error:
        raise InputError(f"this is no readable Parquet ({error})", file=path) from error
    except pandera.errors.SchemaErrors as error:
        first = error.failure_cases.iloc[0]
        row = int(first["index"]) if pd.notna(first["index"]) else None
        column = str(first["column"]) if pd.notna(first["column"]) else None
        raise InputError(
            f"'{first['failure_case']}' fails {first['check']}", file=path, row=row, column=column
        ) from error
    return table
