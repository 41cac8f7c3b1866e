"""Read the files of a raw log as text: nothing is interpreted yet, and every row keeps its file and line.

CSV, CSV.GZ, Parquet and JSON lines, told apart by their names. A row that cannot be divided into fields is set aside
with its line and a reason, never lost; a file that cannot be read at all is an InputError.
"""

import csv
import gzip
import io
import json
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import pyarrow.parquet as pa_parquet

from recsys_tf.errors import InputError

REJECT_COLUMNS: Final = ("file", "line", "column", "value", "reason")
_BLOCK_BYTES: Final = 1 << 24
_SAMPLE: Final = 10_000


@dataclass(frozen=True)
class RawFile:
    """The rows of one file as text.

    rows: one column per field, "" for a missing value, dictionary-encoded (pandas category) or str.
    line: int64 [rows], the line in the file (CSV, JSON lines; the first is 1) or the row number (Parquet).
    rejects: rows that could not be divided into fields, with the columns of REJECT_COLUMNS.
    """

    path: Path
    rows: pd.DataFrame
    line: npt.NDArray[np.int64]
    rejects: pd.DataFrame

    @property
    def read(self) -> int:
        """Rows in the file, whether they could be divided into fields or not."""
        return len(self.rows) + len(self.rejects)


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
    return _read_csv(path, data, headers, separator)


def reject_rows(file: str, line: Any, column: Any, value: Any, reason: Any) -> pd.DataFrame:
    """Build a table of rejected rows with the columns of REJECT_COLUMNS."""
    table = pd.DataFrame({"line": np.asarray(line, np.int64), "column": column, "value": value, "reason": reason})
    table.insert(0, "file", file)
    return table.astype(dict.fromkeys(("file", "column", "value", "reason"), "str"))


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


def _read_csv(path: Path, data: bytes, headers: Sequence[Sequence[str]], separator: str) -> RawFile:
    first = data[: data.find(b"\n") if b"\n" in data else None].rstrip(b"\r")
    try:
        names = next(pd.read_csv(io.BytesIO(first), header=None, sep=separator, dtype="str").itertuples(index=False))
    except (UnicodeDecodeError, pd.errors.ParserError) as error:
        raise InputError("the header is no UTF-8 text with columns", file=path, row=1) from error
    columns = [str(name).strip() for name in names]
    given = next((list(header) for header in headers if len(header) == len(columns)), None)
    has_header = given is None or not any(text[:1].isdigit() for text in columns)
    if not has_header and given is not None:
        columns = given
    if len(set(columns)) != len(columns):
        twice = next(name for name in columns if columns.count(name) > 1)
        raise InputError("this column stands twice in the header", file=path, row=1, column=twice)
    quoted = b'"' in data
    parsed, invalid = _parse(path, data, columns, separator, quoted, skip=int(has_header))
    line, invalid_line = _start_lines(parsed, invalid, 1 + int(has_header), quoted)
    rejects = [
        (at, text.split("\n")[0].rstrip("\r")[:200], f"{actual} fields instead of {expected}")
        if "\n" not in text
        else (at, text.split("\n")[0].rstrip("\r")[:200], "a quote is not closed")
        for at, (_, expected, actual, text) in zip(invalid_line, invalid, strict=True)
    ]
    frame, line, not_text = _as_text(parsed, columns, line)
    # Behind a quote that is never closed whole lines hide in one row: they are read again, each by itself.
    hidden = [
        (int(at) + offset, text)
        for at, (*_, swallowed) in zip(invalid_line, invalid, strict=True)
        for offset, text in enumerate(swallowed.split("\n")[1:], start=1)
    ]
    found, found_line, still_bad = _read_single_lines(hidden, columns, separator)
    if found_line:
        frame = pd.concat([frame.astype("str"), pd.DataFrame(found, columns=columns, dtype="str")], ignore_index=True)
        line = np.concatenate([line, np.array(found_line, np.int64)])
    bad = pd.DataFrame([*rejects, *still_bad], columns=["line", "value", "reason"])
    table = pd.concat([reject_rows(path.name, bad["line"], "", bad["value"], bad["reason"]), not_text])
    if len(frame) + len(table) == 0:
        raise InputError("a header and no rows", file=path)
    return RawFile(path, frame, line, table.assign(file=path.name).sort_values("line", ignore_index=True))


def _read_single_lines(
    lines: list[tuple[int, str]], columns: list[str], separator: str
) -> tuple[list[list[str]], list[int], list[tuple[int, str, str]]]:
    rows, numbers, rejects = [], [], []
    for number, text in lines:
        fields = next(csv.reader([text.rstrip("\r")], delimiter=separator), [])
        if text.count('"') % 2:
            rejects.append((number, text[:200], "a quote is not closed"))
        elif len(fields) != len(columns):
            rejects.append((number, text[:200], f"{len(fields)} fields instead of {len(columns)}"))
        else:
            rows.append(fields)
            numbers.append(number)
    return rows, numbers, rejects


def _parse(
    path: Path, data: bytes, columns: list[str], separator: str, quoted: bool, skip: int
) -> tuple[pa.Table, list[tuple[int, int, int, str]]]:
    """Parse CSV to a table of bytes, and collect the rows with a wrong number of fields."""
    invalid: list[tuple[int, int, int, str]] = []

    def set_aside(row: Any) -> str:
        invalid.append((row.number, row.expected_columns, row.actual_columns, row.text))
        return "skip"

    binary = pa.large_binary()
    try:
        table = pa_csv.read_csv(
            pa.BufferReader(data),
            read_options=pa_csv.ReadOptions(
                use_threads=False, block_size=_BLOCK_BYTES, column_names=columns, skip_rows=skip
            ),
            parse_options=pa_csv.ParseOptions(
                delimiter=separator,
                quote_char='"' if quoted else False,
                newlines_in_values=quoted,
                invalid_row_handler=set_aside,
                ignore_empty_lines=False,
            ),
            convert_options=pa_csv.ConvertOptions(
                column_types=dict.fromkeys(columns, binary), strings_can_be_null=False, check_utf8=False
            ),
        )
    except pa.ArrowInvalid as error:
        if "Empty CSV" in str(error):
            return pa.table({name: pa.array([], binary) for name in columns}), invalid
        raise InputError(f"this is no readable CSV ({error})", file=path) from error
    return table.combine_chunks(), invalid


def _start_lines(
    table: pa.Table, invalid: list[tuple[int, int, int, str]], first: int, quoted: bool
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return the lines on which valid and invalid rows begin, past line breaks inside quotes.

    first: the line of the first row.
    """
    total = len(table) + len(invalid)
    at = np.array([number for number, *_ in invalid], np.int64) - first
    is_valid = np.ones(total, bool)
    is_valid[at] = False
    breaks = np.zeros(total, np.int64)
    breaks[at] = [text.count("\n") for *_, text in invalid]
    inside = np.zeros(len(table), np.int64)
    for column in table.columns if quoted else ():
        inside += pc.count_substring(column, b"\n").to_numpy()
    breaks[is_valid] = inside
    line = first + np.arange(total) + np.cumsum(breaks) - breaks
    return line[is_valid], line[~is_valid]


def _as_text(
    table: pa.Table, columns: list[str], line: npt.NDArray[np.int64]
) -> tuple[pd.DataFrame, npt.NDArray[np.int64], pd.DataFrame]:
    """Decode bytes to text; rows with bytes that are no UTF-8 are set aside."""
    bad = np.zeros(len(table), bool)
    texts, rejects = {}, [reject_rows("", [], "", "", "")]
    for name in columns:
        values = table.column(name)
        try:
            texts[name] = values.cast(pa.large_string())
        except pa.ArrowInvalid:
            plain = values.to_pylist()
            broken = np.array([_decode(value) is None for value in plain])
            texts[name] = pa.chunked_array([pa.array([_decode(value) or "" for value in plain], pa.large_string())])
            rows = np.flatnonzero(broken & ~bad)
            shown = [plain[row].decode("utf-8", "backslashreplace")[:200] for row in rows]
            rejects.append(reject_rows("", line[rows], name, shown, "not UTF-8"))
            bad |= broken
    frame = pd.DataFrame({name: _encoded(texts[name]) for name in columns})
    return (frame[~bad].reset_index(drop=True) if bad.any() else frame), line[~bad], pd.concat(rejects)


def _encoded(text: pa.ChunkedArray) -> pd.Series:
    """Keep text that repeats as a category, so that later steps touch each different text once."""
    head = text.slice(0, _SAMPLE)
    if len(pc.unique(head)) > len(head) // 2:
        plain: pd.Series = pd.Series(pd.array(text, dtype="str"))
        return plain
    encoded = pc.dictionary_encode(text).unify_dictionaries().combine_chunks()
    distinct = pd.Index(pd.array(encoded.dictionary, dtype="str"))
    codes = encoded.indices.to_numpy(zero_copy_only=False)
    return pd.Series(pd.Categorical.from_codes(codes, distinct, validate=False))


def _decode(value: bytes) -> str | None:
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        return None


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
            rejects.append((number, text.decode("utf-8")[:200], "no JSON object"))
            continue
        records.append({key: "" if value is None else str(value) for key, value in record.items()})
        lines.append(number)
    rows = pd.DataFrame.from_records(records).fillna("").astype("str")
    bad = pd.DataFrame(rejects, columns=["line", "value", "reason"])
    table = reject_rows(path.name, bad["line"], "", bad["value"], bad["reason"])
    return RawFile(path, rows, np.array(lines, np.int64), table)


def _read_parquet(path: Path) -> RawFile:
    try:
        table = pa_parquet.read_table(path)
    except (pa.ArrowInvalid, OSError) as error:
        raise InputError(f"this is no readable Parquet ({error})", file=path) from error
    if table.num_rows == 0:
        raise InputError("the file has no rows", file=path)
    rows = pd.DataFrame({name: _parquet_text(table.column(name)) for name in table.column_names})
    return RawFile(path, rows, np.arange(1, len(rows) + 1, dtype=np.int64), reject_rows(path.name, [], "", "", ""))


def _parquet_text(column: pa.ChunkedArray) -> pd.Series:
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
