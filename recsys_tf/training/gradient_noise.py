"""Adam on a noisy gradient, so that what one user did stands out less in the weights (Abadi et al. 2016)."""

from typing import Any

import tensorflow as tf


class NoisyAdam(tf.keras.optimizers.legacy.Adam):  # type: ignore[misc]
    """Adam that adds Gaussian noise to every number of the clipped gradient.

    noise: the noise's standard deviation in units of the clipping norm. Abadi et al. clip the gradient of each example
    by itself; here that of the batch is clipped, which bounds nobody's influence: there is no guarantee of differential
    privacy.
    """

    def __init__(self, noise: float, global_clipnorm: float, seed: int, **settings: Any) -> None:
        super().__init__(global_clipnorm=global_clipnorm, **settings)
        self._noise, self._seed = noise, seed

    def _transform_gradients(self, gradients: list[tuple[Any, Any]]) -> list[tuple[Any, Any]]:
        """Clip as Keras does, then add the noise; replicas draw the same, since they must take the same step."""
        clipped = super()._transform_gradients(gradients)
        deviation = self._noise * self.global_clipnorm
        return [
            (gradient + deviation * self._draw(number, gradient), weight)
            for number, (gradient, weight) in enumerate(clipped)
        ]

    def _draw(self, number: int, gradient: Any) -> Any:
        # A stream for each weight: two of one shape must not have the same noise.
        stream = tf.random.experimental.stateless_fold_in(tf.constant([self._seed, number], tf.int64), self.iterations)
        return tf.random.stateless_normal(tf.shape(gradient), stream, dtype=gradient.dtype)

    def get_config(self) -> dict[str, Any]:
        """Return what `from_config` needs to make the same optimizer."""
        settings = {"noise": self._noise, "global_clipnorm": self.global_clipnorm, "seed": self._seed}
        return {**super().get_config(), **settings}
