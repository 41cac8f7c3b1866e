"""Batches for the two-tower model: every training event is asked for once, from the history before it and no more."""

from collections import Counter
from typing import Any

import numpy as np
import pytest

from recsys_tf.sequences.dataset import PreparedData, Windowing, read_questions, read_users, retrieval_batches
from recsys_tf.sequences.vocabularies import FIRST, START

WINDOWING = Windowing("training", "all", "next_item", 1)
SIDES = ("validation", "test")


def batches(data: PreparedData, seed: int | None = 1, size: int = 32, static: bool = False) -> list[dict[str, Any]]:
    return list(retrieval_batches(data, WINDOWING, size, seed, static).as_numpy_iterator())


def training_items(data: PreparedData) -> Counter[tuple[int, int]]:
    """Each item event of the training side as (label, behaviour), counted."""
    counted: Counter[tuple[int, int]] = Counter()
    for users in read_users(data).as_numpy_iterator():
        ends = np.cumsum(users["length"])
        for first, number in zip(ends - users["length"], users["training_end"], strict=True):
            rows, behaviors = (users[name][first : first + number] for name in ("row", "behavior"))
            known = rows >= FIRST
            labels = data.space.catalogue.item[rows[known]] - FIRST
            counted.update(zip(labels.tolist(), behaviors[known].tolist(), strict=True))
    return counted


def test_every_item_event_of_training_is_asked_for_once(prepared: PreparedData) -> None:
    asked: Counter[tuple[int, int]] = Counter()
    for batch in batches(prepared):
        answered = batch["label"] >= 0
        pairs = zip(batch["label"][answered].tolist(), batch["label_behavior"][answered].tolist(), strict=True)
        asked.update(pairs)
    assert asked == training_items(prepared)
    assert asked.total() == prepared.facts["counts"]["training_events"] - searches(prepared)


def searches(data: PreparedData) -> int:
    number = 0
    for users in read_users(data).as_numpy_iterator():
        length = users["length"]
        within = np.arange(length.sum()) - np.repeat(np.cumsum(length) - length, length)
        number += int(((within < np.repeat(users["training_end"], length)) & (users["row"] < FIRST)).sum())
    assert number
    return number


def test_the_label_of_a_position_is_the_event_after_it(prepared: PreparedData) -> None:
    for batch in batches(prepared):
        following, label = batch["row"][:, 1:], batch["label"][:, :-1]
        answered = label >= 0
        inside = np.arange(1, batch["row"].shape[1]) < batch["held"][:, None]
        # The last label of a window lies behind what it shows; all others are the next event.
        assert (prepared.space.catalogue.item[following][answered & inside] - FIRST == label[answered & inside]).all()
        behavior = batch["label_behavior"][:, :-1]
        assert (batch["behavior"][:, 1:][answered & inside] == behavior[answered & inside]).all()
        beyond = np.arange(batch["row"].shape[1]) >= batch["held"][:, None]
        assert (batch["label"][beyond] < 0).all()
        assert (batch["label_behavior"][beyond] == -1).all()


def test_sequences_begin_with_the_start_token_and_end_in_padding(prepared: PreparedData) -> None:
    for batch in batches(prepared):
        assert batch["row"].dtype == batch["label"].dtype == batch["held"].dtype == np.int32
        assert (batch["row"][:, 0] == START).all()
        held = np.arange(batch["row"].shape[1]) < batch["held"][:, None]
        assert ((batch["behavior"] > 0) == held).all()
        assert not batch["row"][~held].any()
        assert batch["row"].shape[1] == batch["held"].max() <= 1 + prepared.space.max_length


def test_features_are_those_of_serving(prepared: PreparedData) -> None:
    batch = batches(prepared)[0]
    names = {"item", "category", "behavior", "device", "price", "gap", "hour", "weekday", "words"}
    assert set(batch) == names | {"row", "label", "label_behavior", "held"}
    assert (batch["item"] == prepared.space.catalogue.item[batch["row"]]).all()
    assert (batch["category"] == prepared.space.catalogue.category[batch["row"]]).all()


def test_static_shapes_are_all_alike_and_full(prepared: PreparedData) -> None:
    found = batches(prepared, static=True)
    assert len(found) > 1
    shapes = {tuple(sorted((name, value.shape) for name, value in batch.items())) for batch in found}
    assert len(shapes) == 1
    assert found[0]["row"].shape == (32, 1 + prepared.space.max_length)
    assert found[0]["words"].shape == (32, 1 + prepared.space.max_length, prepared.space.words)


def text(found: list[dict[str, Any]]) -> list[bytes]:
    return [b"".join(batch[name].tobytes() for name in sorted(batch)) for batch in found]


def test_the_seed_decides_the_order(prepared: PreparedData) -> None:
    first = text(batches(prepared, seed=1))
    assert text(batches(prepared, seed=1)) == first
    assert text(batches(prepared, seed=2)) != first
    assert text(batches(prepared, seed=None)) == text(batches(prepared, seed=None))
    # Each epoch has an order of its own.
    dataset = retrieval_batches(prepared, WINDOWING, 32, 1)
    assert text(list(dataset.as_numpy_iterator())) != text(list(dataset.as_numpy_iterator()))


@pytest.mark.parametrize("side", SIDES)
def test_a_question_is_an_event_with_the_history_before_it(prepared: PreparedData, side: Any) -> None:
    users = {}
    for batch in read_users(prepared).as_numpy_iterator():
        ends = np.cumsum(batch["length"])
        for at, user in enumerate(batch["user"]):
            own = slice(ends[at] - batch["length"][at], ends[at])
            users[user] = {name: batch[name][own] for name in ("row", "behavior", "timestamp")} | {
                name: batch[name][at] for name in ("training_end", "validation_end", "length")
            }
    asked: Counter[bytes] = Counter()
    for questions in read_questions(prepared, side, "next_item", 1).as_numpy_iterator():
        for at, user in enumerate(questions["user"]):
            own, held = users[user], questions["held"][at]
            place = questions["before"][at] + held - 1
            asked[user] += 1
            bounds = (own["training_end"], own["validation_end"], own["length"])
            first, end = bounds[SIDES.index(side) : SIDES.index(side) + 2]
            assert first <= place < end
            assert own["row"][place] == questions["target_row"][at]
            assert own["behavior"][place] == questions["target_behavior"][at]
            history = slice(max(place - prepared.space.max_length, 0), place)
            for name in ("row", "behavior", "timestamp"):
                assert questions[name][at, 1:held].tolist() == own[name][history].tolist()
            assert not questions["behavior"][at, held:].any()
            # Nothing of the same moment or later is in the history.
            assert (questions["timestamp"][at, 1:held] < questions["target_timestamp"][at]).all()
    expected = Counter(
        {
            user: int(
                sum(
                    own["row"][at] >= FIRST and (at == 0 or own["timestamp"][at] > own["timestamp"][at - 1])
                    for at in range(
                        *((own["training_end"], own["validation_end"], own["length"])[SIDES.index(side) :][:2])
                    )
                )
            )
            for user, own in users.items()
        }
    )
    assert +asked == +expected


def test_features_of_a_window_do_not_depend_on_its_padding(prepared: PreparedData) -> None:
    short, long = batches(prepared, seed=None, size=16), batches(prepared, seed=None, size=100_000)
    (together,) = long
    seen = 0
    for batch in short:
        rows = slice(seen, seen + len(batch["held"]))
        seen = rows.stop
        for name, value in batch.items():
            whole = together[name][rows]
            if name == "words":
                whole = whole[:, : value.shape[1], : value.shape[2]]
            elif name != "held":
                whole = whole[:, : value.shape[1]]
            assert (value == whole).all(), name
    assert seen == len(together["held"])
