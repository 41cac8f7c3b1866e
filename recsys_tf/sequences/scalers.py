"""Normalisation (article section 3.2.1) of a kind that TensorFlow can repeat: log(1 + x), then the standard score.

Fitted by scikit-learn on training values, kept as JSON numbers, applied inside the graph.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf
from sklearn.preprocessing import KBinsDiscretizer, StandardScaler


@dataclass(frozen=True)
class LogScaler:
    """x → (log(1 + x) - mean) / deviation, for amounts ≥ 0 that span several orders of magnitude."""

    mean: float
    deviation: float

    def __call__(self, values: Any) -> Any:
        """Scale a float32 tensor of any shape."""
        return (tf.math.log1p(values) - self.mean) / self.deviation


def fit_log_scaler(values: npt.NDArray[np.float64]) -> LogScaler:
    """Fit on training values [n] ≥ 0; without values, or with equal ones, the deviation is 1."""
    if len(values) == 0:
        return LogScaler(0.0, 1.0)
    fitted = StandardScaler().fit(np.log1p(values).reshape(-1, 1))
    return LogScaler(float(fitted.mean_[0]), float(fitted.scale_[0]))


def fit_bucket_edges(values: npt.NDArray[np.float64], buckets: int) -> tuple[float, ...]:
    """Return the inner edges that divide training values [n] into at most `buckets` groups of equal size."""
    distinct = len(np.unique(values))
    if distinct < 2 or buckets < 2:
        return ()
    fitted = KBinsDiscretizer(min(buckets, distinct), strategy="quantile", quantile_method="averaged_inverted_cdf")
    return tuple(float(edge) for edge in np.unique(fitted.fit(values.reshape(-1, 1)).bin_edges_[0])[1:-1])
