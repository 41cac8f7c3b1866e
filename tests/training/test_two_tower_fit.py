"""The two-tower model's training: what is counted, averaged, ranked and kept."""

import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
import tensorflow as tf

from recsys_tf.config import (
    EvaluateConfig,
    FeatureConfig,
    FilterConfig,
    FitConfig,
    Loss,
    SplitConfig,
    TwoTowerConfig,
    preset,
)
from recsys_tf.errors import InputError
from recsys_tf.evaluation import ranking_metrics
from recsys_tf.models.mixture import VOICES, Counts, Followers, fingerprint
from recsys_tf.models.query_tower import ANY_BEHAVIOR
from recsys_tf.models.retrieval import Retrieval
from recsys_tf.sequences.dataset import PreparedData, open_prepared, read_questions, read_users
from recsys_tf.sequences.prepare import PrepareSettings, prepare
from recsys_tf.sequences.vocabularies import FIRST
from recsys_tf.training.averaging import WeightAveraging
from recsys_tf.training.fit_mixture import count, load_mixture, save_mixture, search_weights
from recsys_tf.training.fit_two_tower import fit_two_tower, given_weights, new_two_tower
from recsys_tf.training.runs import Fitted, load_two_tower, open_run, write_run
from recsys_tf.training.validation import Validation, ndcg_and_hits, ranking, read_validation

SMALL = TwoTowerConfig(width=16, layers=1, mixture=False, negatives=32)
SHORT = FitConfig(epochs=1, batch_size=64, learning_rate=3e-3)

IDS = ("row", "behavior", "device", "timestamp", "words")


LEAVE_ONE_OUT = SplitConfig(method="leave_one_out")


def prepare_log(users: dict[str, list[str]], target: Path, split: SplitConfig = LEAVE_ONE_OUT) -> PreparedData:
    """Prepare a log of views of items and searches ("?"), one event a day."""
    pairs = [(user, item, at) for user, items in users.items() for at, item in enumerate(items)]
    events = pd.DataFrame(pairs, columns=["user_id", "item_id", "position"])
    searched = events["item_id"] == "?"
    events["behavior"] = np.where(searched, "search", "view")
    events["query"] = np.where(searched, "red halo", "")
    events.loc[searched, "item_id"] = ""
    events["timestamp"] = (1 + events["position"]) * 86_400_000
    events["device"] = "app"
    names = sorted(set(events["item_id"]) - {""})
    items = pd.DataFrame({"item_id": names, "category_id": "c", "price": 1.0, "title": "halo"})
    settings = PrepareSettings(split, FilterConfig(drop_bots=False), FeatureConfig())
    prepare(events, items, settings, target)
    return open_prepared(target)


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
    best = np.array([1.0, 0.1, 0.0, 0.35, 0.2])
    asked = []

    def quality(weights: Any) -> float:
        assert weights.sum() == pytest.approx(1.0)
        asked.append(weights)
        return -float(((weights / weights[0] - best) ** 2).sum())

    assert search_weights(quality) == pytest.approx(best / best.sum())
    assert len(asked) < 100


def test_without_a_gain_the_towers_speak_alone() -> None:
    assert search_weights(lambda _: 0.25).tolist() == [1.0, 0.0, 0.0, 0.0, 0.0]
    assert search_weights(lambda weights: float(weights[0])).tolist() == [1.0, 0.0, 0.0, 0.0, 0.0]


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
    assert weights.tolist() == [0.5, 0.25, 0.125, 0.0, 0.125]
    assert loaded.search_keys.tolist() == [-7]
    for got, kept in ((loaded.transitions, transitions), (loaded.searches, searches)):
        assert got.items.tolist() == kept.items.tolist()
        assert got.shares.tolist() == kept.shares.tolist()


def line() -> Any:
    """A model of one weight: y = w x."""
    model = tf.keras.Sequential([tf.keras.layers.Dense(1, use_bias=False, kernel_initializer="zeros")])
    model.build([None, 1])
    return model


def test_the_average_follows_the_weights() -> None:
    model = line()
    averaging = WeightAveraging(momentum=0.5)
    averaging.set_model(model)
    average = 0.0
    for step in range(1, 21):
        model.trainable_variables[0].assign([[float(step)]])
        averaging.on_train_batch_end(step)
        kept = min(0.5, step / (step + 9))
        average = kept * average + (1 - kept) * step
    averaging.on_epoch_end(0)
    assert model.get_weights()[0].item() == pytest.approx(average, rel=1e-5)
    averaging.on_epoch_begin(1)
    assert model.get_weights()[0].item() == 20.0


def test_training_goes_on_from_the_last_steps_weights() -> None:
    data = tf.data.Dataset.from_tensors((tf.constant([[1.0], [2.0]]), tf.constant([[3.0], [6.0]]))).repeat(5)

    def train(*callbacks: Any) -> list[float]:
        seen: list[float] = []
        model = line()
        model.compile(tf.keras.optimizers.SGD(0.01), "mse")
        keep = tf.keras.callbacks.LambdaCallback(
            on_epoch_begin=lambda *_: seen.append(model.get_weights()[0].item()),
            on_epoch_end=lambda *_: seen.append(model.get_weights()[0].item()),
        )
        model.fit(data, epochs=3, verbose=0, callbacks=[*callbacks, keep])
        return seen

    plain, averaged = train(), train(WeightAveraging(0.9))
    # Begin, end, begin, end, …: training itself is the same, what is looked at lies behind it.
    assert averaged[0::2] == pytest.approx(plain[0::2])
    assert all(behind < ahead for behind, ahead in zip(averaged[1::2], plain[1::2], strict=True))


def all_questions(data: PreparedData) -> dict[str, Any]:
    parts = list(read_questions(data, "validation", "next_item", 1).as_numpy_iterator())
    return {name: np.concatenate([part[name] for part in parts]) for name in (*IDS, "held", "target_row")}


@pytest.mark.parametrize("most", [0, 50, 10**6])
def test_validation_asks_every_nth_question(prepared: PreparedData, most: int) -> None:
    everything = all_questions(prepared)
    total = len(everything["held"])
    assert total > 100
    chosen = np.arange(0, total, -(-total // most) if 0 < most < total else 1)
    chosen = chosen[np.argsort(everything["held"][chosen], kind="stable")]
    validation = read_validation(prepared, most, remove_seen=False)
    assert len(validation) == len(chosen)
    assert most == 0 or len(validation) <= most
    seen = 0
    for batch in validation.batches:
        rows = chosen[seen : seen + len(batch["target_row"])]
        seen += len(rows)
        assert batch["target_row"].numpy().tolist() == everything["target_row"][rows].tolist()
        longest = everything["held"][rows].max()
        for name in IDS:
            held = everything[name][rows][:, :longest]
            if name == "words":
                width = batch[name].shape[-1]
                assert not held[..., width:].any()
                held = held[..., :width]
            assert (batch[name].numpy() == held).all(), name


def numpy_ranks(data: PreparedData, retrieval: Retrieval, remove_seen: bool) -> Any:
    """Ranks of all questions, sorted as `read_validation` sorts them."""
    questions = all_questions(data)
    ids = {name: tf.constant(questions[name]) for name in IDS}
    asked = tf.fill([len(questions["held"])], ANY_BEHAVIOR)
    scores = retrieval(ids, asked, retrieval.model.candidates()).numpy()
    targets = np.maximum(questions["target_row"] - FIRST, -1)
    excluded = None
    if remove_seen:
        query, at = np.nonzero(questions["row"] >= FIRST)
        seen = np.zeros(scores.shape, bool)
        seen[query, questions["row"][query, at] - FIRST] = True
        targets = np.where(seen[np.arange(len(targets)), targets] & (targets >= 0), -1, targets)
        excluded = sp.csr_matrix(seen)
    return ranking_metrics.target_ranks(scores, targets, excluded)[np.argsort(questions["held"], kind="stable")]


@pytest.mark.parametrize("remove_seen", [False, True])
def test_validation_ranks_as_the_evaluation_does(prepared: PreparedData, remove_seen: bool) -> None:
    tf.keras.utils.set_random_seed(3)
    retrieval = Retrieval(new_two_tower(prepared, SMALL), prepared.space)
    ranks = ranking(retrieval, read_validation(prepared, 0, remove_seen))()
    expected = numpy_ranks(prepared, retrieval, remove_seen)
    assert (ranks == 0).sum() == (expected == 0).sum()
    # Histories are padded to other lengths there, and scores that are all but equal may change places.
    assert (np.abs(ranks - expected) <= 1).all()
    assert (ranks == expected).mean() > 0.98
    found = ndcg_and_hits(ranks)
    assert found[0] == pytest.approx(ranking_metrics.ndcg(ranks.astype(np.int64), 10).mean())
    assert found[1] == pytest.approx(ranking_metrics.hit_rate(ranks.astype(np.int64), 10).mean())


def fit(data: PreparedData, folder: Path, config: TwoTowerConfig = SMALL, how: FitConfig = SHORT) -> Any:
    folder.mkdir(parents=True)
    return fit_two_tower(data, config, how, EvaluateConfig(), folder)


def test_the_same_seed_gives_the_same_weights_and_another_one_others(prepared: PreparedData, tmp_path: Path) -> None:
    found = []
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        retrieval, history = fit(prepared, tmp_path / name, how=dataclasses.replace(SHORT, seed=seed))
        found.append((np.concatenate([w.ravel() for w in retrieval.model.get_weights()]), history["loss"]))
    assert (found[0][0] == found[1][0]).all()
    assert found[0][1] == found[1][1]
    assert (found[0][0] != found[2][0]).any()


@pytest.mark.parametrize("averaging", [0.0, pytest.param(0.9, marks=pytest.mark.slow)])
def test_the_best_epoch_is_kept(prepared: PreparedData, tmp_path: Path, averaging: float) -> None:
    # So fast that later epochs are worse.
    how = dataclasses.replace(SHORT, epochs=4, learning_rate=1.0, decay=False, weight_averaging=averaging)
    retrieval, history = fit(prepared, tmp_path / "run", how=how)
    assert set(history) == {"loss", "val_NDCG@10", "val_HR@10", "seconds"}
    assert len({len(values) for values in history.values()}) == 1
    assert len(history["loss"]) == 4
    assert np.argmax(history["val_NDCG@10"]) < 3
    assert np.isfinite(history["loss"]).all()
    assert retrieval.mixture is None
    assert not (tmp_path / "run" / "mixture.npz").exists()
    validation = read_validation(prepared, how.validation_queries, remove_seen=False)
    reached = ndcg_and_hits(ranking(retrieval, validation)())[0]
    assert reached == pytest.approx(max(history["val_NDCG@10"]), abs=1e-6)
    fresh = new_two_tower(prepared, SMALL)
    fresh.load_weights(str(tmp_path / "run" / "weights.h5"))
    for kept, best in zip(fresh.trainable_variables, retrieval.model.trainable_variables, strict=True):
        assert (kept.numpy() == best.numpy()).all()


def test_the_loss_falls_and_training_helps(prepared: PreparedData, tmp_path: Path) -> None:
    how = dataclasses.replace(SHORT, epochs=3, learning_rate=1e-2, decay=False)
    config = dataclasses.replace(SMALL, dropout=0.0)
    retrieval, history = fit(prepared, tmp_path / "run", config, how)
    assert history["loss"][-1] < history["loss"][0]
    tf.keras.utils.set_random_seed(1)
    before = Retrieval(new_two_tower(prepared, config), prepared.space)
    validation = read_validation(prepared, 0, remove_seen=False)
    assert ndcg_and_hits(ranking(retrieval, validation)())[0] > ndcg_and_hits(ranking(before, validation)())[0] + 0.01


def test_a_mixture_is_kept_where_it_ranks_better(prepared: PreparedData, tmp_path: Path) -> None:
    config = dataclasses.replace(SMALL, mixture=True)
    retrieval, history = fit(prepared, tmp_path / "two_tower", config)
    # In a shop where people come back to what they have seen, counting helps a model of one epoch.
    assert retrieval.mixture is not None
    weights, _ = load_mixture(tmp_path / "two_tower" / "mixture.npz")
    assert weights.shape == (len(VOICES),)
    assert weights.sum() == pytest.approx(1.0)
    validation = read_validation(prepared, 0, remove_seen=False)
    ranks = ranking(retrieval, validation)()
    assert ndcg_and_hits(ranks)[0] > max(history["val_NDCG@10"])
    # What is read back answers the same.
    config_of_run = dataclasses.replace(preset("quick"), model="two_tower", two_tower=config, two_tower_fit=SHORT)
    write_run(tmp_path, config_of_run, prepared.directory, {"two_tower": Fitted(history, 1)})
    assert (ranking(load_two_tower(open_run(tmp_path)), validation)() == ranks).all()


def test_without_questions_the_loss_decides(tmp_path: Path) -> None:
    users = {"a": ["x", "y", "x", "z", "?", "x"], "b": ["y", "x", "z", "y", "z"]}
    data = prepare_log(users, tmp_path / "data", SplitConfig(validation_share=0.0))
    assert len(read_validation(data, 0, remove_seen=False)) == 0
    config = dataclasses.replace(SMALL, mixture=True)
    retrieval, history = fit(data, tmp_path / "run", config, dataclasses.replace(SHORT, epochs=2))
    assert set(history) == {"loss", "seconds"}
    assert retrieval.mixture is None
    given = dataclasses.replace(config, mixture_weights=(3.0, 1.0, 0.0, 0.0, 0.0))
    retrieval, _ = fit(data, tmp_path / "given", given, SHORT)
    assert load_mixture(tmp_path / "given" / "mixture.npz")[0].tolist() == [0.75, 0.25, 0.0, 0.0, 0.0]
    assert retrieval.mixture is not None
    for wrong in ((1.0, 0.5), (0.0, 1.0, 0.0, 0.0, 0.0), (1.0, -0.5, 0.0, 0.0, 0.0)):
        with pytest.raises(InputError, match="give 5 numbers, of towers"):
            given_weights(wrong)
    assert ndcg_and_hits(np.array([1, 0, 11, 2], np.int32)) == pytest.approx(((1 + 1 / np.log2(3)) / 4, 0.5))


@pytest.mark.slow
def test_bfloat16_leaves_the_policy_and_the_scores_as_they_are(prepared: PreparedData, tmp_path: Path) -> None:
    policy = tf.keras.mixed_precision.global_policy().name
    how = dataclasses.replace(SHORT, mixed_precision=True)
    retrieval, history = fit(prepared, tmp_path / "run", how=how)
    assert tf.keras.mixed_precision.global_policy().name == policy
    assert np.isfinite(history["loss"]).all()
    assert retrieval.model.candidates().dtype == tf.float32
    assert {weight.dtype for weight in retrieval.model.trainable_variables} == {tf.float32}


@pytest.mark.slow
@pytest.mark.parametrize("loss", ["full", "sampled", "gbce", "in_batch"])
def test_xla_learns_too(prepared: PreparedData, tmp_path: Path, loss: Loss) -> None:
    config = dataclasses.replace(SMALL, loss=loss, mixed_negatives=True, dropout=0.0)
    how = dataclasses.replace(SHORT, epochs=3, learning_rate=1e-2, decay=False, xla=True)
    _, history = fit(prepared, tmp_path / "run", config, how)
    assert history["loss"][-1] < history["loss"][0]


def test_settings_that_cannot_work_are_named(prepared: PreparedData, tmp_path: Path) -> None:
    for changes in ({"epochs": 0}, {"batch_size": 0}):
        with pytest.raises(InputError, match="both must be at least 1"):
            fit_two_tower(prepared, SMALL, dataclasses.replace(SHORT, **changes), EvaluateConfig(), tmp_path)
    three = dataclasses.replace(SMALL, heads=3)
    with pytest.raises(InputError, match="3 heads do not divide a width of 16"):
        fit_two_tower(prepared, three, SHORT, EvaluateConfig(), tmp_path)
    # A recurrent encoder has no heads.
    assert new_two_tower(prepared, dataclasses.replace(three, encoder="gru")).count_params() > 0
    one = dataclasses.replace(prepared.space.items, tokens=("only",))
    data = dataclasses.replace(prepared, space=dataclasses.replace(prepared.space, items=one))
    with pytest.raises(InputError, match="1 items in the training events"):
        new_two_tower(data, SMALL)


def test_questions_are_counted(prepared: PreparedData) -> None:
    validation = Validation([], remove_seen=True)
    assert len(validation) == 0
    assert len(read_validation(prepared, 0, remove_seen=True)) == len(all_questions(prepared)["held"])


@pytest.mark.slow
@pytest.mark.parametrize("loss", ["full", "in_batch"])
def test_two_devices_learn_what_one_learns(prepared: PreparedData, tmp_path: Path, loss: Loss) -> None:
    script = Path(__file__).with_name("two_processors.py")
    root = Path(__file__).parents[2]
    command = [sys.executable, str(script), str(prepared.directory), str(tmp_path), loss]
    environment = {**os.environ, "PYTHONPATH": str(root), "TF_USE_LEGACY_KERAS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    answers = json.loads(
        next(line for line in done.stdout.splitlines() if line.startswith("ANSWERS ")).split(" ", 1)[1]
    )
    one, both = answers["one"], answers["all"]
    # The last, incomplete batch (in_batch: with few negatives) is left out, and each device takes its own mean.
    assert both["loss"] == pytest.approx(one["loss"], rel=0.02 if loss == "full" else 0.06)
    assert both["loss"][1] < both["loss"][0]
    assert both["norm"] == pytest.approx(one["norm"], rel=0.1)
    assert "cannot share a batch of 63" in answers["odd"]
