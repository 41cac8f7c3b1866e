"""Find the files of a folder that hold one of some users' ids, also inside gzip and Parquet.

In a table with a column user_id that column alone counts; any other file is searched for an id as a word of its own.
"""

import csv
import gzip
import io
import re
import zlib
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Final

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pa_parquet

_CHUNK: Final = 1 << 24
# A shorter id stands in any text by chance.
_LONG_ENOUGH: Final = 6
_COLUMN: Final = "user_id"


def files_holding(folder: Path, users: Collection[str]) -> list[Path]:
    """Return the files below `folder`, hidden ones too, that hold one of the users."""
    return [path for path in sorted(folder.rglob("*")) if path.is_file() and holds(path, users)]


def is_long_enough(user: str) -> bool:
    """Tell whether an id is looked for in files other than tables of users."""
    return len(user) >= _LONG_ENOUGH


def is_table_of_users(path: Path) -> bool:
    """Tell whether a file is a table (CSV, also gzipped, or Parquet) with a column user_id."""
    name = path.name.lower()
    try:
        if name.endswith(".parquet"):
            return _COLUMN in pa_parquet.read_schema(path).names
        if name.endswith((".csv", ".csv.gz")):
            with _opened(path) as file:
                header = file.readline(_CHUNK).decode("utf-8-sig", errors="replace")
            return any(_is_user_column(field) for field in next(csv.reader([header]), []))
    except (pa.ArrowException, OSError, EOFError, zlib.error, csv.Error):
        pass  # damaged: its bytes are all there is to look at
    return False


def holds(path: Path, users: Collection[str]) -> bool:
    """Tell whether a file holds one of the users; in what is no table of users, short ids are not looked for."""
    parquet = path.name.lower().endswith(".parquet")
    if is_table_of_users(path):
        try:
            return _parquet_column_holds(path, users) if parquet else _csv_column_holds(path, users)
        except (pa.ArrowException, OSError, EOFError, zlib.error, ValueError):
            return _text_holds(path, users)  # damaged further down
    wanted = [user for user in users if is_long_enough(user)]
    if wanted and parquet:
        try:
            return _parquet_holds(path, wanted)
        except (pa.ArrowException, OSError):
            pass  # half a file, say
    return bool(wanted) and _text_holds(path, wanted)


def _is_user_column(field: object) -> bool:
    return str(field).strip() == _COLUMN


def _csv_column_holds(path: Path, users: Collection[str]) -> bool:
    # With some columns chosen, a row that is too long is read like any other.
    with (
        _opened(path) as file,
        pd.read_csv(
            file,
            usecols=_is_user_column,
            dtype="str",
            keep_default_na=False,
            encoding_errors="replace",
            chunksize=1_000_000,
        ) as chunks,
    ):
        return any(chunk.iloc[:, 0].str.strip().isin(users).any() for chunk in chunks)


def _parquet_column_holds(path: Path, users: Collection[str]) -> bool:
    whole = [int(user) for user in users if re.fullmatch(r"[0-9]{1,18}", user)]
    for batch in pa_parquet.ParquetFile(path).iter_batches(columns=[_COLUMN]):
        column = batch.column(0).to_pandas()
        # A log of numbers holds its ids as numbers.
        if column.isin(whole if pd.api.types.is_numeric_dtype(column) else list(users)).any():
            return True
    return False


def _text_holds(path: Path, texts: Collection[str]) -> bool:
    encoded = [text.encode("utf-8") for text in texts]
    word = re.compile(rb"(?<!\w)(?:" + b"|".join(re.escape(text) for text in encoded) + rb")(?!\w)")
    longest = max(len(text) for text in encoded)
    rest = b""
    for chunk in _chunks(path):
        data = rest + chunk
        if word.search(data):
            return True
        rest = data[-(longest + 1) :]
    return False


def _opened(path: Path) -> gzip.GzipFile | io.BufferedReader:
    """Open a file for its content, inflated where it is gzip."""
    with path.open("rb") as plain:
        packed = plain.read(2) == b"\x1f\x8b"
    return gzip.open(path) if packed else path.open("rb")


def _chunks(path: Path) -> Iterator[bytes]:
    """Read a file's content as far as it can be read."""
    with _opened(path) as source:
        try:
            while chunk := source.read(_CHUNK):
                yield chunk
        except (EOFError, zlib.error, gzip.BadGzipFile):
            return


def _parquet_holds(path: Path, texts: list[str]) -> bool:
    pattern = rf"(?:^|\W)(?:{'|'.join(re.escape(text) for text in texts)})(?:\W|$)"
    file = pa_parquet.ParquetFile(path)
    kinds = (pa.types.is_string, pa.types.is_large_string, pa.types.is_dictionary)
    names = [field.name for field in file.schema_arrow if any(kind(field.type) for kind in kinds)]
    numbers = [field.name for field in file.schema_arrow if pa.types.is_integer(field.type)]
    whole = [int(text) for text in texts if re.fullmatch(r"[0-9]{1,18}", text)]
    for batch in file.iter_batches(columns=names + (numbers if whole else [])):
        for name in names:
            column = batch.column(name)
            plain = column.dictionary if isinstance(column, pa.DictionaryArray) else column
            if pc.any(pc.match_substring_regex(plain.cast(pa.large_string()), pattern)).as_py():
                return True
        # A log of numbers holds its ids as numbers.
        if whole and any(pd.Series(batch.column(name).to_pandas()).isin(whole).any() for name in numbers):
            return True
    return False
