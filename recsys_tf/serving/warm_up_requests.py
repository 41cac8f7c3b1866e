"""Write the requests that a server replays before a version serves: TensorFlow Serving's warm-up file."""

from collections.abc import Sequence
from pathlib import Path

import tensorflow as tf
from tensorflow_serving.apis import prediction_log_pb2

from recsys_tf.serving.example_requests import Request
from recsys_tf.serving.server.tensor_protos import proto_from_array
from recsys_tf.serving.server.warm_up import WARM_UP


def write_warm_up(version: Path, name: str, requests: Sequence[Request]) -> None:
    """Write <version>/assets.extra/tf_serving_warmup_requests, one PredictionLog for each request to model `name`."""
    path = version / WARM_UP
    path.parent.mkdir(parents=True, exist_ok=True)
    with tf.io.TFRecordWriter(str(path)) as writer:
        for one in requests:
            log = prediction_log_pb2.PredictionLog()
            request = log.predict_log.request
            request.model_spec.name, request.model_spec.signature_name = name, one.signature
            for key, values in one.inputs.items():
                request.inputs[key].CopyFrom(proto_from_array(values))
            writer.write(log.SerializeToString(deterministic=True))
