"""The two-tower model's training: what is counted, averaged, ranked and kept."""

import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from short_logs import prepare_log

from recsys_tf.config import (
    EvaluateConfig,
    FitConfig,
    Loss,
    SplitConfig,
    TwoTowerConfig,
    preset,
)
from recsys_tf.errors import InputError
from recsys_tf.models.mixture import VOICES
from recsys_tf.models.retrieval import Retrieval
from recsys_tf.sequences.dataset import PreparedData
from recsys_tf.training import validation
from recsys_tf.training.fit_mixture import load_mixture
from recsys_tf.training.fit_two_tower import fit_two_tower, given_weights, new_two_tower
from recsys_tf.training.runs import Fitted, load_two_tower, open_run, write_run
from recsys_tf.training.validation import ndcg_and_hits, ranking, read_validation

SMALL = TwoTowerConfig(width=16, layers=1, mixture=False, negatives=32)
SHORT = FitConfig(epochs=1, batch_size=64, learning_rate=3e-3)


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
def test_the_best_epoch_is_kept(
    prepared: PreparedData, tmp_path: Path, averaging: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    how = dataclasses.replace(SHORT, epochs=4, warmup_share=0.0, decay=False, weight_averaging=averaging)
    second, _ = fit(prepared, tmp_path / "two epochs", how=dataclasses.replace(how, epochs=2))
    reached = iter([(0.1, 0.1), (0.4, 0.4), (0.3, 0.3), (0.2, 0.2)])
    monkeypatch.setattr(validation, "ndcg_and_hits", lambda ranks: next(reached))
    retrieval, history = fit(prepared, tmp_path / "run", how=how)
    assert set(history) - {"joules"} == {"loss", "val_NDCG@10", "val_HR@10", "seconds", "cpu_seconds"}
    assert len({len(values) for values in history.values()}) == 1
    assert history["val_NDCG@10"] == [0.1, 0.4, 0.3, 0.2]
    assert retrieval.mixture is None
    assert not (tmp_path / "run" / "mixture.npz").exists()
    fresh = new_two_tower(prepared, SMALL)
    fresh.load_weights(str(tmp_path / "run" / "weights.h5"))
    models = (fresh, retrieval.model, second.model)
    for kept, best, expected in zip(*(model.trainable_variables for model in models), strict=True):
        assert (kept.numpy() == best.numpy()).all()
        assert (best.numpy() == expected.numpy()).all()


def test_the_last_epoch_is_kept_where_that_is_asked_for(
    prepared: PreparedData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    how = dataclasses.replace(SHORT, epochs=2)
    kept = []
    for name, keep, reached in (("rising", "best", [0.1, 0.4]), ("falling", "last", [0.4, 0.1])):
        figures = iter([(one, one) for one in reached])
        monkeypatch.setattr(validation, "ndcg_and_hits", lambda ranks, figures=figures: next(figures))
        retrieval, _ = fit(prepared, tmp_path / name, how=dataclasses.replace(how, keep=keep))  # type: ignore[arg-type]
        kept.append(np.concatenate([weight.ravel() for weight in retrieval.model.get_weights()]))
    assert (kept[0] == kept[1]).all()


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
    assert set(history) - {"joules"} == {"loss", "seconds", "cpu_seconds"}
    assert retrieval.mixture is None
    given = dataclasses.replace(config, mixture_weights=(3.0, 1.0, 0.0, 0.0, 0.0, 0.0))
    retrieval, _ = fit(data, tmp_path / "given", given, SHORT)
    assert load_mixture(tmp_path / "given" / "mixture.npz")[0].tolist() == [0.75, 0.25, 0.0, 0.0, 0.0, 0.0]
    assert retrieval.mixture is not None
    for wrong in ((1.0, 0.5), (0.0, 1.0, 0.0, 0.0, 0.0, 0.0), (1.0, -0.5, 0.0, 0.0, 0.0, 0.0)):
        with pytest.raises(InputError, match="give 6 numbers, of towers"):
            given_weights(wrong)
    assert ndcg_and_hits(np.array([1, 0, 11, 2], np.int32)) == pytest.approx(((1 + 1 / np.log2(3)) / 4, 0.5))


@pytest.mark.slow
def test_bfloat16_leaves_the_policy_and_the_scores_as_they_are(prepared: PreparedData, tmp_path: Path) -> None:
    policy = tf.keras.mixed_precision.global_policy().name
    how = dataclasses.replace(SHORT, mixed_precision=True)
    retrieval, history = fit(prepared, tmp_path / "run", how=how)
    assert tf.keras.mixed_precision.global_policy().name == policy
    assert np.isfinite(history["loss"]).all()
    assert retrieval.model.table().dtype == tf.float32
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
