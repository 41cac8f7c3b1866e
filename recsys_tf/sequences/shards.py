"""Prepared sequences on disk: gzip-compressed TFRecord shards, one tf.train.Example per user.

The work is a function of one partition of users, so that the same function runs here, in many processes or on Spark.
"""

import hashlib
import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from recsys_tf.disk_errors import as_os_errors
from recsys_tf.errors import InputError
from recsys_tf.progress import Progress


@dataclass(frozen=True)
class UserSequences:
    """Ids of all events of all users, flat, user after user.

    users: user ids [users]; first: int64 [users + 1], where each user's events start; training_end and validation_end:
    int64 [users], how many of the user's events are known at the end of training and of validation.
    row, behavior, device, timestamp: int64 [events]. Times in ms, 0 = not known.
    words: int64 [tokens], the word ids of all events without padding; words_held: int64 [events], how many of them each
    event has.
    """

    users: list[str]
    first: npt.NDArray[np.int64]
    training_end: npt.NDArray[np.int64]
    validation_end: npt.NDArray[np.int64]
    row: npt.NDArray[np.int64]
    behavior: npt.NDArray[np.int64]
    device: npt.NDArray[np.int64]
    timestamp: npt.NDArray[np.int64]
    words: npt.NDArray[np.int64]
    words_held: npt.NDArray[np.int64]


def write_shards(sequences: UserSequences, directory: Path, shards: int) -> dict[str, str]:
    """Write the users in `shards` files of equal numbers of users; return each file's SHA-256 by its name."""
    progress = Progress("writing shards", "events", int(sequences.first[-1]))
    bounds = np.linspace(0, len(sequences.users), shards + 1).astype(int)
    hashes = {}
    for number, (low, high) in enumerate(itertools.pairwise(bounds)):
        path = directory / f"sequences-{number:05d}-of-{shards:05d}.tfrecord.gz"
        hashes[path.name] = write_shard(path, partition_examples(sequences, int(low), int(high)))
        progress.add(int(sequences.first[high] - sequences.first[low]))
    progress.close()
    return hashes


def write_shard(path: Path, examples: Iterable[bytes]) -> str:
    """Write serialised Examples to one file and return its SHA-256. Raises OSError when the disk is full."""
    options = tf.io.TFRecordOptions("GZIP", compression_level=4)
    with as_os_errors(path), tf.io.TFRecordWriter(str(path), options) as writer:
        for example in examples:
            writer.write(example)
    return hashlib.sha256(path.read_bytes()).hexdigest()


def read_shard(path: Path) -> Iterator[bytes]:
    """Read the serialised Examples of one file in their order. Raises InputError for a damaged one."""
    try:
        yield from tf.data.TFRecordDataset(str(path), "GZIP").as_numpy_iterator()
    except tf.errors.OpError as error:
        raise InputError(f"this shard cannot be read ({error.message})", file=path) from error


def partition_examples(sequences: UserSequences, low: int, high: int) -> Iterator[bytes]:
    """Serialise the users low, …, high - 1, one Example each."""
    # Most events are no searches, so words are stored without padding and begin where those of earlier events end.
    begin, end = sequences.first[[low, high]]
    held = np.cumsum(sequences.words_held[begin:end])
    first_word = sequences.words_held[:begin].sum() + np.concatenate([[0], held])
    for user in range(low, high):
        events = slice(int(sequences.first[user]), int(sequences.first[user + 1]))
        words = slice(int(first_word[events.start - begin]), int(first_word[events.stop - begin]))
        feature = {
            "user": tf.train.Feature(bytes_list=tf.train.BytesList(value=[sequences.users[user].encode()])),
            "training_end": _integers(sequences.training_end[user : user + 1]),
            "validation_end": _integers(sequences.validation_end[user : user + 1]),
            "row": _integers(sequences.row[events]),
            "behavior": _integers(sequences.behavior[events]),
            "device": _integers(sequences.device[events]),
            "timestamp": _integers(sequences.timestamp[events]),
            "words": _integers(sequences.words[words]),
            "words_held": _integers(sequences.words_held[events]),
        }
        example = tf.train.Example(features=tf.train.Features(feature=feature))
        # Features is a map, whose order is not fixed by itself; the bytes of a shard must be.
        yield example.SerializeToString(deterministic=True)


def _integers(values: npt.NDArray[np.int64]) -> tf.train.Feature:
    return tf.train.Feature(int64_list=tf.train.Int64List(value=values.tolist()))
