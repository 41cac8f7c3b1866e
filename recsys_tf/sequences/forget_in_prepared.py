"""Take users out of a prepared data set: their sequences go, all others keep every byte.

What was fitted with them (vocabularies, scalers, filters) cannot be unlearned; dataset.json says that it was.
"""

import hashlib
import json
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import tensorflow as tf

from recsys_tf.errors import InputError
from recsys_tf.sequences.shards import read_shard, write_shard

FITTED_WITH_FORGOTTEN: Final = "fitted_with_forgotten_users"


@dataclass(frozen=True)
class Traces:
    """What a prepared data set holds of some users: how many of them, and their events on each side."""

    users: int = 0
    training: int = 0
    validation: int = 0
    test: int = 0

    @property
    def events(self) -> int:
        """All events."""
        return self.training + self.validation + self.test

    @property
    def learned(self) -> bool:
        """Whether a model that is trained on this data learns from them, or is chosen by them."""
        return self.training + self.validation > 0

    def __add__(self, other: "Traces") -> "Traces":
        return Traces(
            self.users + other.users,
            self.training + other.training,
            self.validation + other.validation,
            self.test + other.test,
        )


def is_prepared(directory: Path) -> bool:
    """Tell whether the folder holds a prepared data set."""
    return (directory / "dataset.json").is_file()


def traces_in(directory: Path, users: Collection[str]) -> Traces:
    """Look the users up in all shards. Raises InputError for a data set that is damaged."""
    wanted = {user.encode("utf-8") for user in users}
    shards = [directory / name for name in _facts(directory)["shards"]]
    return sum((traces for path in shards for traces in _in_shard(path, wanted)), Traces())


def forget_in_prepared(directory: Path, users: Collection[str], target: Path) -> None:
    """Write to the empty folder `target` what changes without the users: their shards and dataset.json.

    Raises InputError when nobody else is left.
    """
    wanted = {user.encode("utf-8") for user in users}
    facts = _facts(directory)
    gone = Traces()
    for name in facts["shards"]:
        here = sum(_in_shard(directory / name, wanted), Traces())
        if here.users:
            left = (record for record in read_shard(directory / name) if _traces(record, wanted) is None)
            facts["sha256"][name] = write_shard(target / name, left)
            gone += here
    counts = facts["counts"]
    counts["users"] -= gone.users
    if counts["users"] < 1:
        raise InputError("nobody else is in this data set: delete the folder", file=directory)
    for side in ("training", "validation", "test"):
        counts[f"{side}_events"] -= getattr(gone, side)
    before = facts.get("forgotten", {"users": 0, "events": 0})
    facts["forgotten"] = {"users": before["users"] + gone.users, "events": before["events"] + gone.events}
    facts[FITTED_WITH_FORGOTTEN] = bool(facts.get(FITTED_WITH_FORGOTTEN)) or gone.training > 0
    text = json.dumps(facts, indent=2, ensure_ascii=False)
    (target / "dataset.json").write_text(text + "\n", encoding="utf-8")


def _in_shard(path: Path, wanted: set[bytes]) -> list[Traces]:
    found = (_traces(record, wanted) for record in read_shard(path))
    return [traces for traces in found if traces is not None]


def _traces(record: bytes, wanted: set[bytes]) -> Traces | None:
    # Few records hold the text at all, and only those are worth parsing.
    if not any(user in record for user in wanted):
        return None
    feature = tf.train.Example.FromString(record).features.feature
    if feature["user"].bytes_list.value[0] not in wanted:
        return None
    training, validation = (int(feature[f"{side}_end"].int64_list.value[0]) for side in ("training", "validation"))
    return Traces(1, training, validation - training, len(feature["row"].int64_list.value) - validation)


def _facts(directory: Path) -> dict[str, Any]:
    path = directory / "dataset.json"
    try:
        facts: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        hashes = {directory / name: facts["sha256"][name] for name in facts["shards"]}
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"this is not what was written here ({error!r})", file=path) from error
    for shard, expected in hashes.items():
        if not shard.is_file():
            raise InputError("this shard is missing; prepare the data again", file=shard)
        # TensorFlow reads a shard that was cut off as a shorter one, without a word.
        if hashlib.sha256(shard.read_bytes()).hexdigest() != expected:
            raise InputError("this shard is not as it was written; prepare the data again", file=shard)
    return facts
