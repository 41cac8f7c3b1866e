"""Fit a two-tower model on a prepared data set; the epoch that ranks the validation side best is kept, or the last."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from recsys_tf.config import EvaluateConfig, FitConfig, TwoTowerConfig
from recsys_tf.errors import InputError
from recsys_tf.models.mixture import VOICES, Counts, Mixture
from recsys_tf.models.retrieval import Retrieval
from recsys_tf.models.two_tower import TwoTower
from recsys_tf.sequences.dataset import PreparedData, Windowing, retrieval_batches
from recsys_tf.sequences.features import EventFeatures, start_ids
from recsys_tf.training.averaging import WeightAveraging
from recsys_tf.training.fit import EpochLines, History, adam, check_fit, make_deterministic
from recsys_tf.training.fit_mixture import count, save_mixture, search_weights
from recsys_tf.training.validation import Validation, ValidationRanking, ndcg_and_hits, ranking, read_validation

_WINDOWING = Windowing("training", "all", "next_item", 1)


def new_two_tower(
    data: PreparedData, config: TwoTowerConfig, item_shares: Any = None, static_shapes: bool = False
) -> TwoTower:
    """Build the model that fits a prepared data set, with all of its weights.

    Raises InputError when training has seen fewer than two items, and for sizes that do not fit together.
    """
    if len(data.space.items.tokens) < 2:
        raise InputError(f"{len(data.space.items.tokens)} items in the training events: there is nothing to tell apart")
    if config.width % config.heads and config.encoder in ("transformer", "bert"):
        raise InputError(f"{config.heads} heads do not divide a width of {config.width}")
    model = TwoTower(data.space, config, item_shares, static_shapes)
    ids = start_ids(1, data.space.words)
    inputs = EventFeatures(data.space).inputs(ids, "events")
    model(inputs | {"row": tf.cast(ids["row"], tf.int32), "held": tf.ones([1], tf.int32)})
    model.table()
    if model.frequency is not None:
        model.frequency(tf.zeros([1], tf.int32), tf.zeros([1], tf.bool))
    return model


def fit_two_tower(
    data: PreparedData, config: TwoTowerConfig, fit: FitConfig, asked: EvaluateConfig, directory: Path
) -> tuple[Retrieval, History]:
    """Train a two-tower model and keep the weights of its best epoch, or of its last.

    The best is that of the highest validation NDCG@10 over the whole catalogue.

    asked: which events are questions, and whether what the user had may be an answer.

    Writes directory/weights.h5 whenever an epoch is the one to keep so far, mixture.npz when a mixture ranks the
    validation side better than the towers alone, and TensorBoard logs. Returns what answers with those weights, and the
    history per epoch: loss, val_NDCG@10, val_HR@10, and what `EpochLines.history` holds.
    """
    check_fit(fit)
    make_deterministic(fit.seed)
    strategy = strategy_for(fit)
    # Replicas must have equal shares of a batch: they show each other their candidates.
    full_batches = strategy.num_replicas_in_sync > 1
    batches = retrieval_batches(data, _WINDOWING, fit.batch_size, fit.seed, fit.xla, full_batches)
    steps, counts = count_labels(batches, len(data.space.items.tokens))
    if not counts.any():
        raise InputError("no training event is followed by an item: there is nothing to learn from")
    validation = read_validation(data, fit.validation_queries, asked.remove_seen, asked.min_history)
    monitor, mode = ("val_NDCG@10", "max") if len(validation) else ("mean_loss", "min")
    policy = tf.keras.mixed_precision.global_policy()
    tf.keras.mixed_precision.set_global_policy("mixed_bfloat16" if fit.mixed_precision else "float32")
    try:
        with strategy.scope():
            model = new_two_tower(data, config, (counts / counts.sum()).astype(np.float32), static_shapes=fit.xla)
            model.compile(optimizer=adam(fit, steps), jit_compile=fit.xla)
    finally:
        tf.keras.mixed_precision.set_global_policy(policy)
    weights = directory / "weights.h5"
    callbacks = [
        *([WeightAveraging(fit.weight_averaging)] if fit.weight_averaging else []),
        ValidationRanking(validation, Retrieval(model, data.space)),
        tf.keras.callbacks.ModelCheckpoint(
            str(weights), monitor=monitor, mode=mode, save_best_only=fit.keep == "best", save_weights_only=True
        ),
        tf.keras.callbacks.EarlyStopping(monitor=monitor, mode=mode, patience=fit.patience),
        tf.keras.callbacks.TensorBoard(str(directory / "tensorboard")),
        lines := EpochLines(steps, fit.max_minutes),
    ]
    fitted = model.fit(batches, epochs=fit.epochs, callbacks=callbacks, verbose=0)
    model.load_weights(str(weights))
    kept = {"loss": "mean_loss", "val_NDCG@10": "val_NDCG@10", "val_HR@10": "val_HR@10"}
    history = {
        ours: [float(value) for value in fitted.history[name]] for ours, name in kept.items() if name in fitted.history
    }
    mixture = fit_mixture(data, model, config, validation, directory) if config.mixture else None
    return Retrieval(model, data.space, mixture), history | lines.history()


def strategy_for(fit: FitConfig) -> tf.distribute.Strategy:
    """Return how a training is spread over the devices of this machine.

    Raises InputError when the batch cannot be shared out evenly.
    """
    if fit.devices == "one":
        return tf.distribute.get_strategy()
    devices = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")
    if fit.batch_size % len(devices):
        raise InputError(f"{len(devices)} devices cannot share a batch of {fit.batch_size} evenly")
    return tf.distribute.MirroredStrategy([device.name for device in devices])


def fit_mixture(
    data: PreparedData, model: TwoTower, config: TwoTowerConfig, validation: Validation, directory: Path
) -> Mixture | None:
    """Fit the mixture of towers and counts, and keep it (directory/mixture.npz) if it ranks the validation side better.

    The same questions chose the epoch; a few weights more do not learn them by heart. Weights that the configuration
    gives are taken as they are; without them and without questions there is no mixture.
    """
    counts = count(data)
    if config.mixture_weights:
        weights = given_weights(config.mixture_weights)
    elif len(validation):
        weights = _search(model, data, counts, validation)
    else:
        return None
    if weights[0] == 1.0:
        return None
    save_mixture(directory / "mixture.npz", weights, counts)
    return Mixture(weights.astype(np.float32), counts)


def given_weights(weights: tuple[float, ...]) -> npt.NDArray[np.float64]:
    """Return the weights of a configuration as shares of 1; raises InputError when they are no weights of voices."""
    if len(weights) != len(VOICES) or min(weights) < 0 or weights[0] <= 0:
        raise InputError(
            f"mixture weights {weights}: give {len(VOICES)} numbers, of {', '.join(VOICES)}, the first above 0"
        )
    return np.asarray(weights, np.float64) / sum(weights)


def _search(model: TwoTower, data: PreparedData, counts: Counts, validation: Validation) -> npt.NDArray[np.float64]:
    towers = np.eye(len(VOICES), dtype=np.float32)[0]
    tuned = Mixture(towers, counts, tuned=True)
    rank = ranking(Retrieval(model, data.space, tuned), validation, fixed_towers=True)

    def quality(weights: npt.NDArray[np.float64]) -> float:
        assert tuned.weights is not None
        tuned.weights.assign(weights.astype(np.float32))
        return ndcg_and_hits(rank())[0]

    # Where what the user had is taken out of the answers, these have nothing to say.
    silent = ["recent", "frequent", "newest"] if validation.remove_seen else []
    silent += [] if len(counts.search_keys) else ["searched"]
    weights = search_weights(quality, [voice for voice in VOICES if voice not in silent])
    heard = ", ".join(f"{name} {weight:.3f}" for name, weight in zip(VOICES, weights, strict=True) if weight)
    print(f"mixture ({heard}): validation NDCG@10 {quality(towers):.4f} → {quality(weights):.4f}", flush=True)
    return weights


def count_labels(batches: tf.data.Dataset, items: int) -> tuple[int, npt.NDArray[np.int64]]:
    """Count the steps of an epoch and how often each item of the vocabulary is an answer: int64 [items]."""
    steps, counts = 0, np.zeros(items, np.int64)
    for batch in batches.as_numpy_iterator():
        steps += 1
        counts += np.bincount(batch["label"][batch["label"] >= 0], minlength=items)
    return steps, counts
