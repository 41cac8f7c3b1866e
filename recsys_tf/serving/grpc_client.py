"""A small gRPC client for TensorFlow Serving and the local server, with the same call as the REST client's."""

import time
from typing import Any

import grpc
import numpy as np
import tensorflow as tf
from tensorflow_serving.apis import get_model_metadata_pb2, model_pb2, predict_pb2, prediction_service_pb2_grpc

from recsys_tf.errors import InputError
from recsys_tf.serving.client import Version
from recsys_tf.serving.server.tensor_protos import proto_from_array

_AGAIN = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.RESOURCE_EXHAUSTED)


class GrpcPredictClient:
    """Asks one server over one channel, which threads may share; `close` ends it."""

    def __init__(
        self, address: str, timeout_seconds: float = 30.0, retries: int = 2, retry_wait_seconds: float = 0.2
    ) -> None:
        """Take the server's address, such as 127.0.0.1:8500.

        A server that cannot be reached or is overloaded is tried again `retries` times, the wait doubling each time;
        nothing else is.
        """
        self._address = address
        self._timeout, self._retries, self._wait = timeout_seconds, retries, retry_wait_seconds
        self._channel = grpc.insecure_channel(address, [("grpc.max_receive_message_length", -1)])
        self._stub = prediction_service_pb2_grpc.PredictionServiceStub(self._channel)
        # The protocol coerces nothing: what a signature wants is asked once.
        self._types: dict[tuple[str, str, Version], dict[str, int]] = {}

    def predict(
        self, model: str, inputs: Any, *, signature_name: str = "serving_default", version: Version = None
    ) -> dict[str, Any]:
        """Run a signature on nested lists by name, and return its outputs as nested lists by name, text as text.

        Raises InputError, naming the input, for values that are not of its type, and with the server's message.
        """
        types = self._input_types(model, signature_name, version)
        request = predict_pb2.PredictRequest(model_spec=_spec(model, signature_name, version))
        for name, values in inputs.items():
            if name not in types:
                raise InputError(f"{signature_name} of {model} has no input {name!r}; it has {', '.join(types)}")
            request.inputs[name].CopyFrom(_tensor(name, values, types[name]))
        answer = self._call(self._stub.Predict, request)
        return {name: _lists(tensor) for name, tensor in answer.outputs.items()}

    def close(self) -> None:
        """Close the channel."""
        self._channel.close()

    def _input_types(self, model: str, signature_name: str, version: Version) -> dict[str, int]:
        key = (model, signature_name, version)
        if key not in self._types:
            request = get_model_metadata_pb2.GetModelMetadataRequest(
                model_spec=_spec(model, "", version), metadata_field=["signature_def"]
            )
            found = get_model_metadata_pb2.SignatureDefMap()
            self._call(self._stub.GetModelMetadata, request).metadata["signature_def"].Unpack(found)
            if signature_name not in found.signature_def:
                raise InputError(f"{model} has no signature {signature_name!r}")
            inputs = found.signature_def[signature_name].inputs
            self._types[key] = {name: info.dtype for name, info in inputs.items()}
        return self._types[key]

    def _call(self, method: Any, request: Any) -> Any:
        for wait in [*(self._wait * 2**attempt for attempt in range(self._retries)), None]:
            try:
                return method(request, timeout=self._timeout)
            except grpc.RpcError as error:
                if wait is None or error.code() not in _AGAIN:  # type: ignore[attr-defined]
                    message = f"{self._address}: {error.code().name}: {error.details()}"  # type: ignore[attr-defined]
                    raise InputError(message) from error
                time.sleep(wait)
        raise AssertionError("the last attempt returns or raises")


def _spec(model: str, signature_name: str, version: Version) -> Any:
    spec = model_pb2.ModelSpec(name=model, signature_name=signature_name)
    match version:
        case int():
            spec.version.value = version
        case str():
            spec.version_label = version
    return spec


def _tensor(name: str, values: Any, kind: int) -> Any:
    dtype = tf.as_dtype(kind)
    try:
        if dtype == tf.string:
            texts = np.array(values, object)
            encoded = np.empty(texts.size, object)
            encoded[:] = [one if isinstance(one, bytes) else one.encode("utf-8") for one in texts.ravel()]
            return proto_from_array(encoded.reshape(texts.shape))
        array = np.asarray(values)
        if array.size and not np.can_cast(array.dtype, dtype.as_numpy_dtype, "same_kind"):
            raise ValueError(f"{array.dtype} values for {dtype.name}")
        return proto_from_array(array.astype(dtype.as_numpy_dtype))
    except (ValueError, TypeError, AttributeError) as error:
        raise InputError(f"input {name!r}: {error}") from error


def _lists(tensor: Any) -> Any:
    array = tf.make_ndarray(tensor)
    return np.vectorize(bytes.decode, otypes=[object])(array).tolist() if array.dtype == object else array.tolist()
