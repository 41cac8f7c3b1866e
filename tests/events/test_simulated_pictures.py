"""Pictures show what they should: items of one category and style look alike, and the log stays as it was."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from recsys_tf.config import CleaningConfig, SimulateConfig
from recsys_tf.errors import InputError
from recsys_tf.events.importers import import_log
from recsys_tf.events.simulator import simulate, write_simulation

CONFIG = SimulateConfig(users=20, items=200, days=5, seed=3, categories=10, picture_size=12)


def test_pictures_leave_everything_else_as_it_was() -> None:
    plain, seen = simulate(dataclasses.replace(CONFIG, picture_size=0)), simulate(CONFIG)
    assert "vector" not in plain.items
    assert seen.items.drop(columns="vector").equals(plain.items)
    assert seen.lines.tolist() == plain.lines.tolist()


def test_what_is_alike_looks_alike(tmp_path: Path) -> None:
    simulation = simulate(CONFIG)
    write_simulation(simulation, tmp_path)
    files = [tmp_path / "user_behavior_data.csv", tmp_path / "items.csv"]
    clean = import_log("generic", files, columns={}, behaviors={}, config=CleaningConfig())
    vectors = np.stack(clean.items["vector"].to_list())
    assert vectors.shape == (len(clean.items), 12)
    facts = simulation.shop["items"]
    kind = dict(zip(facts["item_id"], zip(facts["category"], facts["style"], strict=True), strict=True))
    kinds = [kind[item] for item in clean.items["item_id"]]
    distance = np.linalg.norm(vectors[:, None] - vectors[None, :], axis=2)
    same = np.array([[one == other for other in kinds] for one in kinds])
    np.fill_diagonal(distance, np.nan)
    assert np.nanmean(distance[same]) < 0.6 * np.nanmean(distance[~same])


def test_a_picture_cannot_have_less_than_no_numbers() -> None:
    with pytest.raises(InputError, match="--picture-size"):
        simulate(dataclasses.replace(CONFIG, picture_size=-1))
