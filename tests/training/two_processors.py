"""A process with two processors trains a two-tower model on one of them, then on both.

    python tests/training/two_processors.py PREPARED_FOLDER OUTPUT_FOLDER LOSS

TensorFlow takes logical devices only before it starts, so this is no test but what a test runs. Prints a line of JSON.
"""

import json
import sys
from pathlib import Path

import numpy as np
import tensorflow as tf

from recsys_tf.config import EvaluateConfig, FitConfig, TwoTowerConfig
from recsys_tf.errors import InputError
from recsys_tf.sequences.dataset import open_prepared
from recsys_tf.training.fit_two_tower import fit_two_tower, new_two_tower

# Nothing is random, so that the same histories teach the same on one processor and on two.
CONFIG = {"width": 16, "layers": 1, "dropout": 0.0, "item_dropout": 0.0, "context_dropout": 0.0, "any_behavior": 1.0}


def main(prepared: str, output: str, loss: str) -> None:
    processor = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(processor, [tf.config.LogicalDeviceConfiguration()] * 2)
    data = open_prepared(Path(prepared))
    config = TwoTowerConfig(loss=loss, positions_per_sequence=99, mixture=False, **CONFIG)  # type: ignore[arg-type]
    answers: dict[str, object] = {}
    for devices in ("one", "all"):
        folder = Path(output) / devices
        folder.mkdir(parents=True)
        fit = FitConfig(epochs=2, batch_size=64, learning_rate=3e-3, weight_averaging=0.9, devices=devices)  # type: ignore[arg-type]
        _, history = fit_two_tower(data, config, fit, EvaluateConfig(), folder)
        # What was written is read where there is but one device.
        again = new_two_tower(data, config)
        again.load_weights(str(folder / "weights.h5"))
        answers[devices] = {**history, "norm": float(np.linalg.norm(again.table().numpy()))}
    try:
        odd = FitConfig(epochs=1, batch_size=63, devices="all")
        fit_two_tower(data, config, odd, EvaluateConfig(), Path(output))
    except InputError as error:
        answers["odd"] = str(error)
    print("ANSWERS", json.dumps(answers))


if __name__ == "__main__":
    main(*sys.argv[1:])
