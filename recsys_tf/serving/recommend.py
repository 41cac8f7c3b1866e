"""Ask an exported model on the command line, here or on a server: the same SavedModel, the same signatures."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from recsys_tf.errors import InputError
from recsys_tf.events.schema import BEHAVIORS
from recsys_tf.serving.client import PredictClient
from recsys_tf.serving.export import newest_version

# From the name of a signature and its inputs to its outputs, nested lists by name.
Ask = Callable[[str, dict[str, Any]], dict[str, Any]]


@dataclass(frozen=True)
class Answer:
    """What a model answers to one history, best first: classes with their probability (the classifier), items with id,
    title and score."""

    classes: list[tuple[str, float]]
    items: list[tuple[str, str, float]]


def recommend(folder: Path, items: list[str], behaviors: list[str], k: int, server: str = "") -> Answer:
    """Answer for one history, oldest event first; an empty one is a new user.

    behaviors: one per item, or none at all for views. server: a REST address that serves the model under its folder's
    name; without one the newest version in the folder answers here. Raises InputError for behaviours that do not fit.
    """
    if behaviors and len(behaviors) != len(items):
        raise InputError(f"{len(items)} items and {len(behaviors)} behaviours: give one behaviour per item, or none")
    for behavior in behaviors:
        if behavior not in BEHAVIORS:
            raise InputError(f"unknown behaviour {behavior!r}; known are {', '.join(BEHAVIORS)}")
    # Padding, where there is no event: an empty list has no type.
    views = ["view"] * len(items) or [""]
    history = {"item_id": [items or [""]], "behavior": [behaviors or views]}
    ask = _server(server, folder.name) if server else _alone(folder)
    return _answered(ask, history | {"k": [k]})


def _server(url: str, model: str) -> Ask:
    client = PredictClient(url)
    return lambda signature, inputs: client.predict(model, inputs, signature_name=signature)


def _alone(folder: Path) -> Ask:
    import tensorflow as tf

    signatures = tf.saved_model.load(str(newest_version(folder))).signatures

    def ask(signature: str, inputs: dict[str, Any]) -> dict[str, Any]:
        tensors = {name: tf.constant(value, tf.int32 if name == "k" else tf.string) for name, value in inputs.items()}
        return {name: _plain(value.numpy().tolist()) for name, value in signatures[signature](**tensors).items()}

    return ask


def _answered(ask: Ask, request: dict[str, Any]) -> Answer:
    answer = ask("serving_default", request)
    if "item_id" in answer:
        return Answer([], _items(answer))
    classes = list(zip(answer["label"][0], answer["probability"][0], strict=True))
    return Answer(classes, _items(ask("recommend", request)))


def _items(answer: dict[str, Any]) -> list[tuple[str, str, float]]:
    return list(zip(answer["item_id"][0], answer["title"][0], answer["score"][0], strict=True))


def _plain(value: Any) -> Any:
    if isinstance(value, list):
        return [_plain(one) for one in value]
    return value.decode("utf-8") if isinstance(value, bytes) else value
