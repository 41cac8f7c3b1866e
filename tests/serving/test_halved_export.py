"""The export for hosts of accelerators: text on the host, the dense half in one compiled program of a fixed shape."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

from recsys_tf.serving.example_requests import example_requests
from recsys_tf.serving.export import export_model
from recsys_tf.training.runs import Run

ROWS = 4


@pytest.fixture(scope="module")
def run(head_run: Run) -> Run:
    return head_run


@pytest.fixture(scope="module")
def folder(run: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An exported version: every signature was asked in a process with TensorFlow alone before."""
    config = dataclasses.replace(run.config.export, output=tmp_path_factory.mktemp("halved"), static_rows=ROWS)
    return export_model(run, "two_tower", config)


@pytest.fixture(scope="module")
def signatures(folder: Path) -> Any:
    loaded = tf.saved_model.load(str(folder))
    yield loaded.signatures
    del loaded


def as_tensors(inputs: dict[str, Any]) -> dict[str, Any]:
    return {
        name: tf.constant(values, tf.string) if values.dtype == object else tf.constant(values)
        for name, values in inputs.items()
    }


def test_both_halves_together_are_embed_query(run: Run, signatures: Any) -> None:
    requests = [one for one in example_requests(run.data, "two_tower") if one.signature == "embed_query"]
    assert any((request.inputs["query"] != b"").any() for request in requests)
    for request in requests:
        number = len(request.inputs["item_id"])
        for at in range(0, number, ROWS):
            rows = np.arange(at, at + ROWS) % number
            inputs = as_tensors({name: values[rows] for name, values in request.inputs.items()})
            whole = signatures["embed_query"](**inputs)["vector"].numpy()
            halves = signatures["embed_ids"](**signatures["look_up"](**inputs))["vector"].numpy()
            np.testing.assert_allclose(halves, whole, rtol=1e-5, atol=1e-5)


def test_the_dense_half_has_a_fixed_shape_and_integers_only(signatures: Any) -> None:
    signature = signatures["embed_ids"]
    for spec in signature.structured_input_signature[1].values():
        assert spec.shape.is_fully_defined() and spec.shape[0] == ROWS
        assert spec.dtype == tf.int32
    assert signature.structured_outputs["vector"].shape == (ROWS, 16)


def test_the_dense_half_must_be_compiled(folder: Path) -> None:
    message = saved_model_pb2.SavedModel.FromString((folder / "saved_model.pb").read_bytes())
    functions = message.meta_graphs[0].graph_def.library.function
    compiled = [one.signature.name for one in functions if one.attr["_XlaMustCompile"].b]
    assert compiled
    assert all("embed_ids" in name for name in compiled)


def test_another_number_of_rows_is_refused(run: Run, signatures: Any) -> None:
    [request, *_] = [one for one in example_requests(run.data, "two_tower") if one.signature == "embed_query"]
    one = signatures["look_up"](**as_tensors(request.inputs))
    assert len(one["held"]) != ROWS
    with pytest.raises((ValueError, TypeError, tf.errors.InvalidArgumentError)):
        signatures["embed_ids"](**one)


@pytest.mark.slow
def test_without_the_option_there_are_no_halves(run: Run, tmp_path: Path) -> None:
    plain = dataclasses.replace(run.config.export, output=tmp_path, static_rows=0)
    names = set(tf.saved_model.load(str(export_model(run, "two_tower", plain))).signatures)
    assert "embed_query" in names
    assert not names & {"look_up", "embed_ids"}
