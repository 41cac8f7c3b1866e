"""A page of results as plain data, written as one offline HTML page with its pictures beside it, and as JSON."""

import dataclasses
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jinja2
import numpy as np

from recsys_tf.publishing import published_file

TEMPLATE = Path(__file__).with_name("page.html")


@dataclass(frozen=True)
class Table:
    """A table of formatted cells: the first column names the row, the others are aligned as numbers.

    The rows whose positions stand in `emphasis` are printed in bold. With `prose` the other columns are text as well:
    they begin on the left, and a new line in a cell is one on the page.
    """

    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    caption: str
    emphasis: Sequence[int] = ()
    prose: bool = False


@dataclass(frozen=True)
class Picture:
    """An image file in the report's folder, named relative to it."""

    file: str
    caption: str


@dataclass(frozen=True)
class Section:
    """One heading with an optional paragraph, then tables, then pictures."""

    title: str
    text: str = ""
    tables: Sequence[Table] = ()
    pictures: Sequence[Picture] = ()


@dataclass(frozen=True)
class Report:
    """Everything a reader sees, and in `numbers` the raw figures for report.json."""

    title: str
    facts: Mapping[str, str]
    sections: Sequence[Section]
    numbers: Mapping[str, Any] = field(default_factory=dict)


def write_report(directory: Path, report: Report, name: str = "report") -> Path:
    """Write <name>.html and <name>.json into the folder, each whole or not at all, and return the page's path.

    Raises ValueError for a row that is not as long as its header and for a picture that is not in the folder.
    """
    for section in report.sections:
        for table in section.tables:
            if any(len(row) != len(table.header) for row in table.rows):
                raise ValueError(f"a row of {table.caption!r} is not as long as its header")
        for picture in section.pictures:
            if not (directory / picture.file).is_file():
                raise ValueError(f"picture {picture.file!r} is not in {directory}")
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    page = environment.from_string(TEMPLATE.read_text(encoding="utf-8")).render(report=report)
    with published_file(directory / f"{name}.json") as partial:
        text = json.dumps(plain(report.numbers), indent=2, ensure_ascii=False, allow_nan=False)
        partial.write_text(text + "\n", encoding="utf-8")
    target = directory / f"{name}.html"
    with published_file(target) as partial:
        partial.write_text(page, encoding="utf-8")
    return target


def plain(value: Any) -> Any:
    """Turn dataclasses, NumPy values, paths and mappings into what JSON can hold; a number that is not finite is null.

    Raises TypeError for anything else.
    """
    match value:
        case None | bool() | int() | str():
            return value
        case float():
            return value if math.isfinite(value) else None
        case np.generic() | np.ndarray():
            return plain(value.tolist())
        case Path():
            return value.as_posix()
        case Mapping():
            return {str(key): plain(one) for key, one in value.items()}
        case list() | tuple():
            return [plain(one) for one in value]
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {one.name: plain(getattr(value, one.name)) for one in dataclasses.fields(value)}
    raise TypeError(f"{type(value).__name__} has no place in JSON")
