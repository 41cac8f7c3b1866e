"""Read a prepared data set: TFRecord shards → windows → batches, as one tf.data pipeline.

Everything is done on batches of users or windows, so that the pipeline stays far ahead of any model.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import tensorflow as tf

from recsys_tf.config import Inputs, Target
from recsys_tf.errors import InputError
from recsys_tf.sequences.feature_space import FeatureSpace
from recsys_tf.sequences.features import EventFeatures, start_ids
from recsys_tf.sequences.labels import NO_CLASS, EventClasses
from recsys_tf.sequences.vocabularies import PADDING
from recsys_tf.sequences.windows import cut_windows, window_bounds

Tensors = dict[str, Any]
Side = Literal["training", "validation", "test"]

_IDS = ("row", "behavior", "device", "timestamp")
_USERS_AT_ONCE = 256
_SHUFFLED_USERS = 4096
_SHUFFLED_WINDOWS = 16_384


@dataclass(frozen=True)
class PreparedData:
    """A prepared data set on disk: what was fitted, the shards, and dataset.json."""

    directory: Path
    space: FeatureSpace
    facts: dict[str, Any]

    @property
    def shards(self) -> list[str]:
        """Paths of the shards in their order."""
        return [str(self.directory / name) for name in self.facts["shards"]]

    @property
    def search_words(self) -> int:
        """Tokens of the log's longest search, 0 where nobody searched."""
        # Data of an earlier version do not say; as many as are kept is never too few.
        return int(self.facts["counts"].get("words_of_longest_search", self.space.words))

    @property
    def min_users(self) -> int:
        """Different training users that must stand behind anything that is kept by name; 1 is no limit."""
        return int(self.facts["configuration"]["features"].get("min_users", 1))


@dataclass(frozen=True)
class Windowing:
    """Which windows are made of the sequences.

    side: whose events are answered for. answers: "all" of a window's positions in one pass (training), or the "last"
    one only, with all the history that fits before it: what a server would be asked.
    """

    side: Side
    answers: Literal["all", "last"]
    target: Target
    purchase_horizon: int


def open_prepared(directory: Path) -> PreparedData:
    """Open what `run.py prepare` wrote. Raises InputError when it is missing or damaged."""
    path = directory / "dataset.json"
    if not path.is_file():
        raise InputError("no prepared data here; `python run.py prepare` writes it", file=path)
    try:
        facts = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise InputError(f"this is not the JSON that was written here ({error})", file=path) from error
    data = PreparedData(directory, FeatureSpace.load(directory), facts)
    for shard in data.shards:
        if not Path(shard).is_file():
            raise InputError("this shard is missing; prepare the data again", file=shard)
    return data


def read_users(data: PreparedData, seed: int | None = None) -> tf.data.Dataset:
    """Read the shards as batches of users, in a fixed order, or with a seed in a new one each time.

    Elements: user text [users]; training_end, validation_end, length int64 [users]; row, behavior, device, timestamp
    int64 [events] flat; words int64 [events, words].
    """
    words = data.search_words
    spec = {
        "user": tf.io.FixedLenFeature([], tf.string),
        "training_end": tf.io.FixedLenFeature([], tf.int64),
        "validation_end": tf.io.FixedLenFeature([], tf.int64),
        **{name: tf.io.RaggedFeature(tf.int64, row_splits_dtype=tf.int64) for name in (*_IDS, "words", "words_held")},
    }

    @tf.autograph.experimental.do_not_convert
    def parse(serialized: Any) -> Tensors:
        parsed = tf.io.parse_example(serialized, spec)
        flat = {name: parsed[name].flat_values for name in _IDS}
        tokens = tf.RaggedTensor.from_row_lengths(parsed["words"].flat_values, parsed["words_held"].flat_values)
        flat["words"] = tokens.to_tensor(PADDING, shape=[None, words])
        ends = {name: parsed[name] for name in ("user", "training_end", "validation_end")}
        return {**ends, "length": parsed["row"].row_lengths(), **flat}

    shards = tf.data.Dataset.from_tensor_slices(data.shards).interleave(
        lambda path: tf.data.TFRecordDataset(path, "GZIP"),
        cycle_length=min(4, len(data.shards)),
        num_parallel_calls=tf.data.AUTOTUNE,
        deterministic=True,
    )
    records = shards if seed is None else shards.shuffle(_SHUFFLED_USERS, seed=seed)
    return records.batch(_USERS_AT_ONCE).map(parse, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)


def read_windows(data: PreparedData, windowing: Windowing, seed: int | None = None) -> tf.data.Dataset:
    """Read the shards as batches of windows, as many as come; windows without a label are left out.

    Elements: row, behavior, device, timestamp, label, label_behavior int64 [windows, 1 + max_length], words int64
    [windows, 1 + max_length, words], held int64 [windows] (positions that are not padding), user text [windows], before
    int64 [windows] (events of the user that came before the window and did not fit), and of the last event answered for
    target_row, target_behavior, target_timestamp int64 [windows]. label is NO_CLASS where
    there is none, label_behavior -1 where the window does not answer.
    """
    return read_users(data, seed).map(_cutter(data, windowing), tf.data.AUTOTUNE, deterministic=True)


def read_questions(
    data: PreparedData, side: Side, target: Target, horizon: int, min_history: int = 0
) -> tf.data.Dataset:
    """Stream the questions of a side as batches of windows: each of its events, with the history before it.

    Where a log has times, only events later than their history count: inside a receipt, whose lines share one time,
    order means nothing, and what one line says about the next is no prediction. min_history: events that a history
    must hold, those that do not fit into the window among them.
    """

    @tf.autograph.experimental.do_not_convert
    def asked(windows: Tensors) -> Tensors:
        last = windows["held"] - 1
        newest = tf.gather(windows["timestamp"], last, batch_dims=1)
        timed = windows["target_timestamp"] > 0
        keep = ~timed | (windows["target_timestamp"] > newest)
        keep &= windows["before"] + last >= min_history
        return {name: tf.boolean_mask(values, keep) for name, values in windows.items()}

    return read_windows(data, Windowing(side, "last", target, horizon)).map(asked, tf.data.AUTOTUNE)


def _cutter(data: PreparedData, windowing: Windowing) -> Any:
    length = data.space.max_length
    classes = EventClasses(data.space, windowing.target, windowing.purchase_horizon)
    stride = 1 if windowing.answers == "last" else max(length // 2, 1)
    # A sequence's first window answers for every position it holds, from the start token on.
    lead = length + 1 if windowing.answers == "all" and windowing.side == "training" else stride

    @tf.autograph.experimental.do_not_convert
    def cut(users: Tensors) -> Tensors:
        first, end = {
            "training": (tf.zeros_like(users["length"]), users["training_end"]),
            "validation": (users["training_end"], users["validation_end"]),
            "test": (users["validation_end"], users["length"]),
        }[windowing.side]
        offset = tf.cumsum(users["length"], exclusive=True)
        side_end = tf.repeat(offset + end, users["length"])
        labels = classes(users["row"], users["behavior"], side_end)
        bounds = window_bounds(first, end, lead, stride, length)
        events = {name: users[name] for name in (*_IDS, "words")}
        answers = {"label": labels, "label_behavior": users["behavior"]}
        windows = cut_windows(events, answers, offset, bounds, length)
        start = start_ids(tf.size(windows["held"]), data.search_words)
        for name, token in start.items():
            windows[name] = tf.concat([token, windows[name][:, 1:]], axis=1)
        target = windows.pop("target")
        windows["user"] = tf.gather(users["user"], bounds[0])
        windows["before"] = bounds[1]
        for name in ("row", "behavior", "timestamp"):
            windows[f"target_{name}"] = tf.gather(users[name], target)
        answered = tf.reduce_any(windows["label"] != NO_CLASS, axis=1)
        return {name: tf.boolean_mask(value, answered) for name, value in windows.items()}

    return cut


def training_batches(
    data: PreparedData,
    windowing: Windowing,
    inputs: Inputs,
    batch_size: int,
    seed: int | None = None,
    static_shapes: bool = False,
) -> tf.data.Dataset:
    """Batches (inputs, labels, weights) for `fit`; with a seed, shuffled anew each epoch in an order the seed decides.

    inputs: see `EventFeatures.inputs`, over [batch, length]; labels: int64 [batch, length] when the windowing answers
    all positions, [batch] when the last one; weights: float32 of the same shape, 0 where there is no label, with mean 1
    over the positions that are not padding. static_shapes: pad every batch to 1 + max_length and drop an incomplete
    last one (XLA, TPU);
    otherwise sequences of similar length share a batch and are padded to the longest of them.
    """
    features = EventFeatures(data.space)

    @tf.autograph.experimental.do_not_convert
    def finish(batch: Tensors) -> tuple[Any, Any, Any]:
        held, label = batch["held"], batch["label"]
        if windowing.answers == "last":
            label = tf.gather(label, held - 1, batch_dims=1)
        labelled = tf.cast(label >= 0, tf.float32)
        # Keras averages a loss over what the mask leaves, so that is where the weights must have mean 1.
        positions = tf.reduce_sum(held) if windowing.answers == "all" else tf.size(held, tf.int64)
        share = tf.reduce_sum(labelled) / tf.cast(positions, tf.float32)
        return features.inputs(batch, inputs), tf.maximum(label, 0), tf.math.divide_no_nan(labelled, share)

    batches = _batches(data, windowing, batch_size, seed, static_shapes)
    return batches.map(finish, tf.data.AUTOTUNE, deterministic=True).prefetch(tf.data.AUTOTUNE)


def retrieval_batches(
    data: PreparedData,
    windowing: Windowing,
    batch_size: int,
    seed: int | None = None,
    static_shapes: bool = False,
    full_batches: bool = False,
) -> tf.data.Dataset:
    """Batches for a two-tower model: the features of `EventFeatures` as "events" inputs, and four names more.

    row: int32 [batch, length], catalogue rows of the history; label: int32 [batch, length], the item that comes next
    as its place in the item vocabulary, negative where there is none to answer; label_behavior: int32 [batch, length],
    what the user does with it; held: int32 [batch]. Order and shapes as in `training_batches`. full_batches: drop an
    incomplete last one.
    """
    features = EventFeatures(data.space)

    @tf.autograph.experimental.do_not_convert
    def finish(batch: Tensors) -> Tensors:
        plain = {name: tf.cast(batch[name], tf.int32) for name in ("row", "label", "label_behavior", "held")}
        return {**features.inputs(batch, "events"), **plain}

    batches = _batches(data, windowing, batch_size, seed, static_shapes, full_batches)
    return batches.map(finish, tf.data.AUTOTUNE, deterministic=True).prefetch(tf.data.AUTOTUNE)


def _batches(
    data: PreparedData,
    windowing: Windowing,
    batch_size: int,
    seed: int | None,
    static_shapes: bool,
    full_batches: bool = False,
) -> tf.data.Dataset:
    """Batches of windows, cut to the longest sequence and the most words of the batch, unless shapes are static."""
    names = (*_IDS, "words", "label", "label_behavior", "held")
    windows = read_windows(data, windowing, seed).map(lambda batch: {name: batch[name] for name in names})
    if seed is not None:
        noise = tf.data.Dataset.random(seed=seed, rerandomize_each_iteration=True).batch(2)
        pools = tf.data.Dataset.zip((windows.rebatch(_SHUFFLED_WINDOWS), noise))
        # One pool at a time: they are most of what reading holds in memory.
        windows = pools.map(_shuffle_by_length)
    batches = windows.rebatch(batch_size, drop_remainder=static_shapes or full_batches)
    if seed is not None:
        batches = batches.shuffle(max(_SHUFFLED_WINDOWS // batch_size // 2, 1), seed=seed)
    return batches if static_shapes else batches.map(_trimmed, tf.data.AUTOTUNE, deterministic=True)


@tf.autograph.experimental.do_not_convert
def _trimmed(batch: Tensors) -> Tensors:
    longest = tf.reduce_max(batch["held"])
    trimmed = {name: value if name == "held" else value[:, :longest] for name, value in batch.items()}
    # Most batches of most logs hold no long search, and many hold none.
    most_words = tf.reduce_max(tf.math.count_nonzero(trimmed["words"], axis=-1))
    return trimmed | {"words": trimmed["words"][..., :most_words]}


@tf.autograph.experimental.do_not_convert
def _shuffle_by_length(windows: Tensors, noise: Any) -> Tensors:
    """Put a pool of windows in a random order in which windows of about the same length are neighbours."""
    held = tf.cast(windows["held"], tf.float32)
    # Lengths 1, 2, 3, 4, 5, 6-8, 9-11, 12-16, … form a bucket each, and the order within a bucket is random.
    bucket = tf.math.ceil(2.0 * tf.math.log(held) / np.log(2.0))
    order = tf.argsort(bucket + tf.random.stateless_uniform(tf.shape(held), noise))
    return {name: tf.gather(value, order) for name, value in windows.items()}
