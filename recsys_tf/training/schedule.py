"""The learning rate over a training: a linear warm-up, then a cosine (Loshchilov & Hutter 2017)."""

import math
from typing import Any

import tensorflow as tf


class WarmupCosine(tf.keras.optimizers.schedules.LearningRateSchedule):  # type: ignore[misc]
    """0 → `peak` over `warmup` steps, then `peak` → 0 at step `total`; with `total` 0 it stays at `peak`."""

    def __init__(self, peak: float, warmup: int, total: int) -> None:
        self.peak, self.warmup, self.total = peak, warmup, total

    def __call__(self, step: Any) -> Any:
        """Return the rate at a step: a float32 scalar."""
        now = tf.cast(step, tf.float32)
        rising = (now + 1.0) / max(self.warmup, 1)
        if not self.total:
            return self.peak * tf.minimum(1.0, rising)
        share = tf.clip_by_value((now - self.warmup) / max(self.total - self.warmup, 1), 0.0, 1.0)
        falling = 0.5 * (1.0 + tf.cos(math.pi * share))
        return self.peak * tf.minimum(rising, falling)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the constructor."""
        return {"peak": self.peak, "warmup": self.warmup, "total": self.total}
