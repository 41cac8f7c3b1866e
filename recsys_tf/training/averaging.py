"""Weight averaging: the mean of the weights along the way is often better than where the way ends (Polyak 1992)."""

from typing import Any

import tensorflow as tf


class WeightAveraging(tf.keras.callbacks.Callback):  # type: ignore[misc]
    """Keeps an exponential average of the weights, and puts it in their place whenever an epoch is looked at.

    Stands before the callbacks that measure and save; the next epoch goes on from the weights of the last step.
    """

    def __init__(self, momentum: float) -> None:
        super().__init__()
        self._momentum = momentum
        self._averages: list[tf.Variable] = []
        self._last: list[Any] = []
        self._update: Any = None

    def set_model(self, model: tf.keras.Model) -> None:
        """Begin with the weights as they are."""
        super().set_model(model)
        weights = model.trainable_variables
        self._averages = [tf.Variable(weight, trainable=False) for weight in weights]
        steps = tf.Variable(0.0, trainable=False)

        @tf.function(autograph=False)  # type: ignore[untyped-decorator, unused-ignore]
        def update() -> None:
            # While there is little to average, the average must not stay at the initial weights.
            steps.assign_add(1.0)
            kept = tf.minimum(self._momentum, steps / (steps + 9.0))
            for average, weight in zip(self._averages, weights, strict=True):
                average.assign_sub((1.0 - kept) * (average - weight))

        self._update = update

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        """Move the average towards the weights."""
        self._update()

    def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Take up the weights of the last step again."""
        for weight, last in zip(self.model.trainable_variables, self._last, strict=False):
            weight.assign(last)

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Put the average in place of the weights."""
        self._last = [weight.numpy() for weight in self.model.trainable_variables]
        for weight, average in zip(self.model.trainable_variables, self._averages, strict=True):
            weight.assign(average)
