"""Requests that arrive together share a run, and each gets the answer that it would have had alone."""

import dataclasses
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from live_server import live_server, save_half_plus

from recsys_tf.errors import InputError
from recsys_tf.serving.server.batching import Batcher
from recsys_tf.serving.server.batching_parameters import BatchingParameters, read_batching_parameters
from recsys_tf.serving.server.errors import Code, ServingError, invalid
from recsys_tf.serving.server.runner import Runner

PATIENT = BatchingParameters(max_batch_size=8, batch_timeout_micros=200_000, num_batch_threads=1)


class Doubling:
    """A model that doubles x, refuses negative numbers, and remembers what it was run on."""

    definitions: dict[str, Any]

    def __init__(self) -> None:
        self.definitions, self.runs = {}, []  # type: ignore[var-annotated]
        self.may_run = threading.Event()
        self.may_run.set()

    def input_types(self, signature_name: str) -> dict[str, int]:
        return {"x": 1}

    def run(self, signature_name: str, inputs: dict[str, Any]) -> dict[str, Any]:
        self.may_run.wait()
        self.runs.append(inputs["x"].copy())
        if (inputs["x"] < 0).any():
            raise invalid("x is below zero")
        if signature_name == "sum":
            return {"y": np.array([inputs["x"].sum()])}
        return {"y": 2 * inputs["x"]}


@contextmanager
def batching(parameters: BatchingParameters) -> Iterator[tuple[Runner, Doubling]]:
    model, batcher = Doubling(), Batcher(parameters)
    try:
        yield Runner(model, batcher=batcher), model
    finally:
        model.may_run.set()
        batcher.close()


def together(model: Runner, requests: list[Any], signature: str = "") -> list[Any]:
    """Send all requests at once; an answer is a list, or the error that came in its place."""

    def ask(values: Any) -> Any:
        try:
            return model.run(signature, {"x": np.asarray(values, np.float32)})["y"].tolist()
        except ServingError as error:
            return error

    with ThreadPoolExecutor(len(requests)) as pool:
        return list(pool.map(ask, requests))


def test_requests_share_a_run_and_keep_their_answers() -> None:
    with batching(PATIENT) as (model, plain):
        requests = [[1.0], [2.0, 3.0], [4.0], [5.0, 6.0, 7.0], [8.0]]
        assert together(model, requests) == [[2 * value for value in one] for one in requests]
        assert [len(one) for one in plain.runs] == [8]
        assert sorted(plain.runs[0].tolist()) == [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0]


def test_a_lone_request_waits_for_the_timeout_only() -> None:
    with batching(dataclasses.replace(PATIENT, batch_timeout_micros=1000)) as (model, plain):
        assert together(model, [[3.0]]) == [[6.0]]
        assert [len(one) for one in plain.runs] == [1]


def test_no_batch_is_larger_than_allowed() -> None:
    with batching(dataclasses.replace(PATIENT, max_batch_size=4, max_enqueued_batches=100)) as (model, plain):
        requests = [[float(number)] * 3 for number in range(10)]
        assert together(model, requests) == [[2 * one[0]] * 3 for one in requests]
        assert max(len(one) for one in plain.runs) <= 4
        error = together(model, [[1.0] * 5])[0]
        assert (error.code, "larger than maximum" in error.message) == (Code.INVALID_ARGUMENT, True)


def test_a_bad_request_fails_alone() -> None:
    with batching(PATIENT) as (model, plain):
        good, bad, other = together(model, [[1.0], [-1.0], [2.0, 3.0]])
        assert (good, other) == ([2.0], [4.0, 6.0])
        assert bad.message == "x is below zero"
        # Together first, then each by itself.
        assert sorted(len(one) for one in plain.runs) == [1, 1, 2, 4]


def test_outputs_must_have_a_row_for_each_row() -> None:
    with batching(PATIENT) as (model, _):
        errors = together(model, [[1.0, 2.0], [3.0, 4.0]], "sum")
        assert all("0th dimension" in error.message for error in errors)


def test_batches_are_filled_up_to_allowed_sizes() -> None:
    with batching(dataclasses.replace(PATIENT, allowed_batch_sizes=(2, 8))) as (model, plain):
        assert together(model, [[1.0], [2.0], [3.0]]) == [[2.0], [4.0], [6.0]]
        assert len(plain.runs[0]) == 8


def test_requests_of_different_shapes_are_batched_where_they_may_be_filled_up() -> None:
    wide, narrow = [[1.0, 2.0, 3.0]], [[4.0]]
    with batching(PATIENT) as (model, plain):
        assert together(model, [wide, narrow]) == [[[2.0, 4.0, 6.0]], [[8.0]]]
        assert sorted(one.shape for one in plain.runs) == [(1, 1), (1, 3)]
    with batching(dataclasses.replace(PATIENT, pad_variable_length_inputs=True)) as (model, plain):
        # Filled up with the request's own first value, as TensorFlow Serving does.
        assert together(model, [wide, narrow]) == [[[2.0, 4.0, 6.0]], [[8.0, 8.0, 8.0]]]
        assert [one.shape for one in plain.runs] == [(2, 3)]
        # What has no value to be filled up with is answered by itself.
        assert together(model, [wide, np.zeros((1, 0), np.float32)]) == [[[2.0, 4.0, 6.0]], [[]]]


def test_a_full_queue_refuses_and_forgets_nothing() -> None:
    parameters = dataclasses.replace(PATIENT, max_batch_size=2, max_enqueued_batches=2, batch_timeout_micros=0)
    with batching(parameters) as (model, plain):
        plain.may_run.clear()
        with ThreadPoolExecutor(20) as pool:
            asked = [pool.submit(together, model, [[float(number)]]) for number in range(20)]
            while sum(one.done() for one in asked) < 10:
                threading.Event().wait(0.01)
            plain.may_run.set()
            answers = [one.result()[0] for one in asked]
        refused = [one for one in answers if isinstance(one, ServingError)]
        assert {one.code for one in refused} == {Code.UNAVAILABLE}
        served = {number: one for number, one in enumerate(answers) if not isinstance(one, ServingError)}
        assert served == {number: [2.0 * number] for number in served}
        assert len(served) >= 4


def test_inputs_without_a_common_first_dimension() -> None:
    with batching(PATIENT) as (model, _), pytest.raises(ServingError, match="first dimension"):
        model.run("", {"x": np.zeros(2, np.float32), "z": np.zeros(3, np.float32)})


def test_closing_answers_what_waits() -> None:
    model, batcher = Doubling(), Batcher(dataclasses.replace(PATIENT, batch_timeout_micros=60_000_000))
    asked = batcher.start(model, "", {"x": np.array([3.0], np.float32)})
    assert not asked.done()
    batcher.close()
    assert asked.result()["y"].tolist() == [6.0]


def test_the_parameters_are_read(tmp_path: Path) -> None:
    file = tmp_path / "batching.config"
    file.write_text(
        "max_batch_size { value: 32 } batch_timeout_micros { value: 5000 } max_enqueued_batches { value: 7 }\n"
        "num_batch_threads { value: 3 } thread_pool_name { value: 'x' } allowed_batch_sizes: 8\n"
        "allowed_batch_sizes: 32 pad_variable_length_inputs: true\n"
    )
    assert read_batching_parameters(file) == BatchingParameters(32, 5000, 7, 3, (8, 32), True)
    file.write_text("")
    assert read_batching_parameters(file) == BatchingParameters()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("max_batch_size: 3", "batching.config: "),
        ("colour { value: 3 }", "colour"),
        ("max_batch_size { value: 8 } allowed_batch_sizes: 4", "end with max_batch_size 8"),
        ("max_batch_size { value: 4 } allowed_batch_sizes: 4 allowed_batch_sizes: 4", "must increase"),
        ("num_batch_threads { value: 0 }", "at least 1"),
        ("batch_timeout_micros { value: -1 }", "not be negative"),
    ],
)
def test_parameters_that_do_not_go_together(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "batching.config"
    file.write_text(text)
    with pytest.raises(InputError, match=message):
        read_batching_parameters(file)
    with pytest.raises(InputError, match="no such file"):
        read_batching_parameters(tmp_path / "missing")


def test_a_server_that_batches_answers_as_one_that_does_not(tmp_path: Path) -> None:
    save_half_plus(tmp_path / "m" / "1", 1.0)
    parameters = BatchingParameters(max_batch_size=16, batch_timeout_micros=2000)
    with live_server({"m": tmp_path / "m"}, batching=parameters, workers=32) as server, ThreadPoolExecutor(16) as pool:
        requests = [[float(number), float(number + 1)] for number in range(64)]
        answers = pool.map(lambda values: server.predict({"instances": values}), requests)
        expected = [[value / 2 + 1 for value in values] for values in requests]
        assert [answer.json()["predictions"] for answer in answers] == expected
        assert server.predict({"instances": ["text"]}).status == 400
