"""`run.py train --head ads`: how likely an item that is shown is clicked on, by a finished run's frozen model."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from recsys_tf.config import AdsConfig
from recsys_tf.config_json import to_json
from recsys_tf.errors import InputError
from recsys_tf.evaluation.ads_evaluation import AdsEvaluation, evaluate_ads
from recsys_tf.evaluation.ads_report import write_ads_report
from recsys_tf.evaluation.look_alike_evaluation import (
    AVERAGED,
    CATEGORIES,
    REPRESENTATION,
    LookAlike,
    measure_look_alike,
    true_interests,
)
from recsys_tf.events.exposures import read_exposures
from recsys_tf.heads.ads import PairFeatures
from recsys_tf.heads.look_alike import mean_query
from recsys_tf.models.retrieval import Retrieval
from recsys_tf.page import plain
from recsys_tf.publishing import published_directory
from recsys_tf.results.files import publish_result
from recsys_tf.sequences.moments import side_of
from recsys_tf.sequences.newest_windows import newest_windows
from recsys_tf.sequences.shards import UserSequences
from recsys_tf.sequences.vocabularies import FIRST
from recsys_tf.training.fit_ads import fit_ads, pairs_of
from recsys_tf.training.fit_risk import in_batches
from recsys_tf.training.head_data import clean_events, encoded, open_for_head, users_of_the_run
from recsys_tf.training.runs import Run, head_folder, load_two_tower

Array = npt.NDArray[Any]


def train_ads(run_folder: Path, config: AdsConfig, publish: str) -> None:
    """Fit the ads head on a run's two-tower model, measure it, and write it to <run>/heads/ads/.

    Raises InputError for a run that was not split by time, and for an ad log that cannot be used.
    """
    run = open_for_head(run_folder)
    split = run.data.facts["split"]
    if split["test_from"] is None or split["validation_from"] is None:
        raise InputError("the ads head needs a run that was split by time", file=run_folder)
    exposures = read_exposures(Path(config.exposures) if config.exposures else run.config.data / "exposures.csv.gz")
    sequences = encoded(clean_events(run), users_of_the_run(run), run.data.space)
    retrieval, space = load_two_tower(run), run.data.space
    table = retrieval.model.table()
    features = PairFeatures(space.catalogue, _popularity(sequences, len(space.catalogue)))
    rows = _catalogue_rows(exposures["item_id"], space.catalogue.item_ids)
    side = side_of(exposures["timestamp"].to_numpy(), split["validation_from"], split["test_from"])
    print(f"fitting the ads head on {int((side == 0).sum()):,} exposures")
    pairs = pairs_of(exposures, side, config.event, sequences, features, retrieval, table, rows, space.max_length)
    head = fit_ads(pairs, features, config)
    print("measuring it on the test side")
    found = evaluate_ads(head, pairs, _truth(run, exposures, config), config)
    alike = _look_alike(run, sequences, retrieval, table, config)
    target = head_folder(run, "ads")
    with published_directory(target) as directory:
        head.save(directory)
        page = write_ads_report(directory, run.directory.name, found, alike, config)
    _print(found, alike)
    if publish:
        print(f"published as {publish_result(publish, _result(run, found, alike, config))}")
    print(f"report: {target / page.name}")


def _popularity(sequences: UserSequences, items: int) -> npt.NDArray[np.float32]:
    """Training events of each item of the catalogue: float32 [items]."""
    within = np.arange(len(sequences.row)) - np.repeat(sequences.first[:-1], np.diff(sequences.first))
    known = sequences.row[within < np.repeat(sequences.training_end, np.diff(sequences.first))]
    counts: npt.NDArray[np.float32] = np.bincount(known[known >= FIRST] - FIRST, minlength=items).astype(np.float32)
    return counts


def _catalogue_rows(item_id: pd.Series, item_ids: tuple[str, ...]) -> Array:
    found = pd.Index(item_ids).get_indexer(pd.Index(item_id))
    return np.where(found >= 0, found + FIRST, 0)


def _truth(run: Run, exposures: pd.DataFrame, config: AdsConfig) -> Array | None:
    """The true probability of every exposure, where the log is simulated and its truth lies beside it."""
    path = run.config.data / "truth" / "exposures.csv.gz"
    if not path.is_file():
        return None
    truth = pd.read_csv(path)
    # Row by row, as the simulator has written both.
    if len(truth) != len(exposures):
        raise InputError("the truth does not belong to this ad log", file=path)
    name = "click" if config.event == "clicked" else "purchase"
    probability: Array = truth[name].to_numpy(np.float64)
    return probability


def _look_alike(
    run: Run, sequences: UserSequences, retrieval: Retrieval, table: Any, config: AdsConfig
) -> LookAlike | None:
    truth = run.config.data / "truth"
    if not (truth / "interests.csv.gz").is_file():
        return None
    space = run.data.space
    users = np.arange(len(sequences.users))
    windows = newest_windows(sequences, users, sequences.validation_end, space.max_length)

    def ask(ids: dict[str, Any]) -> dict[str, Any]:
        return {"last": retrieval.representation(ids, table), "mean": mean_query(retrieval, ids)}

    vectors = in_batches(ask, windows)
    categories = np.zeros((len(users), space.categories.size))
    category = space.catalogue.category[windows["row"]]
    user, position = np.nonzero(windows["row"] >= FIRST)
    np.add.at(categories, (user, category[user, position]), 1.0)
    interest = true_interests(truth, sequences.users, int(run.data.facts["split"]["test_from"]))
    return measure_look_alike(
        {REPRESENTATION: vectors["last"], AVERAGED: vectors["mean"], CATEGORIES: categories}, interest, config
    )


def _print(found: AdsEvaluation, alike: LookAlike | None) -> None:
    print(f"{found.exposures:,} exposures of the test window, {found.answers:,} answered")
    for name, row in sorted(found.rows.items(), key=lambda pair: pair[1].log_loss.mean):
        error = row.reliability.expected_calibration_error
        print(f"  {name:<30}log loss {row.log_loss.text(4)}  ROC AUC {row.auc.text()}  calibration error {error:.4f}")
    if alike is not None:
        for name, precision in sorted(alike.precision.items(), key=lambda pair: -pair[1].mean):
            print(f"  look-alike by {name:<24}precision {precision.text()}")


def _result(run: Run, found: AdsEvaluation, alike: LookAlike | None, config: AdsConfig) -> dict[str, Any]:
    """What a published result file holds besides the environment."""
    return {
        "configuration": to_json(run.config),
        "ads": to_json(config),
        "trained_with": {key: run.facts[key] for key in ("command", "commit", "finished", "machine", "packages")},
        "probabilities": plain(found),
        "audiences": plain(alike),
    }
