"""Weight averaging."""

from typing import Any

import pytest
import tensorflow as tf

from recsys_tf.training.averaging import WeightAveraging


def line() -> Any:
    """A model of one weight: y = w x."""
    model = tf.keras.Sequential([tf.keras.layers.Dense(1, use_bias=False, kernel_initializer="zeros")])
    model.build([None, 1])
    return model


def test_the_average_follows_the_weights() -> None:
    model = line()
    averaging = WeightAveraging(momentum=0.5)
    averaging.set_model(model)
    average = 0.0
    for step in range(1, 21):
        model.trainable_variables[0].assign([[float(step)]])
        averaging.on_train_batch_end(step)
        kept = min(0.5, step / (step + 9))
        average = kept * average + (1 - kept) * step
    averaging.on_epoch_end(0)
    assert model.get_weights()[0].item() == pytest.approx(average, rel=1e-5)
    averaging.on_epoch_begin(1)
    assert model.get_weights()[0].item() == 20.0


def test_training_goes_on_from_the_last_steps_weights() -> None:
    data = tf.data.Dataset.from_tensors((tf.constant([[1.0], [2.0]]), tf.constant([[3.0], [6.0]]))).repeat(5)

    def train(*callbacks: Any) -> list[float]:
        seen: list[float] = []
        model = line()
        model.compile(tf.keras.optimizers.SGD(0.01), "mse")
        keep = tf.keras.callbacks.LambdaCallback(
            on_epoch_begin=lambda *_: seen.append(model.get_weights()[0].item()),
            on_epoch_end=lambda *_: seen.append(model.get_weights()[0].item()),
        )
        model.fit(data, epochs=3, verbose=0, callbacks=[*callbacks, keep])
        return seen

    plain, averaged = train(), train(WeightAveraging(0.9))
    # Begin, end, begin, end, …: training itself is the same, what is looked at lies behind it.
    assert averaged[0::2] == pytest.approx(plain[0::2])
    assert all(behind < ahead for behind, ahead in zip(averaged[1::2], plain[1::2], strict=True))
