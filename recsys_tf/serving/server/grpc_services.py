"""TensorFlow Serving's gRPC interface over a table of models: PredictionService and ModelService."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import grpc
from tensorflow_serving.apis import (
    classification_pb2,
    get_model_metadata_pb2,
    get_model_status_pb2,
    inference_pb2,
    model_management_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
    regression_pb2,
)

from recsys_tf.errors import InputError
from recsys_tf.serving.model_config import models_of
from recsys_tf.serving.server.errors import Code, ServingError, invalid
from recsys_tf.serving.server.examples import examples_from_input
from recsys_tf.serving.server.inference import classify, regress
from recsys_tf.serving.server.loaded_model import Model
from recsys_tf.serving.server.model_table import ModelTable
from recsys_tf.serving.server.observing import Observer, Seen, Stopwatch
from recsys_tf.serving.server.tensor_protos import fed_tensors, proto_from_array

CLASSIFY, REGRESS = "tensorflow/serving/classify", "tensorflow/serving/regress"
_WORKERS = 2
_QUEUE = 256
_METADATA = "signature_def"
_STATUS = {code.value[0]: code for code in grpc.StatusCode}


def grpc_server(
    table: ModelTable, max_message_bytes: int, observer: Observer, workers: int = _WORKERS, queue: int = _QUEUE
) -> grpc.Server:
    """Return a server of both services, not started yet; calls beyond `queue` are refused (RESOURCE_EXHAUSTED)."""
    server = grpc.server(
        ThreadPoolExecutor(workers, thread_name_prefix="calls"),
        maximum_concurrent_rpcs=queue,
        options=[
            ("grpc.max_receive_message_length", max_message_bytes),
            ("grpc.max_send_message_length", -1),
            # Otherwise two servers may share a port, and a client meets either.
            ("grpc.so_reuseport", 0),
        ],
    )
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(PredictionService(table, observer), server)
    model_service_pb2_grpc.add_ModelServiceServicer_to_server(ModelService(table), server)
    return server


def listen(server: grpc.Server, host: str, port: int) -> int:
    """Let a server listen on a port, 0 for a free one, and return the port. Raises InputError when it is in use."""
    address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    try:
        return server.add_insecure_port(address)
    except RuntimeError as error:
        raise InputError(f"gRPC cannot listen on {address}: {error}") from error


class PredictionService(prediction_service_pb2_grpc.PredictionServiceServicer):  # type: ignore[misc]
    """Inference, and what signatures a model has."""

    def __init__(self, table: ModelTable, observer: Observer) -> None:
        self._table, self._observer = table, observer

    def Predict(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802 — the protocol's name
        """Run a signature on tensors."""
        return self._observed("Predict", request, context, _predict)

    def Classify(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        """Run a signature on examples, for labels and scores."""
        return self._observed("Classify", request, context, _classify)

    def Regress(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        """Run a signature on examples, for one number each."""
        return self._observed("Regress", request, context, _regress)

    def MultiInference(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        """Run several signatures of one model on the same examples."""
        return self._observed("MultiInference", request, context, _multi_inference)

    def _observed(
        self, api: str, request: Any, context: grpc.ServicerContext, work: Callable[[ModelTable, Any], Any]
    ) -> Any:
        # What nobody foresaw is a failure too.
        watch, code = Stopwatch(), Code.INTERNAL
        try:
            answer = work(self._table, request)
            code = Code.OK
            return answer
        except ServingError as error:
            code = error.code
            context.abort(_STATUS[int(error.code)], error.message)
        finally:
            self._observer(Seen("GRPC", api, _model_name(request), code, watch.seconds))

    def GetModelMetadata(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        """Say what a model's signatures take and give."""
        return _answered(context, lambda: _metadata(self._table, request))


class ModelService(model_service_pb2_grpc.ModelServiceServicer):  # type: ignore[misc]
    """The state of versions, and another configuration for the server."""

    def __init__(self, table: ModelTable) -> None:
        self._table = table

    def GetModelStatus(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        """Say which versions there are and how they are."""
        return _answered(context, lambda: _status(self._table, request))

    def HandleReloadConfigRequest(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        """Serve what the request configures in place of what is served now."""
        return _answered(context, lambda: _reload(self._table, request))


def _model_name(request: Any) -> str:
    tasks = getattr(request, "tasks", None)
    if tasks is None:
        return str(request.model_spec.name)
    return str(tasks[0].model_spec.name) if tasks else ""


def _answered(context: grpc.ServicerContext, work: Callable[[], Any]) -> Any:
    try:
        return work()
    except ServingError as error:
        context.abort(_STATUS[int(error.code)], error.message)


def _predict(table: ModelTable, request: Any) -> Any:
    with _leased(table, request.model_spec) as (spec, model):
        definition = model.definitions.get(spec.signature_name)
        if definition is None:
            message = f'Serving signature key "{spec.signature_name}" not found.'
            raise ServingError(Code.FAILED_PRECONDITION, message)
        wanted = _filtered(request.output_filter, definition)
        outputs = model.run(spec.signature_name, fed_tensors(request.inputs, definition))
        response = predict_pb2.PredictResponse(model_spec=spec)
        for name in wanted:
            response.outputs[name].CopyFrom(proto_from_array(outputs[name]))
        return response


def _filtered(names: Any, definition: Any) -> list[str]:
    seen: set[str] = set()
    for name in names:
        if name not in definition.outputs:
            known = ",".join(sorted(definition.outputs))
            raise invalid(f"output tensor alias not found in signature: {name}; expected to be in the set {{{known}}}")
        if name in seen:
            raise invalid(f"duplicate output tensor alias: {name}")
        seen.add(name)
    return list(names) or list(definition.outputs)


def _classify(table: ModelTable, request: Any) -> Any:
    examples = examples_from_input(request.input)
    with _leased(table, request.model_spec) as (spec, model):
        result = _classification(model, spec.signature_name, examples)
        return classification_pb2.ClassificationResponse(model_spec=spec, result=result)


def _regress(table: ModelTable, request: Any) -> Any:
    examples = examples_from_input(request.input)
    with _leased(table, request.model_spec) as (spec, model):
        result = _regression(model, spec.signature_name, examples)
        return regression_pb2.RegressionResponse(model_spec=spec, result=result)


def _multi_inference(table: ModelTable, request: Any) -> Any:
    if not request.tasks:
        raise invalid("Inference request must hold at least one task")
    specs = [task.model_spec for task in request.tasks]
    if len({spec.name for spec in specs}) > 1:
        raise invalid("All ModelSpecs in a MultiInferenceRequest must access the same model name.")
    names = [spec.signature_name for spec in specs]
    if len(set(names)) < len(names):
        raise invalid(f"Duplicate evaluation of signature: {next(name for name in names if names.count(name) > 1)}")
    for task in request.tasks:
        if task.method_name not in (CLASSIFY, REGRESS):
            raise ServingError(Code.UNIMPLEMENTED, f"Unsupported signature method_name: {task.method_name}")
    examples = examples_from_input(request.input)
    response = inference_pb2.MultiInferenceResponse()
    for task in request.tasks:
        with _leased(table, task.model_spec) as (spec, model):
            result = response.results.add(model_spec=spec)
            if task.method_name == CLASSIFY:
                result.classification_result.CopyFrom(_classification(model, spec.signature_name, examples))
            else:
                result.regression_result.CopyFrom(_regression(model, spec.signature_name, examples))
    return response


def _classification(model: Model, signature_name: str, examples: list[Any]) -> Any:
    result = classification_pb2.ClassificationResult()
    for row in classify(model, signature_name, examples):
        classes = result.classifications.add()
        for label, score in row:
            # A label in the protocol is text.
            classes.classes.add(label=label.decode("utf-8", "replace"), score=score)
    return result


def _regression(model: Model, signature_name: str, examples: list[Any]) -> Any:
    result = regression_pb2.RegressionResult()
    for value in regress(model, signature_name, examples):
        result.regressions.add(value=value)
    return result


def _metadata(table: ModelTable, request: Any) -> Any:
    _check_spec(request.model_spec)
    if not request.metadata_field:
        raise invalid("GetModelMetadataRequest must specify at least one metadata_field")
    for field in request.metadata_field:
        if field != _METADATA:
            raise invalid(f"Metadata field {field} is not supported")
    with _leased(table, request.model_spec) as (spec, model):
        found = get_model_metadata_pb2.SignatureDefMap()
        for name, definition in model.definitions.items():
            found.signature_def[name].CopyFrom(definition)
        spec.signature_name = ""
        response = get_model_metadata_pb2.GetModelMetadataResponse(model_spec=spec)
        response.metadata[_METADATA].Pack(found)
        return response


def _status(table: ModelTable, request: Any) -> Any:
    _check_spec(request.model_spec)
    number, _ = _version(request.model_spec)
    response = get_model_status_pb2.GetModelStatusResponse()
    for one in table.status(request.model_spec.name, number):
        state = get_model_status_pb2.ModelVersionStatus.State.Value(one.state)
        status = response.model_version_status.add(version=one.number, state=state)
        status.status.error_code, status.status.error_message = int(one.code), one.message
    return response


def _reload(table: ModelTable, request: Any) -> Any:
    try:
        models = models_of(request.config)
    except ValueError as error:
        raise invalid(str(error)) from error
    table.reload(models)
    response = model_management_pb2.ReloadConfigResponse()
    response.status.SetInParent()
    return response


@contextmanager
def _leased(table: ModelTable, asked: Any) -> Iterator[tuple[Any, Model]]:
    """Yield what an answer says of the model that gave it, and that model."""
    _check_spec(asked)
    with table.lease(asked.name, *_version(asked)) as (number, model):
        spec = type(asked)(name=asked.name, signature_name=asked.signature_name or "serving_default")
        spec.version.value = number
        yield spec, model


def _check_spec(asked: Any) -> None:
    if not asked.name:
        raise invalid("Missing ModelSpec: a request must name its model")


def _version(asked: Any) -> tuple[int | None, str | None]:
    match asked.WhichOneof("version_choice"):
        case "version":
            return asked.version.value, None
        case "version_label":
            return None, asked.version_label
    return None, None
