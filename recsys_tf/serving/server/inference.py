"""Classify and regress: tf.Examples through a signature, and what its outputs are called in the answer."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from tensorflow.core.framework import types_pb2

from recsys_tf.serving.server.errors import invalid
from recsys_tf.serving.server.loaded_model import Model

Array = npt.NDArray[Any]

_INPUTS, _CLASSES, _SCORES, _OUTPUTS = "inputs", "classes", "scores", "outputs"


def classify(model: Model, signature_name: str, examples: Sequence[Any]) -> list[list[tuple[bytes, float]]]:
    """Return, for each example, pairs of label and score; "" or 0 stands for the one that the signature has not.

    Raises ServingError (INVALID_ARGUMENT) for a signature that is no classifier.
    """
    outputs = _run(model, signature_name, examples)
    classes, scores = outputs.get(_CLASSES), outputs.get(_SCORES)
    if classes is None and scores is None:
        raise invalid(f"Expected classification signature outputs to contain at least one of {_CLASSES}, {_SCORES}")
    if classes is not None and classes.dtype != np.object_:
        raise invalid(f"Expected classes Tensor of DT_STRING, got {classes.dtype}")
    if scores is not None and scores.dtype != np.float32:
        raise invalid(f"Expected scores Tensor of DT_FLOAT, got {scores.dtype}")
    for name, values in ((_CLASSES, classes), (_SCORES, scores)):
        if values is not None and (values.ndim != 2 or len(values) != len(examples)):
            raise invalid(f"Expected {name} of shape [{len(examples)}, classes], got {list(values.shape)}")
    if classes is not None and scores is not None and classes.shape != scores.shape:
        raise invalid(f"Tensors {_CLASSES} {list(classes.shape)} and {_SCORES} {list(scores.shape)} do not match")
    labels = classes if classes is not None else np.full(_shape(scores), b"", np.object_)
    values = scores if scores is not None else np.zeros(_shape(classes), np.float32)
    return [list(zip(row, value.tolist(), strict=True)) for row, value in zip(labels, values, strict=True)]


def regress(model: Model, signature_name: str, examples: Sequence[Any]) -> list[float]:
    """Return one number for each example. Raises ServingError (INVALID_ARGUMENT) for a signature that gives others."""
    values = _run(model, signature_name, examples).get(_OUTPUTS)
    if values is None:
        raise invalid(f"Expected regression signature outputs to contain {_OUTPUTS}")
    if values.dtype != np.float32:
        raise invalid(f"Expected output Tensor of DT_FLOAT, got {values.dtype}")
    if values.shape not in ((len(examples),), (len(examples), 1)):
        raise invalid(f"Expected output Tensor of shape [{len(examples)}] or [{len(examples)}, 1], got {values.shape}")
    numbers: list[float] = values.ravel().tolist()
    return numbers


def _run(model: Model, signature_name: str, examples: Sequence[Any]) -> dict[str, Array]:
    types = model.input_types(signature_name)
    if types != {_INPUTS: types_pb2.DT_STRING}:
        raise invalid(f'Signature "{signature_name}" must have one input "{_INPUTS}" of strings, to take examples')
    serialized = np.empty(len(examples), np.object_)
    serialized[:] = [example.SerializeToString() for example in examples]
    return model.run(signature_name, {_INPUTS: serialized})


def _shape(values: Array | None) -> tuple[int, ...]:
    assert values is not None
    return values.shape
