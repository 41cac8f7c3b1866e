"""Requests with real histories of the test side: to warm a server up, and to hold an export against the training code.

Prepared data holds ids. A search is written as the words that the model knows of it, which is what it reads of it; what
training has not seen is written as text that nobody knows.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from recsys_tf.config import EvaluateConfig
from recsys_tf.evaluation.queries import read_queries
from recsys_tf.sequences.dataset import PreparedData
from recsys_tf.sequences.feature_space import FeatureSpace
from recsys_tf.sequences.vocabularies import FIRST, UNKNOWN

Array = npt.NDArray[Any]

# Signatures that are exported where they were asked for.
OPTIONAL = ("look_up", "risk", "ads", "intent")

_HISTORIES = 8
_K = 10
_NOBODY_KNOWS = "(unknown)"


@dataclass(frozen=True)
class Request:
    """The name of a signature and its inputs, text as arrays of objects."""

    signature: str
    inputs: dict[str, Array]


def example_requests(data: PreparedData, name: str, optional: Collection[str] = ()) -> list[Request]:
    """Return requests to every signature of a model: the shortest history, the longest one, and some at once.

    name: "two_tower" or "classifier". optional: signatures that not every export has, to be asked as well. A new user's
    empty history is among those at once.
    """
    queries = read_queries(data, "next_item", 1, EvaluateConfig(max_queries=200))
    # Evenly from the shortest history to the longest one.
    by_length = np.argsort(queries.held, kind="stable")
    chosen = by_length[np.linspace(0, len(by_length) - 1, min(_HISTORIES, len(by_length))).astype(int)]
    history = as_text(data.space, {names: values[chosen] for names, values in queries.ids.items()})
    parts = [_alone(history, 0), _alone(history, len(chosen) - 1), _with_new_user(history)]
    return [
        Request(signature, {key: _encoded(values) for key, values in inputs.items()})
        for part in parts
        for signature, inputs in _requests(data.space, part, name).items()
        if signature in optional or signature not in OPTIONAL
    ]


def as_text(space: FeatureSpace, ids: dict[str, Any]) -> dict[str, Array]:
    """Ids [histories, 1 + length] → text item_id, behavior, query and device, int64 timestamp [histories, length]."""
    events = {name: values[:, 1:] for name, values in ids.items()}
    texts = {
        name: _texts(vocabulary)[events[ids_of]]
        for name, ids_of, vocabulary in (
            ("item_id", "row", space.catalogue.item_ids),
            ("behavior", "behavior", space.behaviors.tokens),
            ("device", "device", space.devices.tokens),
        )
    }
    words = _texts(space.word_vocabulary.tokens)[events["words"]]
    query = np.empty(words.shape[:2], object)
    for at in np.ndindex(*query.shape):
        # n-grams begin with "#", which no word holds.
        query[at] = " ".join(token for token in words[at] if token and token[0] not in "#(")
    return {**texts, "query": query, "timestamp": events["timestamp"].astype(np.int64)}


def _texts(tokens: tuple[str, ...]) -> Array:
    reserved = [""] * FIRST
    reserved[UNKNOWN] = _NOBODY_KNOWS
    return np.array([*reserved, *tokens], object)


def _with_new_user(history: dict[str, Array]) -> dict[str, Array]:
    return {
        name: np.concatenate([values, np.full_like(values[:1], 0 if values.dtype == np.int64 else "")])
        for name, values in history.items()
    }


def _alone(history: dict[str, Array], at: int) -> dict[str, Array]:
    held = int((history["behavior"][at] != "").sum())
    return {name: values[at : at + 1, :held] for name, values in history.items()}


def _encoded(values: Array) -> Array:
    if values.dtype != object:
        return values
    encoded = [one if isinstance(one, bytes) else one.encode("utf-8") for one in values.ravel()]
    array = np.empty(len(encoded), object)
    array[:] = encoded
    return array.reshape(values.shape)


def _requests(space: FeatureSpace, history: dict[str, Array], name: str) -> dict[str, dict[str, Array]]:
    number = len(history["item_id"])
    short = {one: history[one] for one in ("item_id", "behavior")}
    k = {"k": np.full(number, _K, np.int32)}
    if name == "classifier":
        return {
            "serving_default": short | k,
            "next_class_full": history | k,
            "recommend": short | k,
            "classify": {"inputs": _examples(history)},
        }
    item = np.array(space.catalogue.item_ids[:5], object)
    target = {"target_behavior": np.resize(np.array(["", *space.behaviors.tokens], object), number)}
    category = np.array([""] * (number - 1) + [space.catalogue.categories[0]], object)
    question = target | {"exclude": np.tile(item[:2], (number, 1)), "category": category}
    return {
        "serving_default": short | k,
        "recommend": history | question | k,
        "search": short | {"query": np.full(number, " ".join(_plain_words(space)), object)} | k,
        "score": history | target | {"candidate": np.tile(item, (number, 1))},
        "explain": history | k,
        "embed_query": history | target,
        "look_up": history | target,
        "risk": history,
        "intent": history | _contacts(history) | k,
        "ads": history | {"candidate": np.tile(item, (number, 1))},
        "embed_candidate": {"item_id": item},
    }


def _contacts(history: dict[str, Array]) -> dict[str, Array]:
    # An hour after the newest event, with words from every second user; somebody without events comes right now.
    newest = history["timestamp"].max(axis=1, initial=0)
    words = np.resize(np.array(["where is my parcel", ""], object), len(newest))
    return {"contacted": np.where(newest > 0, newest + 3_600_000, 0), "words": words}


def _plain_words(space: FeatureSpace) -> list[str]:
    return [token for token in space.word_vocabulary.tokens if not token.startswith("#")][:2]


def _examples(history: dict[str, Array]) -> Array:
    serialized = np.empty(len(history["item_id"]), object)
    for row in range(len(serialized)):
        example = tf.train.Example()
        for name, values in history.items():
            feature = example.features.feature[name]
            if name == "timestamp":
                feature.int64_list.value.extend(values[row].tolist())
            else:
                feature.bytes_list.value.extend(text.encode("utf-8") for text in values[row])
        serialized[row] = example.SerializeToString()
    return serialized
