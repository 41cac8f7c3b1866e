"""`run.py attack`: a model that has learnt its users by heart gives them away."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from recsys_tf.cli import main
from recsys_tf.config import (
    EvaluateConfig,
    FeatureConfig,
    FilterConfig,
    FitConfig,
    TrainConfig,
    TwoTowerConfig,
)
from recsys_tf.config_json import to_json
from recsys_tf.evaluation.membership_scores import CALIBRATED, KNOWN_ITEMS, LOSS, POPULARITY, membership_scores
from recsys_tf.events.cleaning import CleanLog
from recsys_tf.events.report import write_clean_log
from recsys_tf.models.surprise import surprises
from recsys_tf.sequences.dataset import open_prepared
from recsys_tf.sequences.newest_windows import newest_windows
from recsys_tf.sequences.prepare import PrepareSettings, prepare
from recsys_tf.sequences.vocabularies import FIRST
from recsys_tf.training.fit_two_tower import fit_two_tower
from recsys_tf.training.head_data import clean_events, clean_log, encoded, users_of_the_run
from recsys_tf.training.runs import Fitted, Run, load_two_tower, open_run, write_run

CONFIG = TrainConfig(
    model="two_tower",
    filters=FilterConfig(held_out_users=0.5, drop_bots=False),
    features=FeatureConfig(max_length=20, words=4),
    two_tower=TwoTowerConfig(
        width=16, layers=1, dropout=0.0, item_dropout=0.0, context_dropout=0.0, any_behavior=1.0, mixture=False
    ),
    two_tower_fit=FitConfig(epochs=8, batch_size=16, learning_rate=2e-2, decay=False, keep="last"),
)


@pytest.fixture(scope="module")
def run(clean_log: CleanLog, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run without any remedy, trained on half of the users until it knows them by heart."""
    folder = tmp_path_factory.mktemp("attack") / "run"
    (folder / "two_tower").mkdir(parents=True)
    (folder / "clean").mkdir()
    write_clean_log(clean_log, folder / "clean")
    settings = PrepareSettings(CONFIG.split, CONFIG.filters, CONFIG.features)
    prepare(clean_log.events, clean_log.items, settings, folder / "prepared")
    data = open_prepared(folder / "prepared")
    _, history = fit_two_tower(data, CONFIG.two_tower, CONFIG.two_tower_fit, EvaluateConfig(), folder / "two_tower")
    write_run(folder, CONFIG, folder / "prepared", {"two_tower": Fitted(history, 1)})
    return open_run(folder)


def test_members_are_recognised_and_the_report_says_so(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["attack", "--run", str(run.directory), "--bootstrap-samples", "50", "--lengths", "10"]) == 0
    shown = capsys.readouterr().out
    assert "10 events or more, loss" in shown
    report = json.loads((run.directory / "attack" / "report.json").read_text(encoding="utf-8"))
    everybody = report["groups"]["everybody"]
    assert everybody["members"] == len(users_of_the_run(run) & _before_validation(run))
    attacks = everybody["attacks"]
    assert set(attacks) == {LOSS, CALIBRATED, KNOWN_ITEMS, POPULARITY}
    assert attacks[LOSS]["auc"]["low"] > 0.7
    assert attacks[LOSS]["advantage"]["mean"] > attacks[LOSS]["by_chance"]
    assert attacks[LOSS]["members"] > attacks[LOSS]["held_out"]
    # Every item that a member had is in the vocabulary, and popularity has seen neither.
    assert attacks[KNOWN_ITEMS]["members"] == 1.0 > attacks[KNOWN_ITEMS]["held_out"]
    assert attacks[POPULARITY]["auc"]["low"] < 0.5 < attacks[POPULARITY]["auc"]["high"]
    page = (run.directory / "attack" / "report.html").read_text(encoding="utf-8")
    assert "Who was trained on?" in page
    assert (run.directory / "attack" / "roc.png").is_file()


def _before_validation(run: Run) -> set[str]:
    events = clean_log(run)
    with_item = events[(events["timestamp"] < run.data.facts["split"]["validation_from"]) & (events["item_id"] != "")]
    return set(with_item["user_id"])


def test_scores_are_means_over_the_newest_events(run: Run) -> None:
    retrieval, space = load_two_tower(run), run.data.space
    sequences = encoded(clean_log(run).assign(side=0), set(clean_log(run)["user_id"]), space)
    some, scores = membership_scores(retrieval, sequences, space.catalogue, space.max_length)
    assert some.all()
    user = int(np.diff(sequences.first).argmax())
    ends = np.diff(sequences.first)[[user]]
    window: dict[str, Any] = dict(newest_windows(sequences, np.array([user]), ends, space.max_length))
    items = retrieval.model.candidates(retrieval.model.table())
    surprise, judged = (one.numpy()[0] for one in surprises(retrieval.every_query(window), items, window))
    assert scores[LOSS][user] == pytest.approx(-surprise[judged].mean(), rel=1e-4)
    rows = window["row"][0][judged]
    others = np.delete(sequences.row, np.arange(sequences.first[user], sequences.first[user + 1]))
    others = others[others >= FIRST]
    counts = np.bincount(others, minlength=FIRST + len(space.catalogue))
    rarity = -np.log((counts[rows] + 1) / (len(others) + len(space.catalogue)))
    assert scores[POPULARITY][user] == pytest.approx(-rarity.mean())
    assert scores[CALIBRATED] == pytest.approx(scores[LOSS] - scores[POPULARITY])
    assert scores[KNOWN_ITEMS][user] == pytest.approx((space.catalogue.item[rows] >= FIRST).mean())


def test_heads_do_not_see_who_was_held_out(run: Run) -> None:
    events = clean_events(run)
    assert set(events["user_id"]) == users_of_the_run(run) < set(clean_log(run)["user_id"])
    # The windows are those of the prepared data.
    assert events.loc[events["side"] > 0, "timestamp"].min() == run.data.facts["split"]["validation_from"]


@pytest.mark.parametrize(
    ("filters", "message"),
    [
        (FilterConfig(), "nobody was held out of this run; train one with --filters.held-out-users 0.5"),
        (FilterConfig(held_out_users=0.5), "only those trained on have passed this run's filters"),
        (FilterConfig(held_out_users=0.001, drop_bots=False), "at least 20 of each are needed"),
    ],
)
def test_runs_that_tell_nothing_are_refused(
    run: Run, filters: FilterConfig, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = run.directory / "config.json"
    before = path.read_text(encoding="utf-8")
    path.write_text(json.dumps(to_json(dataclasses.replace(run.config, filters=filters))), encoding="utf-8")
    try:
        assert main(["attack", "--run", str(run.directory)]) == 2
    finally:
        path.write_text(before, encoding="utf-8")
    assert message in capsys.readouterr().err


def test_what_else_is_refused_is_one_line(run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["attack", "--run", str(tmp_path)]) == 2
    assert "no finished run here" in capsys.readouterr().err
    assert main(["attack", "--run", str(run.directory), "--lengths", "30", "10"]) == 2
    assert "each above the last" in capsys.readouterr().err
    output = str(tmp_path / "output")
    everybody = ["--data", str(run.directory / "clean"), "--output", output, "--filters.held-out-users", "1"]
    assert main(["prepare", *everybody]) == 2
    assert "a share of the users, from 0 to below 1" in capsys.readouterr().err
    noisy = ["--two-tower-fit.gradient-noise", "1", "--two-tower-fit.clip-norm", "0"]
    assert main(["train", "--data", str(run.directory), "--run", output, "--model", "two_tower", *noisy]) == 2
    assert "noise needs a gradient that is clipped" in capsys.readouterr().err
    assert not Path(output).exists()
