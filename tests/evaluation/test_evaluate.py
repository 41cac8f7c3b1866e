"""The evaluation asks what a server would be asked, and its figures are what their definitions say."""

import dataclasses
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest

from recsys_tf.config import ClassifierConfig, EvaluateConfig
from recsys_tf.errors import InputError
from recsys_tf.evaluation.bootstrap import Interval
from recsys_tf.evaluation.classifier_evaluation import evaluate_classifier, read_ceiling
from recsys_tf.evaluation.queries import read_queries, read_training_events
from recsys_tf.evaluation.recommender_evaluation import (
    baseline_scores,
    compare,
    evaluate_recommenders,
    sliced_ndcg,
)
from recsys_tf.evaluation.seen_items import seen_items
from recsys_tf.events.cleaning import CleanLog
from recsys_tf.sequences.dataset import PreparedData
from recsys_tf.sequences.labels import class_names
from recsys_tf.sequences.vocabularies import FIRST

CONFIG = EvaluateConfig(bootstrap_samples=50)


def test_every_item_event_of_the_test_side_is_asked_with_its_own_past(
    prepared: PreparedData, clean_log: CleanLog
) -> None:
    queries = read_queries(prepared, "next_category", 5, EvaluateConfig(max_queries=0))
    events = clean_log.events
    test_from = prepared.facts["split"]["test_from"]
    users = set(queries.user)
    asked = events[(events["timestamp"] >= test_from) & (events["item_id"] != "") & events["user_id"].isin(users)]
    assert len(queries) == queries.possible == len(asked)
    got = sorted(zip(queries.user, queries.target_timestamp.tolist(), strict=True))
    assert got == sorted(zip(asked["user_id"], asked["timestamp"].tolist(), strict=True))
    names = np.array(["", "", "?", *prepared.space.catalogue.item_ids])
    for at in range(0, len(queries), 37):
        user, moment = queries.user[at], queries.target_timestamp[at]
        past = events[(events["user_id"] == user) & (events["timestamp"] < moment)]
        expected = past["item_id"].tolist()[-prepared.space.max_length :]
        held = int(queries.held[at])
        assert names[queries.ids["row"][at, 1:held]].tolist() == expected
        assert queries.last_timestamp[at] == (past["timestamp"].max() if len(past) else 0)


def test_questions_can_ask_for_a_past(prepared: PreparedData) -> None:
    everything = read_queries(prepared, "next_item", 1, EvaluateConfig(max_queries=0))
    some = read_queries(prepared, "next_item", 1, EvaluateConfig(max_queries=0, min_history=3))
    long_enough = everything.held - 1 >= 3
    assert 0 < long_enough.sum() < len(everything)
    assert some.target_timestamp.tolist() == everything.target_timestamp[long_enough].tolist()


def test_blinded_questions_differ_in_the_words_alone(prepared: PreparedData) -> None:
    queries = read_queries(prepared, "next_item", 1, EvaluateConfig(max_queries=0))
    blinded = queries.blinded()
    assert queries.ids["words"].any()
    assert not blinded.ids["words"].any()
    assert all((blinded.ids[name] == values).all() for name, values in queries.ids.items() if name != "words")


def test_a_sample_is_a_part_and_the_seed_decides_which(prepared: PreparedData) -> None:
    everything = read_queries(prepared, "next_item", 1, EvaluateConfig(max_queries=0))
    some, again, other = (
        read_queries(prepared, "next_item", 1, EvaluateConfig(max_queries=30, seed=seed)) for seed in (1, 1, 2)
    )
    assert len(some) == 30
    assert some.possible == len(everything)
    assert (some.target_timestamp == again.target_timestamp).all()
    assert (some.target_timestamp != other.target_timestamp).any()


def test_lines_of_one_receipt_are_no_questions_to_each_other(
    prepared: PreparedData, clean_log: CleanLog, tmp_path: Path
) -> None:
    from recsys_tf.config import FeatureConfig, FilterConfig, SplitConfig
    from recsys_tf.sequences.dataset import open_prepared
    from recsys_tf.sequences.prepare import PrepareSettings, prepare

    events = clean_log.events.assign(timestamp=clean_log.events["timestamp"] // 3_600_000 * 3_600_000)
    settings = PrepareSettings(SplitConfig(), FilterConfig(drop_bots=False), FeatureConfig(max_length=12, words=4))
    prepare(events, clean_log.items, settings, tmp_path / "hours")
    queries = read_queries(open_prepared(tmp_path / "hours"), "next_category", 5, EvaluateConfig(max_queries=0))
    assert 0 < len(queries) < len(read_queries(prepared, "next_category", 5, EvaluateConfig(max_queries=0)))
    assert (queries.target_timestamp > queries.last_timestamp).all()


def test_figures_of_a_perfect_and_of_a_useless_classifier(prepared: PreparedData, raw_folder: Path) -> None:
    queries = read_queries(prepared, "next_category", 5, EvaluateConfig(max_queries=0))
    training = read_training_events(prepared)
    classes = len(class_names(prepared.space, "next_category"))
    ceiling = read_ceiling(raw_folder / "truth", queries)
    assert ceiling is not None
    perfect = np.zeros((len(queries), classes), np.float32)
    known = queries.label >= 0
    perfect[np.flatnonzero(known), queries.label[known]] = 1.0
    figures = evaluate_classifier(perfect, queries, training, prepared.space, ClassifierConfig(), CONFIG, ceiling)
    assert figures.rows["classifier"]["accuracy"].mean == pytest.approx(known.mean())
    assert figures.rows["classifier"]["weighted_recall"] == figures.rows["classifier"]["accuracy"]
    assert figures.rows["ceiling"]["accuracy"].mean == pytest.approx(ceiling.mean())
    best = figures.rows[figures.best_rule]["accuracy"].mean
    assert best == max(
        row["accuracy"].mean for name, row in figures.rows.items() if name not in ("classifier", "ceiling")
    )
    share = (known.mean() - best) / (ceiling.mean() - best)
    assert figures.share_of_the_way == pytest.approx(share)
    useless = np.full((len(queries), classes), 1 / classes, np.float32)
    figures = evaluate_classifier(useless, queries, training, prepared.space, ClassifierConfig(), CONFIG, None)
    assert figures.rows["classifier"]["top5_accuracy"].mean == 0
    assert figures.share_of_the_way is None
    assert figures.gain["interval"].mean < 0


def test_the_ceiling_belongs_to_its_own_log_only(prepared: PreparedData, raw_folder: Path, tmp_path: Path) -> None:
    queries = read_queries(prepared, "next_category", 5, EvaluateConfig(max_queries=0))
    assert read_ceiling(tmp_path, queries) is None
    truth = pd.read_csv(raw_folder / "truth" / "events.csv.gz")
    truth["timestamp"] += 1
    truth.to_csv(tmp_path / "events.csv.gz", index=False)
    assert read_ceiling(tmp_path, queries) is None


def test_the_rules_of_the_next_category_by_hand(prepared: PreparedData, clean_log: CleanLog) -> None:
    queries = read_queries(prepared, "next_category", 5, EvaluateConfig(max_queries=0))
    training = read_training_events(prepared)
    classes = len(class_names(prepared.space, "next_category"))
    zeros = np.zeros((len(queries), classes), np.float32)
    figures = evaluate_classifier(zeros, queries, training, prepared.space, ClassifierConfig(), CONFIG, None)
    category = clean_log.items.set_index("item_id")["category_id"]
    right = []
    events = clean_log.events[clean_log.events["item_id"] != ""]
    for user, moment, row in zip(queries.user, queries.target_timestamp, queries.target_row, strict=True):
        past = events[(events["user_id"] == user) & (events["timestamp"] < moment)].tail(prepared.space.max_length)
        target = category[prepared.space.catalogue.item_ids[row - FIRST]]
        right.append(len(past) > 0 and category[past["item_id"].iloc[-1]] == target)
    # The rule sees the window only: where searches push the last item out of it, it falls back to the majority.
    assert figures.rows["last"]["accuracy"].mean == pytest.approx(np.mean(right), abs=0.01)


def test_seen_items_are_removed_on_request_and_the_judge_is_asked_on_request(
    prepared: PreparedData, raw_folder: Path
) -> None:
    queries = read_queries(prepared, "next_item", 1, EvaluateConfig(max_queries=60))
    catalogue = prepared.space.catalogue
    training = read_training_events(prepared)
    scorers, seconds = baseline_scores(training, queries, len(catalogue))
    assert seconds.keys() == scorers.keys()
    assert "most popular of 7 days" in scorers
    plain = evaluate_recommenders(scorers, queries, training, catalogue, CONFIG, raw_folder / "truth").rows
    without_seen = dataclasses.replace(CONFIG, remove_seen=True)
    removed = evaluate_recommenders(scorers, queries, training, catalogue, without_seen).rows
    own = "the user's recent items"
    assert plain[own].intervals["HR@10"].mean > removed[own].intervals["HR@10"].mean
    assert removed[own].online == {}
    for row in plain.values():
        click, buy = row.online["click-through rate"].mean, row.online["purchases per list"].mean
        assert 0 < buy < 10 * click < 10
    seen = seen_items(queries, len(catalogue))
    histories = queries.histories()
    for at in range(len(queries)):
        assert set(seen[at].indices) == {item for item in histories.items[at].tolist() if item >= 0}


def test_nothing_to_ask_is_said(prepared: PreparedData) -> None:
    queries = read_queries(prepared, "next_category", 5, EvaluateConfig(max_queries=5))
    none = dataclasses.replace(queries, held=queries.held[:0])
    with pytest.raises(InputError, match="nothing to evaluate"):
        evaluate_classifier(
            np.zeros((0, 2), np.float32), none, read_training_events(prepared), prepared.space, ClassifierConfig(),
            CONFIG, None,
        )  # fmt: skip


def ranks_of(**names: list[int]) -> dict[str, npt.NDArray[np.int64]]:
    return {name: np.array(ranks) for name, ranks in names.items()}


def test_two_recommenders_are_compared_by_their_ranks_on_the_same_queries() -> None:
    # NDCG@10 is 1 at rank 1, 1/2 at rank 3, and 0 at rank 11 or for a miss.
    ranks = ranks_of(best=[1, 1, 3, 1], middle=[3, 3, 3, 3], none=[11, 0, 0, 0])
    found = compare(ranks, np.arange(4), CONFIG)
    assert found["best"]["middle"].interval.mean == pytest.approx(0.375)
    assert found["none"]["best"].interval.mean == pytest.approx(-0.875)
    assert found["middle"]["none"].interval == Interval(0.5, 0.5, 0.5)


def test_ndcg_by_slice_is_that_of_the_slice_alone() -> None:
    ranks = ranks_of(a=[1, 3, 0, 1], b=[3, 3, 3, 0])
    masks = {"x": np.array([True, True, False, False]), "y": np.array([False, False, True, True])}
    found = sliced_ndcg(ranks, {"group": masks}, np.arange(4), CONFIG)
    means = {name: {one: interval.mean for one, interval in groups["group"].items()} for name, groups in found.items()}
    assert means == {"a": {"x": 0.75, "y": 0.5}, "b": {"x": 0.5, "y": 0.25}}


def test_the_figures_of_all_rows_fit_together(prepared: PreparedData) -> None:
    queries = read_queries(prepared, "next_item", 1, EvaluateConfig(max_queries=150))
    catalogue = prepared.space.catalogue
    training = read_training_events(prepared)
    train = training.interactions(len(catalogue))
    scorers, _ = baseline_scores(training, queries, len(catalogue))
    vectors = np.random.default_rng(0).normal(size=(len(catalogue), 4)).astype(np.float32)
    found = evaluate_recommenders(scorers, queries, training, catalogue, CONFIG, vectors=vectors)
    assert (found.queries, found.possible) == (150, queries.possible)
    assert found.users == len(set(queries.user))
    for sizes in found.slice_sizes.values():
        assert len(sizes) > 1
        assert min(sizes.values()) > 0
    for name, row in found.rows.items():
        ndcg = row.intervals["NDCG@10"].mean
        for group, sizes in found.slice_sizes.items():
            if group != "words of the search":
                parts = [size * row.slices[group][one].mean for one, size in sizes.items()]
                assert sum(parts) / 150 == pytest.approx(ndcg)
        for other, difference in found.differences[name].items():
            assert difference.interval.mean == pytest.approx(ndcg - found.rows[other].intervals["NDCG@10"].mean)
    popular = found.rows["most popular"].lists
    counts = np.sort(np.bincount(train.item, minlength=len(catalogue)))[::-1]
    expected = -np.log2((counts[:10] + 1) / (counts.sum() + len(catalogue))).mean()
    assert popular["novelty@10"] == pytest.approx(expected)
    assert popular["coverage@10"] == pytest.approx(10 / len(catalogue))
    assert popular["novelty@10"] == min(row.lists["novelty@10"] for row in found.rows.values())
    assert set(popular) == {"coverage@10", "gini@10", "novelty@10", "category_diversity@10", "diversity@10"}
    without = evaluate_recommenders({"one": scorers["most popular"]}, queries, training, catalogue, CONFIG)
    assert "diversity@10" not in without.rows["one"].lists
    assert without.differences == {"one": {}}
