"""The noise on a gradient: none, the same again, and as much as was asked for."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from recsys_tf.config import EvaluateConfig, FitConfig, TwoTowerConfig
from recsys_tf.errors import InputError
from recsys_tf.sequences.dataset import PreparedData
from recsys_tf.training.fit import adam, check_fit
from recsys_tf.training.fit_two_tower import fit_two_tower
from recsys_tf.training.gradient_noise import NoisyAdam

NOISY = FitConfig(epochs=1, batch_size=64, learning_rate=3e-3, gradient_noise=0.01)
SMALL = TwoTowerConfig(width=16, layers=1, mixture=False)


def transformed(optimizer: Any, gradients: list[Any]) -> list[Any]:
    weights = [tf.Variable(tf.zeros_like(one)) for one in gradients]
    return [noisy.numpy() for noisy, _ in optimizer._transform_gradients(list(zip(gradients, weights, strict=True)))]


def test_it_has_the_deviation_that_was_asked_for() -> None:
    # A gradient of norm 20 is clipped to norm 2; the noise on each of its numbers is half of that.
    gradient = tf.fill([400, 100], 0.1)
    [first, second] = transformed(NoisyAdam(0.5, 2.0, 1), [gradient, gradient])
    for found in (first, second):
        assert found.mean() == pytest.approx(0.1 * 2 / np.sqrt(2 * 20.0**2), abs=0.02)
        assert found.std() == pytest.approx(1.0, rel=0.02)
    # Weights of one shape have noise of their own.
    assert abs(np.corrcoef(first.ravel(), second.ravel())[0, 1]) < 0.03


def test_every_step_and_seed_has_its_own_and_always_the_same() -> None:
    gradient = tf.zeros([50])
    optimizer, again, other = NoisyAdam(1.0, 1.0, 1), NoisyAdam(1.0, 1.0, 1), NoisyAdam(1.0, 1.0, 2)
    [first] = transformed(optimizer, [gradient])
    assert (first == transformed(again, [gradient])[0]).all()
    assert (first != transformed(other, [gradient])[0]).any()
    optimizer.apply_gradients([(gradient, tf.Variable(gradient))])
    assert (first != transformed(optimizer, [gradient])[0]).any()
    copied = NoisyAdam.from_config(again.get_config())
    assert (first == transformed(copied, [gradient])[0]).all()


def test_without_noise_adam_is_what_it_was() -> None:
    plain = adam(dataclasses.replace(NOISY, gradient_noise=0.0), 10)
    assert type(plain) is tf.keras.optimizers.legacy.Adam
    silent = NoisyAdam(0.0, 1.0, 1, learning_rate=0.1)
    loud = tf.keras.optimizers.legacy.Adam(learning_rate=0.1, global_clipnorm=1.0)
    weights = [tf.Variable([1.0, 2.0]), tf.Variable([1.0, 2.0])]
    for optimizer, weight in zip((silent, loud), weights, strict=True):
        for _ in range(3):
            optimizer.apply_gradients([(tf.constant([3.0, -4.0]), weight)])
    assert weights[0].numpy().tolist() == weights[1].numpy().tolist()


def test_a_noisy_training_repeats_itself(prepared: PreparedData, tmp_path: Path) -> None:
    found = []
    for name, fit in (("a", NOISY), ("b", NOISY), ("c", dataclasses.replace(NOISY, gradient_noise=0.0))):
        (tmp_path / name).mkdir()
        retrieval, _ = fit_two_tower(prepared, SMALL, fit, EvaluateConfig(), tmp_path / name)
        found.append(np.concatenate([weight.ravel() for weight in retrieval.model.get_weights()]))
    assert (found[0] == found[1]).all()
    assert (found[0] != found[2]).any()


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"gradient_noise": -1.0}, "gradient_noise is -1: a deviation, or 0 for none"),
        ({"clip_norm": 0.0}, "which is 0: noise needs a gradient that is clipped"),
    ],
)
def test_settings_that_make_no_sense_are_refused(wrong: dict[str, float], message: str) -> None:
    with pytest.raises(InputError, match=message):
        check_fit(dataclasses.replace(NOISY, **wrong))  # type: ignore[arg-type]
