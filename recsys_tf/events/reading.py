"""Read the files of a raw log as text: nothing is interpreted yet, and every row keeps its file and line.

CSV, CSV.GZ, Parquet and JSON lines, told apart by their names. A row that cannot be divided into fields is set aside
with its line and a reason, never lost; a file that cannot be read at all is an InputError.
"""

import gzip
import json
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pa_compute
import pyarrow.parquet as pa_parquet

from recsys_tf.errors import InputError
from recsys_tf.events.raw_file import RawFile, reject_rows
from recsys_tf.events.reading_csv import read_csv


def read_raw_file(path: Path, headers: Sequence[Sequence[str]] = (), separator: str = ",") -> RawFile:
    """Read one file of a log.

    headers: the columns of layouts that come without a header line; the one with as many names as the first line has
    fields is used when that line looks like data. Raises InputError for a file that is missing, empty, damaged or text
    in another encoding than UTF-8.
    """
    if not path.exists():
        raise InputError("no such file", file=path)
    if not path.is_file():
        raise InputError("not a file", file=path)
    name = path.name.lower()
    if name.endswith(".parquet"):
        return _read_parquet(path)
    data = _read_bytes(path)
    if name.removesuffix(".gz").endswith((".jsonl", ".ndjson", ".json")):
        return _read_json_lines(path, data)
    return read_csv(path, data, headers, separator)


def _read_bytes(path: Path) -> bytes:
    try:
        data = path.read_bytes()
        if path.name.lower().endswith(".gz"):
            data = gzip.decompress(data) if data else b""
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise InputError(f"damaged or truncated gzip ({error})", file=path) from error
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise InputError("the text is UTF-16; save it as UTF-8", file=path, row=1)
    data = data.removeprefix(b"\xef\xbb\xbf")
    if not data.strip():
        raise InputError("the file is empty", file=path)
    if b"\0" in data[:4096]:
        raise InputError("this is not a text file", file=path, row=1)
    return data


def _read_json_lines(path: Path, data: bytes) -> RawFile:
    records, lines, rejects = [], [], []
    for number, text in enumerate(data.split(b"\n"), start=1):
        if not text.strip():
            continue
        try:
            # Numbers stay the text they were, so that no identifier loses digits.
            record = json.loads(text, parse_int=str, parse_float=str, parse_constant=str)
        except (ValueError, RecursionError) as error:
            rejects.append((number, text.decode("utf-8", "backslashreplace")[:200], f"no JSON ({error})"))
            continue
        if not isinstance(record, dict):
            rejects.append((number, text.decode("utf-8", "backslashreplace")[:200], "no JSON object"))
            continue
        fields = {key: _json_text(value) for key, value in record.items()}
        # Half of a surrogate pair passes as JSON, but is no text that could be written anywhere.
        if b"\\u" in text and not _is_encodable(fields):
            rejects.append((number, text.decode("utf-8")[:200], "not UTF-8"))
            continue
        records.append(fields)
        lines.append(number)
    if not records:
        raise InputError("no line is a JSON object", file=path, row=int(rejects[0][0]))
    rows = pd.DataFrame.from_records(records).fillna("").astype("str")
    bad = pd.DataFrame(rejects, columns=["line", "value", "reason"])
    table = reject_rows(path.name, bad["line"], "", bad["value"], bad["reason"])
    return RawFile(path, rows, np.array(lines, np.int64), table)


def _json_text(value: object) -> str:
    if isinstance(value, list) and all(isinstance(one, str) for one in value):
        return " ".join(value)
    return "" if value is None else str(value)


def _is_encodable(fields: dict[str, str]) -> bool:
    try:
        "".join((*fields, *fields.values())).encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _read_parquet(path: Path) -> RawFile:
    try:
        table = pa_parquet.read_table(path)
    except (pa.ArrowInvalid, OSError) as error:
        raise InputError(f"this is no readable Parquet ({error})", file=path) from error
    if table.num_rows == 0:
        raise InputError("the file has no rows", file=path)
    # A struct or a list of anything but numbers is no field of an event or item: such a column is as good as absent.
    plain = [name for name in table.column_names if _is_plain(table.column(name).type)]
    rows = pd.DataFrame({name: _parquet_text(path, name, table.column(name)) for name in plain})
    return RawFile(path, rows, np.arange(1, len(rows) + 1, dtype=np.int64), reject_rows(path.name, [], "", "", ""))


def _is_plain(kind: pa.DataType) -> bool:
    return not pa.types.is_nested(kind) or _is_vector(kind)


def _is_vector(kind: pa.DataType) -> bool:
    is_list = pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)
    return bool(is_list and (pa.types.is_floating(kind.value_type) or pa.types.is_integer(kind.value_type)))


def _parquet_text(path: Path, name: str, column: pa.ChunkedArray) -> pd.Series:
    try:
        return _as_text(column)
    except pa.ArrowException as error:
        raise InputError(f"this is no text ({error})", file=path, column=name) from error


def _as_text(column: pa.ChunkedArray) -> pd.Series:
    if _is_vector(column.type):
        numbers = pa_compute.binary_join(column.cast(pa.list_(pa.string())), " ")
        # A vector with a gap joins to null, as one that is not given does; only the latter is a missing value.
        gap = pa_compute.and_(numbers.is_null(), column.is_valid())
        column = pa_compute.if_else(gap, "a number is missing", numbers)
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if pa.types.is_timestamp(column.type):
        column = column.cast(pa.timestamp("ms", column.type.tz)).cast(pa.int64())
    if pa.types.is_floating(column.type):
        values = column.to_numpy()
        whole = np.isfinite(values) & (values == np.floor(values)) & (np.abs(values) < 2**53)
        text: pd.Series = column.cast(pa.large_string()).to_pandas().astype("str")
        # An identifier that passed through a float column is 12346.0; as text it is 12346.
        return text.where(~whole, pd.Series(np.where(whole, values, 0).astype(np.int64)).astype("str")).fillna("")
    plain: pd.Series = column.cast(pa.large_string()).to_pandas().astype("str").fillna("")
    return plain
