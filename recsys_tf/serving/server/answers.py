"""From a route and a body to the answer's body: inference, status and metadata, in the contract's order of checks."""

import json
from concurrent.futures import Future
from contextlib import ExitStack
from typing import Any

from google.protobuf.json_format import MessageToDict  # type: ignore[import-untyped]

from recsys_tf.serving.server.errors import invalid
from recsys_tf.serving.server.examples import examples_from_json
from recsys_tf.serving.server.inference import classify, regress
from recsys_tf.serving.server.json_text import parse_object
from recsys_tf.serving.server.json_to_tensors import tensors_from_json
from recsys_tf.serving.server.model_table import ModelTable
from recsys_tf.serving.server.routes import Route
from recsys_tf.serving.server.tensors_to_json import json_from_results, json_from_tensors


def answer(table: ModelTable, route: Route, body: bytes) -> bytes:
    """Answer one request. Raises ServingError."""
    match route.verb:
        case "predict":
            return _predict(table, route, body)
        case "status":
            return _status(table, route)
        case "metadata":
            return _metadata(table, route)
        case "classify" | "regress":
            return _of_examples(table, route, body)


def start_predict(table: ModelTable, route: Route, body: bytes) -> "Future[bytes]":
    """Begin to answer a predict request, and return what will hold the answer or the error that came in its place.

    The answer is written by whoever finishes the model's run. Raises ServingError for what is not even begun.
    """
    request = parse_object(body)
    signature_name = _signature_name(request)
    with ExitStack() as stack:
        _, model = stack.enter_context(table.lease(route.name, route.version, route.label))
        form, inputs = tensors_from_json(request, model.input_types(signature_name))
        outputs = model.start(signature_name, inputs)
        lease = stack.pop_all()
    answer: Future[bytes] = Future()
    # From here on nobody can cancel it.
    answer.set_running_or_notify_cancel()

    def finish(outputs: "Future[dict[str, Any]]") -> None:
        with lease:
            try:
                answer.set_result(json_from_tensors(form, outputs.result()))
            except Exception as error:
                answer.set_exception(error)

    outputs.add_done_callback(finish)
    return answer


def write_error(message: str) -> bytes:
    """Write the body of an answer that is an error."""
    return json.dumps({"error": message}, ensure_ascii=False).encode("utf-8", "surrogateescape")


def _predict(table: ModelTable, route: Route, body: bytes) -> bytes:
    request = parse_object(body)
    signature_name = _signature_name(request)
    with table.lease(route.name, route.version, route.label) as (_, model):
        form, inputs = tensors_from_json(request, model.input_types(signature_name))
        return json_from_tensors(form, model.run(signature_name, inputs))


def _of_examples(table: ModelTable, route: Route, body: bytes) -> bytes:
    request = parse_object(body)
    signature_name, examples = _signature_name(request), examples_from_json(request)
    with table.lease(route.name, route.version, route.label) as (_, model):
        if route.verb == "classify":
            return json_from_results(classify(model, signature_name, examples))
        return json_from_results(regress(model, signature_name, examples))


def _signature_name(request: dict[str, Any]) -> str:
    name = request.get("signature_name", "")
    if not isinstance(name, str):
        raise invalid("'signature_name' key must be a string value.")
    return name or "serving_default"


def _status(table: ModelTable, route: Route) -> bytes:
    versions = [
        {
            "version": str(version.number),
            "state": version.state,
            "status": {"error_code": version.code.name, "error_message": version.message},
        }
        for version in table.status(route.name, route.version)
    ]
    return _document({"model_version_status": versions})


def _metadata(table: ModelTable, route: Route) -> bytes:
    with table.lease(route.name, route.version, route.label) as (number, model):
        signatures = {name: _signature(definition) for name, definition in sorted(model.definitions.items())}
    specification = {"name": route.name, "signature_name": "", "version": str(number)}
    return _document(
        {"model_spec": specification, "metadata": {"signature_def": {"signature_def": signatures}}},
    )


def _signature(definition: Any) -> Any:
    return MessageToDict(definition, preserving_proto_field_name=True, always_print_fields_with_no_presence=True)


def _document(content: dict[str, Any]) -> bytes:
    return f"{json.dumps(content, indent=1, ensure_ascii=False)}\n".encode("utf-8", "surrogateescape")
