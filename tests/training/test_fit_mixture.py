"""Counting what followed what, and searching the weights of the mixture."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from short_logs import prepare_log

from recsys_tf.models.mixture import Counts, Followers, fingerprint
from recsys_tf.sequences.dataset import PreparedData, read_users
from recsys_tf.sequences.vocabularies import FIRST
from recsys_tf.training.fit_mixture import count, load_mixture, save_mixture, search_weights


def test_transitions_are_counted_in_training_events_only(tmp_path: Path) -> None:
    # Training: x y (search) x z and x y. The rest is validation and test.
    data = prepare_log({"a": ["x", "y", "?", "x", "z", "y", "w"], "b": ["x", "y", "w", "z"]}, tmp_path / "data")
    transitions = count(data).transitions
    row = {item: FIRST + at for at, item in enumerate(data.space.catalogue.item_ids)}
    found = {
        item: {
            data.space.catalogue.item_ids[follower]: float(share)
            for follower, share in zip(transitions.items[at], transitions.shares[at], strict=True)
            if follower >= 0
        }
        for item, at in row.items()
    }
    # x: y twice right after it, z once right after it and once three later, itself two later; 3 more in the total.
    assert found["x"] == pytest.approx({"y": 2 / 6.75, "z": 1.25 / 6.75, "x": 0.5 / 6.75})
    assert found["y"] == pytest.approx({"x": 1 / 4.5, "z": 0.5 / 4.5})
    assert found["z"] == found["w"] == {}
    # The most frequent come first.
    assert (np.diff(transitions.shares, axis=1) <= 0).all()
    assert (transitions.items[:FIRST] == -1).all()
    assert transitions.items.shape == transitions.shares.shape == (4 + FIRST, 3)


def test_what_follows_what_needs_the_users_that_the_data_asks_for(tmp_path: Path) -> None:
    # Training: x y, x y and x z x z; only "y after x" is of two users, however often z came after x.
    users = {"a": ["x", "y", "w", "w"], "b": ["x", "y", "w", "w"], "c": ["x", "z", "x", "z", "w", "w"]}
    everything = count(prepare_log(users, tmp_path / "all")).transitions
    data = prepare_log(users, tmp_path / "crowd", min_users=2)
    items = list(data.space.catalogue.item_ids)
    row = {item: FIRST + at for at, item in enumerate(items)}
    kept = count(data).transitions
    assert kept.items[row["x"]].tolist() == [items.index("y")]
    assert (kept.items[[row["y"], row["z"], row["w"]]] == -1).all()
    assert items.index("z") in everything.items[row["x"]]
    assert items.index("x") in everything.items[row["z"]]


def test_what_followed_a_search_needs_them_too(tmp_path: Path) -> None:
    # Training: "?" then x of two users, "?" then y of one.
    users = {"a": ["?", "x", "w", "w"], "b": ["?", "x", "w", "w"], "c": ["?", "y", "?", "y", "w", "w"]}
    data = prepare_log(users, tmp_path / "crowd", min_users=2)
    items = list(data.space.catalogue.item_ids)
    assert count(data).searches.items.tolist() == [[items.index("x")]]
    assert sorted(count(prepare_log(users, tmp_path / "all")).searches.items[0].tolist()) == sorted(
        [items.index("x"), items.index("y")]
    )


def test_transitions_do_not_go_from_one_user_to_the_next(prepared: PreparedData) -> None:
    transitions = count(prepared).transitions
    known = np.flatnonzero(prepared.space.catalogue.item < FIRST)
    assert (transitions.items[known] == -1).all()
    assert not transitions.shares[known].any()
    assert (transitions.shares.sum(axis=1) < 1).all()
    unseen = set((np.flatnonzero(prepared.space.catalogue.item[FIRST:] < FIRST)).tolist())
    assert unseen
    assert not unseen & set(transitions.items.ravel().tolist())


def test_the_search_finds_the_weights_that_rank_best() -> None:
    best = np.array([1.0, 0.1, 0.0, 0.35, 0.2, 0.6])
    asked = []

    def quality(weights: Any) -> float:
        assert weights.sum() == pytest.approx(1.0)
        asked.append(weights)
        return -float(((weights / weights[0] - best) ** 2).sum())

    assert search_weights(quality) == pytest.approx(best / best.sum())
    assert len(asked) < 120


def test_without_a_gain_the_towers_speak_alone() -> None:
    assert search_weights(lambda _: 0.25).tolist() == [1.0, 0.0, 0.0, 0.0, 0.0, 0.0]
    assert search_weights(lambda weights: float(weights[0])).tolist() == [1.0, 0.0, 0.0, 0.0, 0.0, 0.0]


def test_only_voices_that_may_speak_are_tried() -> None:
    found = search_weights(lambda weights: float(weights[1] + weights[4]), ("towers", "searched"))
    assert found[1] == 0
    assert found[4] > 0


def test_searches_are_counted_by_their_words(prepared: PreparedData) -> None:
    counts = count(prepared)
    expected: dict[bytes, dict[int, int]] = {}
    for batch in read_users(prepared).as_numpy_iterator():
        first = np.cumsum(batch["length"]) - batch["length"]
        for at, end in zip(first, batch["training_end"], strict=True):
            for event in range(at, at + end - 1):
                if batch["words"][event].any() and batch["row"][event + 1] >= FIRST:
                    followers = expected.setdefault(batch["words"][event].tobytes(), {})
                    item = int(batch["row"][event + 1]) - FIRST
                    followers[item] = followers.get(item, 0) + 1
    assert len(expected) == len(counts.search_keys) > 10
    assert (np.diff(counts.search_keys) > 0).all()
    for words, followers in expected.items():
        at = int(np.searchsorted(counts.search_keys, fingerprint(np.frombuffer(words, np.int64)).numpy()))
        items, shares = counts.searches.items[at], counts.searches.shares[at]
        total = sum(followers.values()) + 0.5
        found = {int(item): float(share) for item, share in zip(items, shares, strict=True) if item >= 0}
        assert found == pytest.approx({item: number / total for item, number in followers.items()})


def test_a_mixture_survives_the_file(tmp_path: Path) -> None:
    transitions = Followers(np.array([[-1, -1], [4, 2]], np.int32), np.array([[0, 0], [0.5, 0.25]], np.float32))
    searches = Followers(np.array([[3]], np.int32), np.array([[0.5]], np.float32))
    counts = Counts(transitions, searches, np.array([-7]))
    save_mixture(tmp_path / "mixture.npz", np.array([0.5, 0.25, 0.125, 0.0, 0.125]), counts)
    weights, loaded = load_mixture(tmp_path / "mixture.npz")
    assert weights.tolist() == [0.5, 0.25, 0.125, 0.0, 0.125, 0.0]
    assert loaded.search_keys.tolist() == [-7]
    for got, kept in ((loaded.transitions, transitions), (loaded.searches, searches)):
        assert got.items.tolist() == kept.items.tolist()
        assert got.shares.tolist() == kept.shares.tolist()
