"""A prepared data set repeats to the byte, holds no future in anything fitted, and gives the log back."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

from recsys_tf.config import FeatureConfig, FilterConfig, SplitConfig
from recsys_tf.errors import InputError
from recsys_tf.events.cleaning import CleanLog
from recsys_tf.sequences.catalogue import Catalogue
from recsys_tf.sequences.dataset import PreparedData, Windowing, open_prepared, read_users, training_batches
from recsys_tf.sequences.feature_space import FeatureSpace
from recsys_tf.sequences.features import EventIds
from recsys_tf.sequences.prepare import PrepareSettings, prepare
from recsys_tf.sequences.splits import TRAINING, split_events
from recsys_tf.sequences.vocabularies import FIRST, UNKNOWN

SETTINGS = PrepareSettings(SplitConfig(), FilterConfig(), FeatureConfig(max_length=12, words=4, shards=2))


def test_the_same_log_gives_the_same_bytes(clean_log: CleanLog, prepared: PreparedData, tmp_path: Path) -> None:
    prepare(clean_log.events, clean_log.items, SETTINGS, tmp_path / "again")
    files = sorted(path.name for path in prepared.directory.iterdir())
    assert sum(name.endswith(".tfrecord.gz") for name in files) == 2
    assert files == sorted(path.name for path in (tmp_path / "again").iterdir())
    for name in files:
        assert (prepared.directory / name).read_bytes() == (tmp_path / "again" / name).read_bytes(), name


def test_nothing_fitted_depends_on_the_future(clean_log: CleanLog, prepared: PreparedData, tmp_path: Path) -> None:
    """Turn the future upside down: whatever is fitted stays as it is."""
    side = split_events(clean_log.events, SETTINGS.split).side
    events = clean_log.events.copy()
    later = side != TRAINING
    shuffled = np.random.default_rng(0).permutation(events.loc[later, "item_id"].to_numpy())
    events.loc[later, "item_id"] = np.where(events.loc[later, "behavior"] == "search", "", shuffled)
    events.loc[later & (events["behavior"] == "search"), "query"] = "words from the future"
    events.loc[later & (events["behavior"] != "search") & (events["item_id"] == ""), "item_id"] = "i00001"
    events.loc[later, "device"] = "a device from the future"
    prepare(events, clean_log.items, SETTINGS, tmp_path / "other")
    for name in ("items.txt", "categories.txt", "words.txt", "devices.txt", "scalers.json", "catalogue.parquet"):
        assert (prepared.directory / name).read_bytes() == (tmp_path / "other" / name).read_bytes(), name


def test_the_shards_hold_the_log(clean_log: CleanLog, prepared: PreparedData) -> None:
    kept = []
    for batch in read_users(prepared).as_numpy_iterator():
        users = np.repeat(batch["user"], batch["length"])
        kept.append(pd.DataFrame({"user_id": users, "row": batch["row"], "timestamp": batch["timestamp"]}))
        assert (batch["training_end"] <= batch["validation_end"]).all()
        assert (batch["validation_end"] <= batch["length"]).all()
    # Shards are read in turn, so users come in another order than in the log.
    table = pd.concat(kept).sort_values("user_id", kind="stable")
    events = clean_log.events[clean_log.events["user_id"].isin({user.decode() for user in table["user_id"]})]
    names = np.array(["", "?", "?", *prepared.space.catalogue.item_ids])
    assert names[table["row"]].tolist() == events["item_id"].tolist()
    assert table["timestamp"].tolist() == events["timestamp"].tolist()
    counts = prepared.facts["counts"]
    assert counts["training_events"] + counts["validation_events"] + counts["test_events"] == len(table)
    assert prepared.facts["left_out"]["events_of_filtered_users"] == len(clean_log.events) - len(table)


def test_the_shards_hold_the_words_of_every_search(clean_log: CleanLog, prepared: PreparedData) -> None:
    users = read_users(prepared).as_numpy_iterator()
    got = {}
    for batch in users:
        ends = np.cumsum(batch["length"])
        got |= dict(zip(batch["user"], np.split(batch["words"], ends[:-1]), strict=True))
    events = clean_log.events[clean_log.events["user_id"].isin({user.decode() for user in got})]
    expected = EventIds(prepared.space).words(tf.constant(events["query"].tolist())).numpy()
    assert (expected[:, -1] > 0).any()
    for user, at in events.reset_index(drop=True).groupby("user_id").groups.items():
        assert got[user.encode()].tolist() == expected[at].tolist()


def text_log() -> tuple[pd.DataFrame, pd.DataFrame]:
    """Ten events of two users in ten days; under the default split i3 is first seen in the test window."""
    item = ["i1", "", "i2", "i1", "", "i2", "i1", "i2", "i3", "i3"]
    query = ["", "red halo", "", "", "halo", "", "", "", "", ""]
    events = pd.DataFrame(
        {
            "user_id": ["a", "b"] * 5,
            "item_id": item,
            "behavior": ["view" if name else "search" for name in item],
            "timestamp": np.arange(1, 11) * 86_400_000,
            "position": np.repeat(np.arange(5), 2),
            "query": query,
            "device": "app",
        }
    ).sort_values(["user_id", "position"], ignore_index=True)
    items = pd.DataFrame(
        {
            "item_id": ["i3", "i2", "i1", "i4"],
            "category_id": "c",
            "price": [1.0, 2.0, 3.0, 4.0],
            "title": ["Future halo", "Red fez", "Red halo", ""],
            "vector": [np.array([3.0, 4.0]), None, np.array([1.0, 2.0]), None],
        }
    )
    return events, items


def prepare_text(target: Path, ngrams: int, min_count: int = 1) -> FeatureSpace:
    events, items = text_log()
    features = FeatureConfig(words=6, ngrams=ngrams, word_min_count=min_count)
    prepare(events, items, PrepareSettings(SplitConfig(), FilterConfig(drop_bots=False), features), target)
    return open_prepared(target).space


def test_words_are_fitted_on_training_queries_and_each_training_items_title_once(tmp_path: Path) -> None:
    # halo: two queries and one title; red: one query and two titles; fez: one title; future: only a test item's title.
    assert prepare_text(tmp_path / "all", ngrams=0).word_vocabulary.tokens == ("halo", "red", "fez")
    assert prepare_text(tmp_path / "frequent", ngrams=0, min_count=2).word_vocabulary.tokens == ("halo", "red")
    grams = prepare_text(tmp_path / "grams", ngrams=3, min_count=3).word_vocabulary.tokens
    assert grams == ("#<ha", "#<re", "#alo", "#ed>", "#hal", "#lo>", "#red", "halo", "red")


def test_the_catalogue_holds_title_words_and_vectors_through_its_file(tmp_path: Path) -> None:
    catalogue = prepare_text(tmp_path / "data", ngrams=0).catalogue
    halo, red, fez = FIRST, FIRST + 1, FIRST + 2
    assert catalogue.item_ids == ("i1", "i2", "i3", "i4")
    assert catalogue.title_words.dtype == np.int32
    assert not catalogue.title_words[:FIRST].any()
    assert catalogue.title_words[FIRST:].tolist() == [
        [red, halo, 0, 0, 0, 0], [red, fez, 0, 0, 0, 0], [UNKNOWN, halo, 0, 0, 0, 0], [0] * 6,
    ]  # fmt: skip
    assert catalogue.vectors.dtype == np.float32
    assert catalogue.vectors.tolist() == [[0, 0]] * FIRST + [[1, 2], [0, 0], [3, 4], [0, 0]]
    catalogue.save(tmp_path)
    again = Catalogue.load(tmp_path)
    for name, values in dataclasses.asdict(catalogue).items():
        assert np.array_equal(getattr(again, name), values), name


def test_a_title_goes_the_way_of_a_query(prepared: PreparedData) -> None:
    catalogue = prepared.space.catalogue
    assert catalogue.vectors.shape == (FIRST + len(catalogue), 0)
    ids = EventIds(prepared.space).words(tf.constant(catalogue.titles)).numpy()
    assert (ids == catalogue.title_words[FIRST:]).all()
    assert (ids > UNKNOWN).any()


@pytest.mark.parametrize(("field", "value"), [("words", 0), ("ngrams", -1)])
def test_text_settings_that_make_no_sense_are_refused(
    clean_log: CleanLog, tmp_path: Path, field: str, value: int
) -> None:
    settings = dataclasses.replace(SETTINGS, features=dataclasses.replace(SETTINGS.features, **{field: value}))
    with pytest.raises(InputError, match=rf"features\.{field} is {value}"):
        prepare(clean_log.events, clean_log.items, settings, tmp_path / "senseless")


@pytest.mark.parametrize("answers", ["all", "last"])
def test_training_batches_answer_for_every_training_event_once(prepared: PreparedData, answers: str) -> None:
    windowing = Windowing("training", answers, "next_category", 5)  # type: ignore[arg-type]
    total = 0.0
    for inputs, labels, weights in training_batches(prepared, windowing, "events", 16, seed=1).as_numpy_iterator():
        assert inputs["item"].shape[0] == labels.shape[0] <= 16
        positions = np.count_nonzero(inputs["behavior"]) if answers == "all" else len(weights)
        assert weights.sum() / positions == pytest.approx(1.0, abs=1e-4)
        total += np.count_nonzero(weights)
    item_events = sum(
        int((batch["row"][start : start + end] >= FIRST).sum())
        for batch in read_users(prepared).as_numpy_iterator()
        for start, end in zip(np.cumsum(batch["length"]) - batch["length"], batch["training_end"], strict=True)
    )
    assert total == item_events


def test_the_seed_decides_the_order(prepared: PreparedData) -> None:
    windowing = Windowing("training", "all", "next_category", 5)

    def epochs(seed: int) -> list[list[int]]:
        batches = training_batches(prepared, windowing, "token", 16, seed=seed)
        return [[int(labels.sum()) for _, labels, _ in batches.as_numpy_iterator()] for _ in range(2)]

    first, second = epochs(1), epochs(1)
    assert first == second
    assert first[0] != first[1]
    assert first != epochs(2)


def test_static_shapes_on_request(prepared: PreparedData) -> None:
    windowing = Windowing("training", "all", "next_category", 5)
    batches = training_batches(prepared, windowing, "token", 16, seed=1, static_shapes=True)
    assert batches.element_spec[0].shape.as_list() == [16, 13]
    assert batches.element_spec[1].shape.as_list() == [16, 13]


def test_leave_one_out_and_logs_without_times(clean_log: CleanLog, tmp_path: Path) -> None:
    events = clean_log.events.drop(columns="timestamp")
    facts = prepare(events, clean_log.items, SETTINGS, tmp_path / "order")
    assert facts["split"]["method"] == "leave_one_out"
    assert facts["has_time"] is False
    for batch in read_users(open_prepared(tmp_path / "order")).as_numpy_iterator():
        assert not batch["timestamp"].any()


def test_cores_and_deletion_are_counted(clean_log: CleanLog, tmp_path: Path) -> None:
    settings = dataclasses.replace(
        SETTINGS,
        filters=FilterConfig(user_core=20, item_core=3),
        features=dataclasses.replace(SETTINGS.features, missing_price="delete"),
    )
    facts = prepare(clean_log.events, clean_log.items, settings, tmp_path / "core")
    left = facts["left_out"]
    assert left["users_below_the_core"] > 0
    assert left["events_of_items_with_missing_values"] > 0
    kept = sum(facts["counts"][f"{side}_events"] for side in ("training", "validation", "test"))
    dropped = left["events_of_filtered_users"] + left["events_of_items_with_missing_values"]
    assert kept + dropped == len(clean_log.events)


@pytest.mark.parametrize(("column", "what"), [("user_id", "1 user"), ("item_id", "1 item")])
def test_a_log_of_one_user_or_one_item_is_refused(clean_log: CleanLog, tmp_path: Path, column: str, what: str) -> None:
    events = clean_log.events.copy()
    events[column] = np.where(events[column] == "", "", "only")
    with pytest.raises(InputError, match=what):
        prepare(events, clean_log.items, SETTINGS, tmp_path / "one")
    assert not (tmp_path / "one").exists()


def test_a_full_disk_is_an_error_like_any_other_and_leaves_nothing(
    clean_log: CleanLog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class FullDisk:
        def __init__(self, *_: object) -> None: ...

        def __enter__(self) -> "FullDisk":
            return self

        def __exit__(self, *_: object) -> None: ...

        def write(self, _: bytes) -> None:
            raise tf.errors.ResourceExhaustedError(None, None, "No space left on device")

    monkeypatch.setattr(tf.io, "TFRecordWriter", FullDisk)
    with pytest.raises(OSError, match="no space left"):
        prepare(clean_log.events, clean_log.items, SETTINGS, tmp_path / "full")
    assert list(tmp_path.iterdir()) == []


def test_damaged_prepared_data_is_named(prepared: PreparedData, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"dataset\.json"):
        open_prepared(tmp_path)
    (tmp_path / "dataset.json").write_text("{", encoding="utf-8")
    with pytest.raises(InputError, match=r"dataset\.json"):
        open_prepared(tmp_path)
    (tmp_path / "dataset.json").write_text(json.dumps(prepared.facts), encoding="utf-8")
    with pytest.raises(InputError, match=r"scalers\.json"):
        open_prepared(tmp_path)
    scalers = json.loads((prepared.directory / "scalers.json").read_text(encoding="utf-8"))
    (tmp_path / "scalers.json").write_text(json.dumps({**scalers, "ngrams": -1}), encoding="utf-8")
    with pytest.raises(InputError, match=r"scalers\.json.*ngrams"):
        open_prepared(tmp_path)
