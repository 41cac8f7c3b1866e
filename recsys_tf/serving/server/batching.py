"""Request batching: requests that arrive together are answered by one run of the model, as TensorFlow Serving does it.

A queue for each model, signature and shape; threads that take what waits, up to a size, once the oldest request has
waited for the time-out or the batch is full. A batch that fails is run request by request, so that a bad request fails
alone.
"""

import threading
import time
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from recsys_tf.serving.server.batching_parameters import BatchingParameters
from recsys_tf.serving.server.errors import Code, ServingError, invalid
from recsys_tf.serving.server.loaded_model import Model

Array = npt.NDArray[Any]
Arrays = dict[str, Array]
Key = tuple[Any, ...]


@dataclass(frozen=True)
class _Task:
    inputs: Arrays
    rows: int
    arrived: float
    answer: "Future[Arrays]"


class Batcher:
    """The queues and the threads that empty them, shared by all models of a server."""

    def __init__(self, parameters: BatchingParameters) -> None:
        self.parameters = parameters
        self._changed = threading.Condition()
        self._queues: dict[Key, deque[_Task]] = {}
        self._models: dict[Key, tuple[Model, str]] = {}
        self._closing = False
        self._threads = [
            threading.Thread(target=self._run, name=f"batches {number}", daemon=True)
            for number in range(parameters.num_batch_threads)
        ]
        for thread in self._threads:
            thread.start()

    def start(self, model: Model, signature_name: str, inputs: Arrays) -> "Future[Arrays]":
        """Queue one request, and return what will hold its outputs or the error that came in their place.

        Raises ServingError: INVALID_ARGUMENT for inputs without a common first dimension or with more rows than a
        batch, UNAVAILABLE when too much is waiting.
        """
        rows = _rows(inputs)
        if rows > self.parameters.max_batch_size:
            raise invalid(f"Task size {rows} is larger than maximum input batch size {self.parameters.max_batch_size}")
        shapes = tuple(
            (name, array.dtype.str, array.ndim if self.parameters.pad_variable_length_inputs else array.shape[1:])
            for name, array in sorted(inputs.items())
        )
        key = (id(model), signature_name, shapes)
        task = _Task(inputs, rows, time.monotonic(), Future())
        with self._changed:
            queue = self._queues.setdefault(key, deque())
            self._models[key] = (model, signature_name)
            waiting = sum(one.rows for one in queue)
            if waiting + rows > self.parameters.max_batch_size * self.parameters.max_enqueued_batches:
                raise ServingError(
                    Code.UNAVAILABLE, "The batch scheduling queue to which this task was submitted is full"
                )
            queue.append(task)
            # In between there is nothing to do: a thread that looked would only take the interpreter away from others.
            if len(queue) == 1 or waiting + rows >= self.parameters.max_batch_size:
                self._changed.notify()
        return task.answer

    def close(self) -> None:
        """Answer what is waiting, then end the threads."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        for thread in self._threads:
            thread.join()

    def _run(self) -> None:
        while True:
            with self._changed:
                while (taken := self._take()) is None:
                    if self._closing and not self._queues:
                        return
                    self._changed.wait(self._patience())
            model, signature_name, tasks = taken
            self._answer(model, signature_name, tasks)

    def _take(self) -> tuple[Model, str, list[_Task]] | None:
        """Take a batch off the queue whose first request has waited longest, if it is ready."""
        ready = [key for key, queue in self._queues.items() if self._is_ready(queue)]
        if not ready:
            return None
        key = min(ready, key=lambda one: self._queues[one][0].arrived)
        queue, tasks, rows = self._queues[key], [], 0
        while queue and rows + queue[0].rows <= self.parameters.max_batch_size:
            tasks.append(queue.popleft())
            rows += tasks[-1].rows
        model, signature_name = self._models[key]
        if not queue:
            # A model is not kept for the sake of an empty queue.
            del self._queues[key], self._models[key]
        return model, signature_name, tasks

    def _is_ready(self, queue: deque[_Task]) -> bool:
        full = sum(task.rows for task in queue) >= self.parameters.max_batch_size
        return full or self._closing or time.monotonic() - queue[0].arrived >= self._timeout

    @property
    def _timeout(self) -> float:
        return self.parameters.batch_timeout_micros / 1e6

    def _patience(self) -> float | None:
        """Return the seconds until the next batch is ready by its age, None when nothing waits."""
        oldest = min((queue[0].arrived for queue in self._queues.values()), default=None)
        return None if oldest is None else max(oldest + self._timeout - time.monotonic(), 0.0)

    def _answer(self, model: Model, signature_name: str, tasks: Sequence[_Task]) -> None:
        try:
            answers = self._together(model, signature_name, tasks)
        except Exception as error:
            if len(tasks) == 1:
                tasks[0].answer.set_exception(error)
                return
            for task in tasks:
                self._answer(model, signature_name, [task])
            return
        for task, answer in zip(tasks, answers, strict=True):
            task.answer.set_result(answer)

    def _together(self, model: Model, signature_name: str, tasks: Sequence[_Task]) -> list[Arrays]:
        rows = sum(task.rows for task in tasks)
        size = next((size for size in self.parameters.allowed_batch_sizes if size >= rows), rows)
        inputs = {name: _stacked([task.inputs[name] for task in tasks], size) for name in tasks[0].inputs}
        outputs = model.run(signature_name, inputs)
        for name, values in outputs.items():
            if values.ndim == 0 or len(values) != size:
                raise invalid(
                    f"Batched output tensor's 0th dimension does not equal the sum of the 0th dimension sizes of the "
                    f"input tensors: {name} {list(values.shape)}, {size} rows"
                )
        ends = np.cumsum([task.rows for task in tasks]).tolist()
        return [
            {name: values[end - task.rows : end] for name, values in outputs.items()}
            for task, end in zip(tasks, ends, strict=True)
        ]


def _rows(inputs: Arrays) -> int:
    sizes = {array.shape[0] if array.ndim else -1 for array in inputs.values()}
    if len(sizes) != 1 or -1 in sizes:
        raise invalid("Batching needs inputs that share their first dimension")
    return sizes.pop()


def _stacked(arrays: Sequence[Array], size: int) -> Array:
    """Put the rows of all requests under each other, and the first row as often as is missing."""
    widest = tuple(max(sizes) for sizes in zip(*(array.shape[1:] for array in arrays), strict=True))
    rows = np.concatenate([_filled_up(array, widest) for array in arrays])
    missing = size - len(rows)
    return np.concatenate([rows, np.repeat(rows[:1], missing, axis=0)]) if missing else rows


def _filled_up(array: Array, shape: tuple[int, ...]) -> Array:
    if array.shape[1:] == shape:
        return array
    if not array.size:
        raise invalid("Got empty tensor in batch of non-empty tensors.")
    filled = np.full((len(array), *shape), array.ravel()[0], array.dtype)
    filled[tuple(slice(size) for size in array.shape)] = array
    return filled
