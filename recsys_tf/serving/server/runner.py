"""A loaded model as requests meet it: asked nothing beyond its bounds, and in batches where the server batches."""

from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

import numpy.typing as npt

from recsys_tf.serving.server.batching import Batcher
from recsys_tf.serving.server.bounds import Bounds
from recsys_tf.serving.server.loaded_model import Model

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Runner:
    """One version of a model behind the server's limits; bounds and batcher are None where there are none."""

    model: Model
    bounds: Bounds | None = None
    batcher: Batcher | None = None

    @property
    def definitions(self) -> dict[str, Any]:
        """The signatures as they were written."""
        return self.model.definitions

    def input_types(self, signature_name: str) -> dict[str, int]:
        """Return the inputs of a signature by name, each with its DataType."""
        return self.model.input_types(signature_name)

    def run(self, signature_name: str, inputs: dict[str, Array]) -> dict[str, Array]:
        """Run a signature and wait for its outputs. Raises ServingError."""
        return self.start(signature_name, inputs).result()

    def start(self, signature_name: str, inputs: dict[str, Array]) -> "Future[dict[str, Array]]":
        """Return what will hold the outputs, or the ServingError that came in their place.

        Without a batcher it holds them already. Raises ServingError for what is not even begun: inputs out of bounds
        or of no use in a batch, and a full queue.
        """
        if self.bounds is not None:
            self.bounds.check(inputs)
        if self.batcher is not None:
            return self.batcher.start(self.model, signature_name, inputs)
        outputs: Future[dict[str, Array]] = Future()
        outputs.set_result(self.model.run(signature_name, inputs))
        return outputs
