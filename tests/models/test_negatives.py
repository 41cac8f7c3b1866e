"""Which items are drawn, which positions are asked, what a user has, and what other replicas bring."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from recsys_tf.models.negatives import across_replicas, draw_items, draw_positions, owns
from recsys_tf.sequences.dataset import PreparedData

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("scale", [1.0, 40.0])
def test_items_are_drawn_by_their_shares(scale: float) -> None:
    tf.random.set_seed(2)
    shares = np.array([5.0, 0.0, 1.0, 2.0, 8.0, 4.0], np.float32) / 20
    number = 40_000
    drawn = draw_items(tf.constant(shares * scale, tf.float32), number).numpy()
    assert drawn.dtype == np.int32
    assert drawn.shape == (number,)
    assert 0 <= drawn.min() <= drawn.max() < len(shares)
    counts = np.bincount(drawn, minlength=len(shares))
    assert counts[1] == 0
    expected = number * shares[shares > 0]
    # Four degrees of freedom: a chi-square above 30 has a chance of five in a million.
    assert ((counts[shares > 0] - expected) ** 2 / expected).sum() < 30


def test_one_item_is_all_there_is_to_draw() -> None:
    assert draw_items(tf.constant([0.3]), 50).numpy().tolist() == [0] * 50


def test_positions_are_answerable_and_distinct_and_all_when_there_are_few() -> None:
    tf.random.set_seed(3)
    answerable = np.random.default_rng(0).random((40, 9)) < 0.5
    answerable[0], answerable[1] = False, True
    at, chosen = (one.numpy() for one in draw_positions(tf.constant(answerable), 4))
    assert at.shape == chosen.shape == (40, 4)
    for row in range(40):
        positions = at[row][chosen[row]].tolist()
        assert len(positions) == len(set(positions)) == min(4, answerable[row].sum())
        assert answerable[row, positions].all()


def test_a_short_sequence_has_no_more_columns_than_positions() -> None:
    at, chosen = draw_positions(tf.constant([[True, False, True]]), 8)
    assert at.shape == chosen.shape == (1, 3)
    assert sorted(at.numpy()[chosen.numpy()].tolist()) == [0, 2]


def test_every_answerable_position_is_as_likely() -> None:
    tf.random.set_seed(4)
    rows = 4000
    at, chosen = draw_positions(tf.tile([[True, False, True, True, True]], [rows, 1]), 2)
    counts = np.bincount(at.numpy()[chosen.numpy()], minlength=5)
    # Each of four is among the two with probability one half: a deviation of 32, and five of them.
    assert counts[[0, 2, 3, 4]] == pytest.approx(np.full(4, rows / 2), abs=160)
    assert counts[1] == 0


def test_what_a_user_has() -> None:
    random = np.random.default_rng(1)
    items, candidates = random.integers(-2, 12, (6, 5)), random.integers(0, 12, 30)
    expected = [[candidate in set(row.tolist()) for candidate in candidates] for row in items]
    got = owns(tf.constant(items, tf.int32), tf.constant(candidates, tf.int32)).numpy()
    assert got.tolist() == expected
    assert 0 < got.sum() < got.size
    assert not owns(tf.zeros([3, 0], tf.int32), tf.constant([1, 2])).numpy().any()


def test_one_replica_keeps_its_values() -> None:
    assert across_replicas(tf.constant([3, 1])).numpy().tolist() == [3, 1]


@pytest.fixture(scope="module")
def two_replicas(prepared: PreparedData) -> dict[str, Any]:
    """What a process with two processors found."""
    command = [sys.executable, str(ROOT / "tests" / "models" / "two_replicas.py"), str(prepared.directory)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "TF_USE_LEGACY_KERAS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    line = next(line for line in done.stdout.splitlines() if line.startswith("ANSWERS "))
    answers: dict[str, Any] = json.loads(line.removeprefix("ANSWERS "))
    return answers


def test_a_replica_puts_its_own_values_first(two_replicas: dict[str, Any]) -> None:
    (numbers, flags, vectors), (other_numbers, other_flags, other_vectors) = two_replicas["joined"]
    assert numbers == [0, 1, 10, 11]
    assert other_numbers == [10, 11, 0, 1]
    assert flags == [False, False, True, True]
    assert other_flags == [True, True, False, False]
    assert vectors == [[float(number)] * 3 for number in numbers]
    assert other_vectors == [[float(number)] * 3 for number in other_numbers]


def test_two_replicas_train_as_one_would(two_replicas: dict[str, Any]) -> None:
    step = two_replicas["step"]
    assert sum(step["losses"]) == pytest.approx(step["whole"], rel=1e-4)
    assert step["gradient_error"] < 1e-3 * step["gradient"]


def test_a_replica_sees_the_negatives_of_the_other(two_replicas: dict[str, Any]) -> None:
    step = two_replicas["step"]
    # Twice the candidates: before training the loss is about the logarithm of their number.
    assert 2 * step["losses"][0] - step["first_half_alone"] == pytest.approx(np.log(2), abs=0.15)


def test_every_replica_counts_the_items_of_all(two_replicas: dict[str, Any]) -> None:
    step = two_replicas["step"]
    assert step["frequencies_alike"]
    assert step["sighted"] == step["items"]
