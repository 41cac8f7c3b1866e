"""Replay recorded requests on a model that has just been loaded, so that its first client does not wait for tracing.

The records are PredictionLogs in a TFRecord at <version>/assets.extra/tf_serving_warmup_requests, as TensorFlow Serving
reads them; our export writes some.
"""

from pathlib import Path
from typing import Any

import tensorflow as tf
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from tensorflow_serving.apis import prediction_log_pb2

from recsys_tf.serving.server.errors import Code, ServingError, invalid
from recsys_tf.serving.server.examples import examples_from_input
from recsys_tf.serving.server.inference import classify, regress
from recsys_tf.serving.server.loaded_model import Model
from recsys_tf.serving.server.tensor_protos import fed_tensors

WARM_UP = Path("assets.extra") / "tf_serving_warmup_requests"
MOST_RECORDS = 1000


def warm_up(model: Model, folder: Path) -> int:
    """Replay the records in a version's folder, if there are any, and return their number.

    Raises ServingError for a record that is broken or cannot be answered, and for too many of them.
    """
    path = folder / WARM_UP
    if not path.is_file():
        return 0
    number = 0
    try:
        for record in tf.data.TFRecordDataset(str(path)).as_numpy_iterator():
            number += 1
            if number > MOST_RECORDS:
                raise invalid(f"Number of warmup records exceeds the maximum ({MOST_RECORDS})")
            _replay(model, prediction_log_pb2.PredictionLog.FromString(record))
    except (DecodeError, tf.errors.OpError) as error:
        raise ServingError(Code.DATA_LOSS, f"warm-up record {number + 1} cannot be read: {error}") from error
    except ServingError as error:
        raise ServingError(error.code, f"warm-up record {number}: {error.message}") from error
    return number


def _replay(model: Model, log: prediction_log_pb2.PredictionLog) -> None:
    match log.WhichOneof("log_type"):
        case "predict_log":
            request = log.predict_log.request
            name = _signature(request.model_spec)
            if name not in model.definitions:
                raise ServingError(Code.FAILED_PRECONDITION, f'Serving signature key "{name}" not found.')
            model.run(name, fed_tensors(request.inputs, model.definitions[name]))
        case "classify_log":
            request = log.classify_log.request
            classify(model, _signature(request.model_spec), examples_from_input(request.input))
        case "regress_log":
            request = log.regress_log.request
            regress(model, _signature(request.model_spec), examples_from_input(request.input))
        case kind:
            raise ServingError(Code.UNIMPLEMENTED, f"Unsupported log_type for warmup: {kind}")


def _signature(spec: Any) -> str:
    return spec.signature_name or "serving_default"
