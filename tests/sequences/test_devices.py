"""What a device means for a sequence, on a log of one user with two devices."""

import dataclasses
from pathlib import Path

import pandas as pd
import pytest

from recsys_tf.config import FeatureConfig, FilterConfig, SplitConfig
from recsys_tf.events.cleaning import CleanLog
from recsys_tf.sequences.dataset import open_prepared
from recsys_tf.sequences.devices import by_device
from recsys_tf.sequences.prepare import PrepareSettings, prepare


def events() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "user_id": ["a", "a", "a", "b"],
            "position": [0, 1, 2, 0],
            "device": ["app", "web", "app", ""],
            "row": range(4),
        }
    )


def test_joined_is_the_log_as_it_is() -> None:
    pd.testing.assert_frame_equal(by_device(events(), "joined"), events())


def test_hidden_keeps_sequences_and_forgets_devices() -> None:
    found = by_device(events(), "hidden")
    assert found["user_id"].tolist() == ["a", "a", "a", "b"]
    assert found["device"].tolist() == [""] * 4


def test_apart_makes_a_user_of_each_device_in_the_order_of_time() -> None:
    found = by_device(events(), "apart")
    assert found["user_id"].tolist() == ["a@app", "a@app", "a@web", "b@"]
    assert found["row"].tolist() == [0, 2, 1, 3]


@pytest.mark.parametrize("devices", ["hidden", "apart"])
def test_every_event_is_prepared_whatever_devices_mean(clean_log: CleanLog, tmp_path: Path, devices: str) -> None:
    settings = PrepareSettings(SplitConfig(), FilterConfig(drop_bots=False), FeatureConfig(max_length=12, words=4))
    joined = prepare(clean_log.events, clean_log.items, settings, tmp_path / "joined")
    features = dataclasses.replace(settings.features, devices=devices)
    other = prepare(clean_log.events, clean_log.items, dataclasses.replace(settings, features=features), tmp_path / "x")
    for side in ("training_events", "validation_events", "test_events"):
        assert other["counts"][side] == joined["counts"][side]
    assert joined["counts"]["devices"] == 3
    if devices == "hidden":
        assert other["counts"]["devices"] == 0
        assert other["counts"]["users"] == joined["counts"]["users"]
    else:
        assert other["counts"]["users"] > joined["counts"]["users"]


def test_titles_and_vectors_can_be_left_out(clean_log: CleanLog, tmp_path: Path) -> None:
    items = clean_log.items.assign(vector=[[1.0, 2.0]] * len(clean_log.items))
    for name, titles, vectors in (("both", True, True), ("none", False, False)):
        features = FeatureConfig(max_length=12, words=4, titles=titles, vectors=vectors)
        prepare(clean_log.events, items, PrepareSettings(SplitConfig(), FilterConfig(), features), tmp_path / name)
    both, none = (open_prepared(tmp_path / name).space for name in ("both", "none"))
    assert both.catalogue.title_words.any()
    assert both.catalogue.vectors.shape[1] == 2
    assert not none.catalogue.title_words.any()
    assert none.catalogue.vectors.shape[1] == 0
    # What people searched for is still read, and what a client is shown still has its title.
    assert 0 < len(none.word_vocabulary.tokens) < len(both.word_vocabulary.tokens)
    assert none.catalogue.titles == both.catalogue.titles
