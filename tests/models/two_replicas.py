"""A process with two processors: what `across_replicas` joins, and one step of in-batch training on both.

    python tests/models/two_replicas.py PREPARED_FOLDER

TensorFlow takes logical devices only before it starts, so this is no test but what a test runs. Prints a line of JSON.
"""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from recsys_tf.config import TwoTowerConfig
from recsys_tf.models.negatives import across_replicas
from recsys_tf.models.two_tower import TwoTower
from recsys_tf.sequences.dataset import PreparedData, Windowing, open_prepared, retrieval_batches
from recsys_tf.training.fit_two_tower import new_two_tower

# Nothing is random and every position is asked.
CONFIG = TwoTowerConfig(
    width=16,
    layers=1,
    loss="in_batch",
    dropout=0.0,
    item_dropout=0.0,
    context_dropout=0.0,
    any_behavior=1.0,
    positions_per_sequence=99,
)
HALF, ANSWERS = 8, 2


def two_processors() -> tf.distribute.MirroredStrategy:
    processor = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(processor, [tf.config.LogicalDeviceConfiguration()] * 2)
    return tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])


def on_both(strategy: Any, step: Callable[..., Any], *given: Any) -> list[Any]:
    """Run a compiled step on both processors; return what each answers, as nested tuples of arrays."""
    # With AutoGraph, as in `fit`: TFRS asks for the len() of a tensor.
    answers = strategy.run(tf.function(step), args=given)
    local = [strategy.experimental_local_results(one) for one in tf.nest.flatten(answers)]
    return [tf.nest.pack_sequence_as(answers, [one[replica].numpy() for one in local]) for replica in range(2)]


def joined() -> tuple[Any, Any, Any]:
    """Numbers, flags and vectors of both processors, as each of them sees them."""
    replica = tf.distribute.get_replica_context().replica_id_in_sync_group
    numbers = tf.range(2) + 10 * replica
    vectors = tf.cast(numbers, tf.float32)[:, tf.newaxis] * tf.ones([1, 3])
    return across_replicas(numbers), across_replicas(numbers >= 10), across_replicas(vectors)


def histories(data: PreparedData) -> dict[str, Any]:
    """Sixteen histories with the same number of answers: the mean of the halves is then the mean of the whole."""
    batches = retrieval_batches(data, Windowing("training", "all", "next_item", 1), 64, static_shapes=True)
    batch = next(batches.as_numpy_iterator())
    answered = batch["label"] >= 0
    batch["label"] = np.where(answered & (np.cumsum(answered, axis=1) <= ANSWERS), batch["label"], -1)
    enough = np.flatnonzero((batch["label"] >= 0).sum(axis=1) == ANSWERS)[: 2 * HALF]
    assert len(enough) == 2 * HALF
    return {name: values[enough] for name, values in batch.items()}


def part(batch: dict[str, Any], rows: slice) -> dict[str, Any]:
    return {name: tf.constant(values[rows]) for name, values in batch.items()}


def loss_and_gradients(model: TwoTower, inputs: dict[str, Any]) -> tuple[Any, list[Any]]:
    with tf.GradientTape() as tape:
        loss = model.compute_loss(inputs, training=True)
    return loss, [tf.convert_to_tensor(one) for one in tape.gradient(loss, model.trainable_variables)]


def one_line(gradients: list[Any]) -> Any:
    return np.concatenate([np.ravel(one) for one in gradients])


def step_on_one_and_on_two(strategy: Any, data: PreparedData) -> dict[str, Any]:
    """The same histories, all on one processor or half of them on each."""
    batch = histories(data)
    model = new_two_tower(data, CONFIG)
    weights = model.get_weights()
    whole, gradients = loss_and_gradients(model, part(batch, slice(None)))
    model.set_weights(weights)
    first_half, _ = loss_and_gradients(model, part(batch, slice(HALF)))
    with strategy.scope():
        mirrored = new_two_tower(data, CONFIG)
        mirrored.set_weights(weights)
    halves = strategy.experimental_distribute_values_from_function(
        lambda context: (
            part(batch, slice(HALF * context.replica_id_in_sync_group, None))
            if context.replica_id_in_sync_group
            else part(batch, slice(HALF))
        )
    )
    (loss_a, gradients_a), (loss_b, gradients_b) = on_both(
        strategy, lambda inputs: loss_and_gradients(mirrored, inputs), halves
    )
    expected = one_line([one.numpy() for one in gradients])
    summed = one_line(gradients_a) + one_line(gradients_b)
    frequency = [strategy.experimental_local_results(one) for one in mirrored.frequency.weights]
    return {
        "whole": float(whole),
        "first_half_alone": float(first_half),
        "losses": [float(loss_a), float(loss_b)],
        "gradient": float(np.linalg.norm(expected)),
        "gradient_error": float(np.linalg.norm(summed - expected)),
        "frequencies_alike": all(bool(np.all(a.numpy() == b.numpy())) for a, b in frequency),
        "sighted": int(np.count_nonzero(frequency[1][0].numpy()[:-1])),
        "items": len(np.unique(batch["label"][batch["label"] >= 0])),
    }


if __name__ == "__main__":
    both = two_processors()
    tf.keras.utils.set_random_seed(1)
    seen = [[np.asarray(one).tolist() for one in replica] for replica in on_both(both, joined)]
    print(
        "ANSWERS", json.dumps({"joined": seen, "step": step_on_one_and_on_two(both, open_prepared(Path(sys.argv[1])))})
    )
