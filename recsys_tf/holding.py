"""Find the files of a folder that hold one of some texts, also inside gzip and Parquet."""

import gzip
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
# A shorter text stands in any file by chance; in files with fields it is worth looking for all the same.
_LONG_ENOUGH: Final = 6
_WITH_FIELDS: Final = (".csv", ".tsv", ".dat", ".jsonl", ".ndjson", ".parquet")


def files_holding(folder: Path, texts: Collection[str]) -> list[Path]:
    """Return the files below `folder`, hidden ones too, in which a text stands as a word of its own."""
    return [path for path in sorted(folder.rglob("*")) if path.is_file() and _holds(path, texts)]


def _holds(path: Path, texts: Collection[str]) -> bool:
    name = path.name.lower().removesuffix(".gz")
    wanted = [text for text in texts if len(text) >= _LONG_ENOUGH or name.endswith(_WITH_FIELDS)]
    if not wanted:
        return False
    if name.endswith(".parquet"):
        try:
            return _parquet_holds(path, wanted)
        except (pa.ArrowException, OSError):
            pass  # half a file, say: its bytes are all there is to look at
    encoded = [text.encode("utf-8") for text in wanted]
    word = re.compile(rb"(?<!\w)(?:" + b"|".join(re.escape(text) for text in encoded) + rb")(?!\w)")
    longest = max(len(text) for text in encoded)
    rest = b""
    for chunk in _chunks(path):
        data = rest + chunk
        if word.search(data):
            return True
        rest = data[-(longest + 1) :]
    return False


def _chunks(path: Path) -> Iterator[bytes]:
    """Read a file's content, inflated where it is gzip, as far as it can be read."""
    with path.open("rb") as plain:
        packed = plain.read(2) == b"\x1f\x8b"
        plain.seek(0)
        source = gzip.GzipFile(fileobj=plain) if packed else plain
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
