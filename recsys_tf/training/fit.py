"""Fit a classifier on a prepared data set, as the listing of section 5.2 does, with what section 5.5 recommends."""

import time
from pathlib import Path
from typing import Any, Literal

import numpy as np
import tensorflow as tf

from recsys_tf.config import ClassifierConfig, FitConfig
from recsys_tf.cost import Cost, cost_between, read_meters
from recsys_tf.errors import InputError
from recsys_tf.models.classifier import build_classifier
from recsys_tf.models.event_embedding import event_sizes
from recsys_tf.sequences.dataset import PreparedData, Side, Windowing, training_batches
from recsys_tf.sequences.features import EventFeatures
from recsys_tf.sequences.labels import class_names
from recsys_tf.training.gradient_noise import NoisyAdam
from recsys_tf.training.schedule import WarmupCosine

History = dict[str, list[float]]

_VALIDATION_BATCH = 256
# What a log holds besides results of the epoch; TFRS' own losses are those of the last batch.
_UNSAID = ("lr", "regularization_loss", "total_loss")


def make_deterministic(seed: int) -> None:
    """Seed everything random and allow deterministic kernels only: same seed, same machine, same numbers."""
    tf.keras.utils.set_random_seed(seed)
    tf.config.experimental.enable_op_determinism()


def check_fit(fit: FitConfig) -> None:
    """Raise InputError for settings of a training that make no sense."""
    if fit.epochs < 1 or fit.batch_size < 1:
        raise InputError(f"{fit.epochs} epochs of batches of {fit.batch_size}: both must be at least 1")
    if fit.gradient_noise < 0:
        raise InputError(f"gradient_noise is {fit.gradient_noise:g}: a deviation, or 0 for none")
    if fit.gradient_noise and not fit.clip_norm > 0:
        raise InputError(
            f"gradient_noise is {fit.gradient_noise:g} in units of clip_norm, which is {fit.clip_norm:g}: "
            "noise needs a gradient that is clipped"
        )


def new_classifier(data: PreparedData, config: ClassifierConfig, every_position: bool) -> tf.keras.Sequential:
    """Build the classifier that fits a prepared data set. Raises InputError when there are not two classes."""
    classes = _check_classes(data, config)
    sizes = event_sizes(data.space)
    model = build_classifier(config, len(classes), sizes, EventFeatures(data.space).vocab_size, every_position)
    # One pass over a single start token creates the weights.
    start = {name: tf.ones([1, 1], tf.int64) for name in ("row", "behavior", "device", "timestamp")}
    start["words"] = tf.zeros([1, 1, data.space.words], tf.int64)
    model(EventFeatures(data.space).inputs(start, config.inputs))
    return model


def _check_classes(data: PreparedData, config: ClassifierConfig) -> tuple[str, ...]:
    classes = class_names(data.space, config.target)
    if len(classes) < 2:
        named = f" ({classes[0]!r})" if classes else ""
        raise InputError(
            f"target {config.target} has {len(classes)} class{named} in the training events: there is nothing to tell "
            "apart; choose another --classifier.target"
        )
    return classes


def fit_classifier(
    data: PreparedData, config: ClassifierConfig, fit: FitConfig, directory: Path
) -> tuple[tf.keras.Sequential, History]:
    """Train a classifier and keep the weights of its best epoch, by validation accuracy, or of its last.

    Writes directory/weights.h5 whenever an epoch is the one to keep so far, and TensorBoard logs. Returns the model
    with those weights and the history per epoch: loss, accuracy, val_loss, val_accuracy, and what `EpochLines.history`
    holds.
    """
    check_fit(fit)
    make_deterministic(fit.seed)
    training = _batches(data, "training", config, fit, fit.batch_size, fit.seed)
    validation = _batches(data, "validation", config, fit, _VALIDATION_BATCH, None)
    _check_classes(data, config)
    steps, labelled = _count(training)
    if labelled == 0:
        raise InputError(
            f"no training event has a class for target {config.target}; choose another --classifier.target"
        )
    monitor = "val_accuracy" if _count(validation)[1] else "loss"
    model = new_classifier(data, config, config.every_position)
    model.compile(
        optimizer=adam(fit, steps),
        loss="sparse_categorical_crossentropy",
        weighted_metrics=["accuracy"],
    )
    kept = directory / "weights.h5"
    callbacks = [
        tf.keras.callbacks.ModelCheckpoint(
            str(kept), monitor=monitor, save_best_only=fit.keep == "best", save_weights_only=True
        ),
        tf.keras.callbacks.EarlyStopping(monitor=monitor, patience=fit.patience),
        tf.keras.callbacks.TensorBoard(str(directory / "tensorboard")),
        lines := EpochLines(steps, fit.max_minutes),
    ]
    validation_data = validation if monitor.startswith("val") else None
    fitted = model.fit(training, epochs=fit.epochs, validation_data=validation_data, callbacks=callbacks, verbose=0)
    model.load_weights(str(kept))
    history = {name: [float(value) for value in values] for name, values in fitted.history.items()}
    return model, history | lines.history()


class EpochLines(tf.keras.callbacks.Callback):  # type: ignore[misc]
    """One line per epoch with its speed, what each one cost, and the stop at the time limit."""

    def __init__(self, steps: int, max_minutes: float) -> None:
        super().__init__()
        self.costs: list[Cost] = []
        self._steps, self._limit = steps, max_minutes * 60
        self._began, self._epoch_began = time.monotonic(), read_meters()

    def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Read the meters before the epoch."""
        self._epoch_began = read_meters()

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Print what the epoch reached, and stop when the next one would not fit in the time limit."""
        now = read_meters()
        self.costs.append(cost_between(self._epoch_began, now))
        seconds = self.costs[-1].seconds
        unsaid = (*_UNSAID, "loss") if "mean_loss" in (logs or {}) else _UNSAID
        shown = {name: value for name, value in (logs or {}).items() if name not in unsaid}
        scores = "  ".join(f"{name.removeprefix('mean_')} {value:.4f}" for name, value in shown.items())
        total = self.params["epochs"]
        speed = self._steps / seconds
        print(f"epoch {epoch + 1:>2}/{total}  {scores}  {seconds:.1f} s  {speed:.1f} steps/s", flush=True)
        if self._limit and now.seconds - self._began + seconds > self._limit:
            print(f"the time limit of {self._limit / 60:g} minutes is reached", flush=True)
            self.model.stop_training = True

    def history(self) -> History:
        """Return per epoch seconds and cpu_seconds, and joules where the machine shows them."""
        history = {
            "seconds": [one.seconds for one in self.costs],
            "cpu_seconds": [one.cpu_seconds for one in self.costs],
        }
        joules = [one.joules for one in self.costs if one.joules is not None]
        return history | ({"joules": joules} if len(joules) == len(self.costs) else {})


def _batches(
    data: PreparedData, side: Side, config: ClassifierConfig, fit: FitConfig, batch_size: int, seed: int | None
) -> tf.data.Dataset:
    answers: Literal["all", "last"] = "all" if config.every_position else "last"
    windowing = Windowing(side, answers, config.target, config.purchase_horizon)
    return training_batches(data, windowing, config.inputs, batch_size, seed)


def adam(fit: FitConfig, steps: int) -> Any:
    """Return Adam with the configured warm-up, decay, clipping and noise; steps: those of one epoch."""
    total = max(steps * fit.epochs, 1)
    rate: Any = fit.learning_rate
    if fit.decay or fit.warmup_share:
        rate = WarmupCosine(fit.learning_rate, int(total * fit.warmup_share), total if fit.decay else 0)
    if fit.gradient_noise:
        return NoisyAdam(fit.gradient_noise, fit.clip_norm, fit.seed, learning_rate=rate)
    # The older class runs one kernel per weight; the newer one takes thirty operations and twice the time for it.
    return tf.keras.optimizers.legacy.Adam(learning_rate=rate, global_clipnorm=fit.clip_norm or None)


def _count(batches: tf.data.Dataset) -> tuple[int, float]:
    counts = [float(np.count_nonzero(weights)) for _, _, weights in batches.as_numpy_iterator()]
    return len(counts), sum(counts)
