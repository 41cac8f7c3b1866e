"""Read CSV as text: every row with the line it begins on, and malformed rows set aside.

Arrow's parser does the work. It cannot do three things that a raw log needs, which are done around it: rows with bytes
that are no UTF-8, lines that hide behind a quote that is never closed, and line numbers past line breaks in quotes.
"""

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv

from recsys_tf.errors import InputError
from recsys_tf.events.raw_file import RawFile, reject_rows

Ints = npt.NDArray[np.int64]
# An invalid row: its number, the fields wanted and found, and its text.
InvalidRow = tuple[int, int, int, str]

_BLOCK_BYTES: Final = 1 << 24
_SAMPLE: Final = 10_000
_SHOWN: Final = 200  # characters of a rejected row
_UNIT_SEPARATOR: Final = "\x1f"


def read_csv(path: Path, data: bytes, headers: Sequence[Sequence[str]], separator: str) -> RawFile:
    """Parse the bytes of a CSV file.

    headers: columns of layouts without a header line, see `read_raw_file`; separator: of one character or more. Raises
    InputError when there is no header of distinct names, or no row.
    """
    if len(separator) > 1:
        data, separator = data.replace(separator.encode(), _UNIT_SEPARATOR.encode()), _UNIT_SEPARATOR
    columns, header_lines = _header(path, data, headers, separator)
    data, broken_lines = _repaired(data)
    quoted = b'"' in data
    table, invalid = _parse(path, data, columns, separator, quoted, header_lines)
    line, invalid_line = _start_lines(table, invalid, 1 + header_lines, quoted)
    frame = pd.DataFrame({name: _encoded(table.column(name).cast(pa.large_string())) for name in columns})
    rejects = [
        (
            at,
            "",
            _first_line(text),
            f"{found} fields instead of {wanted}" if "\n" not in text else "a quote is not closed",
        )
        for at, (_, wanted, found, text) in zip(invalid_line.tolist(), invalid, strict=True)
    ]
    swallowing, swallowed_rows = np.array([], np.int64), list[str]()
    if quoted:
        swallowing, swallowed_rows = _swallowing_rows(data, line, table, columns, separator)
    if len(swallowing):
        standing = ~np.isin(line, swallowing)
        frame, line = frame[standing].reset_index(drop=True), line[standing]
        rejects += [
            (at, "", _first_line(text), "a quote is not closed")
            for at, text in zip(swallowing.tolist(), swallowed_rows, strict=True)
        ]
    if len(broken_lines):
        frame, line, broken = _without_broken_rows(frame, line, np.append(invalid_line, swallowing), broken_lines)
        rejects += broken
    # Behind a quote that is never closed whole lines hide in one row: they are read again, each by itself.
    joined = [(at, text) for at, (*_, text) in zip(invalid_line.tolist(), invalid, strict=True)]
    joined += zip(swallowing.tolist(), swallowed_rows, strict=True)
    hidden = [
        (at + offset, text)
        for at, swallowed in joined
        for offset, text in enumerate(swallowed.removesuffix("\n").split("\n")[1:], start=1)
    ]
    found, found_line, still_bad = _read_single_lines(hidden, columns, separator, set(broken_lines.tolist()))
    if found_line:
        frame = pd.concat([frame.astype("str"), pd.DataFrame(found, columns=columns, dtype="str")], ignore_index=True)
        line = np.concatenate([line, np.array(found_line, np.int64)])
    bad = pd.DataFrame(sorted([*rejects, *still_bad]), columns=["line", "column", "value", "reason"])
    if len(frame) + len(bad) == 0:
        raise InputError("a header and no rows", file=path)
    return RawFile(path, frame, line, reject_rows(path.name, *(bad[name] for name in bad)))


def _header(path: Path, data: bytes, headers: Sequence[Sequence[str]], separator: str) -> tuple[list[str], int]:
    """Return the columns, and how many lines the header takes: 0 where the first line is data already."""
    first = data[: data.find(b"\n") if b"\n" in data else None].rstrip(b"\r")
    try:
        columns = [name.strip() for name in next(csv.reader([first.decode("utf-8")], delimiter=separator), [])]
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError("the header is no UTF-8 text with columns", file=path, row=1) from error
    given = next((list(header) for header in headers if len(header) == len(columns)), None)
    if given is not None and any(text[:1].isdigit() for text in columns):
        return given, 0
    if len(set(columns)) != len(columns):
        twice = next(name for name in columns if columns.count(name) > 1)
        raise InputError("this column stands twice in the header", file=path, row=1, column=twice)
    return columns, 1


def _repaired(data: bytes) -> tuple[bytes, Ints]:
    """Return text that is UTF-8 throughout, and the lines that were not."""
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        lines = data.split(b"\n")
        broken = [number for number, text in enumerate(lines, start=1) if not _is_text(text)]
        return data.decode("utf-8", "replace").encode("utf-8"), np.array(broken, np.int64)
    return data, np.array([], np.int64)


def _is_text(data: bytes) -> bool:
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _without_broken_rows(
    frame: pd.DataFrame, line: Ints, invalid_line: Ints, broken_lines: Ints
) -> tuple[pd.DataFrame, Ints, list[tuple[int, str, str, str]]]:
    """Take out the rows that hold one of the broken lines."""
    begins = np.sort(np.concatenate([line, invalid_line]))
    owner = np.searchsorted(begins, broken_lines, side="right") - 1
    broken = np.isin(line, begins[owner[owner >= 0]])
    text = frame[broken].astype("str")
    damaged = text.apply(lambda column: column.str.contains("\ufffd")).to_numpy(bool).argmax(axis=1)
    rejects = [
        (int(at), text.columns[column], str(row[column])[:_SHOWN], "not UTF-8")
        for at, column, row in zip(line[broken], damaged, text.to_numpy(), strict=True)
    ]
    return frame[~broken].reset_index(drop=True), line[~broken], rejects


def _read_single_lines(
    lines: list[tuple[int, str]], columns: list[str], separator: str, broken: set[int]
) -> tuple[list[list[str]], list[int], list[tuple[int, str, str, str]]]:
    rows, numbers, rejects = [], [], []
    for number, text in lines:
        fields = _fields(text.rstrip("\r"), separator)
        if number in broken:
            rejects.append((number, "", text[:_SHOWN], "not UTF-8"))
        elif text.count('"') % 2:
            rejects.append((number, "", text[:_SHOWN], "a quote is not closed"))
        elif fields is None or len(fields) != len(columns):
            rejects.append((number, "", text[:_SHOWN], f"{len(fields or [])} fields instead of {len(columns)}"))
        else:
            rows.append(fields)
            numbers.append(number)
    return rows, numbers, rejects


def _fields(text: str, separator: str, strict: bool = False) -> list[str] | None:
    try:
        return next(csv.reader([text], delimiter=separator, strict=strict), [])
    except csv.Error:
        return None


def _swallowing_rows(
    data: bytes, line: Ints, table: pa.Table, columns: list[str], separator: str
) -> tuple[Ints, list[str]]:
    """Find rows that Arrow put together from several lines although a quote inside them is misplaced.

    Arrow lets text follow a closing quote, so two stray quotes, however far apart, make one row of all lines between
    them. Returns the lines on which such rows begin, and their text.
    """
    breaks = _breaks(table)
    several = np.flatnonzero(breaks)
    if not len(several):
        return np.array([], np.int64), []
    lines = data.split(b"\n")
    texts = [
        b"\n".join(lines[at - 1 : at + more]).decode("utf-8").rstrip("\r")
        for at, more in zip(line[several].tolist(), breaks[several].tolist(), strict=True)
    ]
    wrong = [len(_fields(text, separator, strict=True) or []) != len(columns) for text in texts]
    chosen = np.flatnonzero(wrong)
    return line[several[chosen]], [texts[at] for at in chosen]


def _breaks(table: pa.Table) -> Ints:
    """Count the line breaks inside the fields of each row."""
    inside = np.zeros(len(table), np.int64)
    for column in table.columns:
        inside += pc.count_substring(column, "\n").to_numpy()
    return inside


def _first_line(text: str) -> str:
    return text.split("\n")[0].rstrip("\r")[:_SHOWN]


def _parse(
    path: Path, data: bytes, columns: list[str], separator: str, quoted: bool, skip: int
) -> tuple[pa.Table, list[InvalidRow]]:
    """Parse CSV to a table of text, and collect the rows with a wrong number of fields."""
    invalid: list[InvalidRow] = []

    def set_aside(row: Any) -> str:
        invalid.append((row.number, row.expected_columns, row.actual_columns, row.text))
        return "skip"

    text = pa.large_string()
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
            convert_options=pa_csv.ConvertOptions(column_types=dict.fromkeys(columns, text), strings_can_be_null=False),
        )
    except pa.ArrowInvalid as error:
        if "Empty CSV" in str(error):
            return pa.table({name: pa.array([], text) for name in columns}), invalid
        raise InputError(f"this is no readable CSV ({error})", file=path) from error
    return table.combine_chunks(), invalid


def _start_lines(table: pa.Table, invalid: list[InvalidRow], first: int, quoted: bool) -> tuple[Ints, Ints]:
    """Return the lines on which valid and invalid rows begin, past line breaks inside quotes.

    first: the line of the first row.
    """
    total = len(table) + len(invalid)
    at = np.array([number for number, *_ in invalid], np.int64) - first
    is_valid = np.ones(total, bool)
    is_valid[at] = False
    breaks = np.zeros(total, np.int64)
    breaks[at] = [text.count("\n") for *_, text in invalid]
    if quoted:
        breaks[is_valid] = _breaks(table)
    line = first + np.arange(total) + np.cumsum(breaks) - breaks
    return line[is_valid], line[~is_valid]


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
