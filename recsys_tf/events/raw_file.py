"""The rows of one raw file as text, and how rejected rows are written down."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pandas as pd

REJECT_COLUMNS: Final = ("file", "line", "column", "value", "reason")


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


def reject_rows(file: str, line: Any, column: Any, value: Any, reason: Any) -> pd.DataFrame:
    """Build a table of rejected rows with the columns of REJECT_COLUMNS."""
    table = pd.DataFrame({"line": np.asarray(line, np.int64), "column": column, "value": value, "reason": reason})
    table.insert(0, "file", file)
    return table.astype(dict.fromkeys(("file", "column", "value", "reason"), "str"))
