"""scikit-learn's multinomial logistic regression as a TensorFlow graph, so that what was fitted there can be served."""

from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

Array = npt.NDArray[Any]
Floats = npt.NDArray[np.float32]


class LinearSoftmax(tf.Module):  # type: ignore[misc]
    """softmax(x · weight + bias): weight float32 [features, classes], bias float32 [classes]."""

    def __init__(self, weight: Floats, bias: Floats) -> None:
        super().__init__()
        self.weight, self.bias = weight, bias
        self._weight, self._bias = tf.constant(weight), tf.constant(bias)

    @classmethod
    def of(cls, scaler: StandardScaler, model: LogisticRegression, classes: int) -> "LinearSoftmax":
        """Take a model over that was fitted on scaled features, for the classes 0 … `classes` - 1.

        A class that it has not met is never answered.
        """
        weight, bias = np.asarray(model.coef_.T, np.float64), np.asarray(model.intercept_, np.float64)
        if weight.shape[1] == 1:
            # Of two classes scikit-learn keeps the odds of the second one only.
            weight, bias = np.pad(weight, [(0, 0), (1, 0)]), np.pad(bias, [(1, 0)])
        weight = weight / scaler.scale_[:, None]
        bias = bias - scaler.mean_ @ weight
        every_weight = np.zeros((len(weight), classes), np.float32)
        every_bias = np.full(classes, -1e9, np.float32)
        every_weight[:, model.classes_], every_bias[model.classes_] = weight, bias
        return cls(every_weight, every_bias)

    def __call__(self, features: Any) -> Any:
        """Features float32 [batch, features] → probabilities float32 [batch, classes]."""
        return tf.nn.softmax(tf.matmul(features, self._weight) + self._bias)
