"""Limits on what one request may ask of a model, whatever the model is."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from recsys_tf.serving.server.errors import invalid

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Bounds:
    """Rows of a request at most, and values of one input in a row at most: events of a history, say."""

    rows: int
    values_per_row: int

    def check(self, inputs: Mapping[str, Array]) -> None:
        """Raise ServingError (INVALID_ARGUMENT), naming the input, for one that is too large."""
        for name, array in inputs.items():
            if array.ndim and len(array) > self.rows:
                raise invalid(f"input {name} has {len(array)} rows; this server takes {self.rows} at most")
            per_row = int(np.prod(array.shape[1:], dtype=np.int64)) if array.ndim else 1
            if per_row > self.values_per_row:
                raise invalid(f"input {name} has {per_row} values in a row; this server takes {self.values_per_row}")
