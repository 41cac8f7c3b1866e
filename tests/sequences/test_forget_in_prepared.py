"""A forgotten user's sequence goes, and every other one keeps its bytes."""

import hashlib
import json
import shutil
from pathlib import Path

import pytest

from recsys_tf.errors import InputError
from recsys_tf.publishing import rewritten_directory
from recsys_tf.sequences.dataset import PreparedData, open_prepared, read_users
from recsys_tf.sequences.forget_in_prepared import FITTED_WITH_FORGOTTEN, Traces, forget_in_prepared, traces_in
from recsys_tf.sequences.shards import read_shard


def users_of(directory: Path) -> list[str]:
    batches = read_users(open_prepared(directory)).as_numpy_iterator()
    return [user.decode() for batch in batches for user in batch["user"]]


def records_of(directory: Path) -> dict[str, list[bytes]]:
    return {name: list(read_shard(directory / name)) for name in open_prepared(directory).facts["shards"]}


@pytest.fixture
def copy(prepared: PreparedData, tmp_path: Path) -> Path:
    return Path(shutil.copytree(prepared.directory, tmp_path / "data"))


def forget(directory: Path, *users: str) -> None:
    with rewritten_directory(directory, ".again-") as target:
        forget_in_prepared(directory, users, target)


def test_the_other_users_sequences_are_the_same_bytes(copy: Path, prepared: PreparedData) -> None:
    user = users_of(copy)[3]
    before, traces = records_of(copy), traces_in(copy, [user])
    files = {path.name: path.read_bytes() for path in copy.iterdir()}
    assert traces.users == 1
    assert traces.events > 0
    forget(copy, user)
    after = records_of(copy)
    assert {name: [one for one in records if user.encode() not in one] for name, records in before.items()} == after
    assert sum(map(len, before.values())) == sum(map(len, after.values())) + 1
    assert traces_in(copy, [user]) == Traces()
    # Only the one shard and the record of the data set have changed.
    changed = {path.name for path in copy.iterdir() if path.read_bytes() != files[path.name]}
    assert len(changed) == 2
    assert "dataset.json" in changed
    facts = open_prepared(copy).facts
    for name in facts["shards"]:
        assert facts["sha256"][name] == hashlib.sha256((copy / name).read_bytes()).hexdigest()
    assert facts["forgotten"] == {"users": 1, "events": traces.events}
    assert facts[FITTED_WITH_FORGOTTEN] == (traces.training > 0)
    assert user not in (copy / "dataset.json").read_text(encoding="utf-8")
    counts = {**prepared.facts["counts"]}
    for side in ("training", "validation", "test"):
        counts[f"{side}_events"] -= getattr(traces, side)
    assert facts["counts"] == {**counts, "users": counts["users"] - 1}


def test_the_sides_are_counted_as_they_were_split(copy: Path, prepared: PreparedData) -> None:
    users = users_of(copy)
    everyone = traces_in(copy, users)
    counts = prepared.facts["counts"]
    assert everyone == Traces(
        counts["users"], *(counts[f"{side}_events"] for side in ("training", "validation", "test"))
    )
    ends = {
        user.decode(): int(end)
        for batch in read_users(prepared).as_numpy_iterator()
        for user, end in zip(batch["user"], batch["training_end"], strict=True)
    }
    newcomers = [user for user, end in ends.items() if end == 0]
    forget(copy, newcomers[0])
    assert open_prepared(copy).facts[FITTED_WITH_FORGOTTEN] is False
    old = next(user for user, end in ends.items() if end > 0)
    forget(copy, old)
    forget(copy, newcomers[1])
    facts = open_prepared(copy).facts
    assert facts[FITTED_WITH_FORGOTTEN] is True
    assert facts["forgotten"]["users"] == 3


def test_part_of_a_name_is_nobody(copy: Path) -> None:
    assert traces_in(copy, [users_of(copy)[0][:-1], users_of(copy)[0] + "0"]) == Traces()


def test_the_last_user_and_damaged_data_are_refused(copy: Path) -> None:
    with pytest.raises(InputError, match="nobody else"):
        forget(copy, *users_of(copy))
    facts = json.loads((copy / "dataset.json").read_text(encoding="utf-8"))
    shard = copy / facts["shards"][0]
    shard.write_bytes(shard.read_bytes()[:50])
    with pytest.raises(InputError, match="not as it was written"):
        traces_in(copy, ["somebody"])
    shard.unlink()
    with pytest.raises(InputError, match="this shard is missing"):
        traces_in(copy, ["somebody"])
