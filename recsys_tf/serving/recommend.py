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
    """What the model answers to one history: likely classes and similar items, best first."""

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
    classes = loaded.signatures["serving_default"](**history)
    similar = loaded.signatures["recommend"](**history)
    return Answer(
        list(zip(_text(classes["label"]), classes["probability"][0].numpy().tolist(), strict=True)),
        list(
            zip(_text(similar["item_id"]), _text(similar["title"]), similar["score"][0].numpy().tolist(), strict=True)
        ),
    )


def _text(values: Any) -> list[str]:
    return [value.decode("utf-8") for value in values[0].numpy()]
