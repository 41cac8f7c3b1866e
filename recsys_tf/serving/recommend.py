"""Ask the newest exported model on the command line: the same SavedModel, the same signatures as over REST."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tensorflow as tf

from recsys_tf.errors import InputError
from recsys_tf.events.schema import BEHAVIORS
from recsys_tf.serving.export import newest_version


@dataclass(frozen=True)
class Answer:
    """What a model answers to one history, best first: classes with their probability (the classifier), items with id,
    title and score."""

    classes: list[tuple[str, float]]
    items: list[tuple[str, str, float]]


def recommend(folder: Path, items: list[str], behaviors: list[str], k: int) -> Answer:
    """Answer for one history, oldest event first; an empty one is a new user.

    behaviors: one per item, or none at all for views. Raises InputError for behaviours that do not fit.
    """
    if behaviors and len(behaviors) != len(items):
        raise InputError(f"{len(items)} items and {len(behaviors)} behaviours: give one behaviour per item, or none")
    for behavior in behaviors:
        if behavior not in BEHAVIORS:
            raise InputError(f"unknown behaviour {behavior!r}; known are {', '.join(BEHAVIORS)}")
    loaded = tf.saved_model.load(str(newest_version(folder)))
    history: dict[str, Any] = {
        "item_id": tf.reshape(tf.constant(items, tf.string), [1, len(items)]),
        "behavior": tf.reshape(tf.constant(behaviors or ["view"] * len(items), tf.string), [1, len(items)]),
        "k": tf.constant([k], tf.int32),
    }
    answers = loaded.signatures["serving_default"](**history)
    if "item_id" in answers:
        return Answer([], _items(answers))
    classes = list(zip(_text(answers["label"]), answers["probability"][0].numpy().tolist(), strict=True))
    return Answer(classes, _items(loaded.signatures["recommend"](**history)))


def _items(answers: dict[str, Any]) -> list[tuple[str, str, float]]:
    scores = answers["score"][0].numpy().tolist()
    return list(zip(_text(answers["item_id"]), _text(answers["title"]), scores, strict=True))


def _text(values: Any) -> list[str]:
    return [value.decode("utf-8") for value in values[0].numpy()]
