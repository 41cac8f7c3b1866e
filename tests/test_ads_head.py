"""`run.py train --head ads`: from a finished run and an ad log to figures, a report, and a served signature."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

from recsys_tf.cli import main
from recsys_tf.events.exposures import read_exposures
from recsys_tf.heads.ads import FEATURES, AdsHead, PairFeatures
from recsys_tf.sequences.vocabularies import FIRST
from recsys_tf.serving.example_requests import example_requests
from recsys_tf.serving.export import export_model
from recsys_tf.training.fit_ads import pairs_of
from recsys_tf.training.head_data import clean_events, encoded, users_of_the_run
from recsys_tf.training.runs import Run, head_folder, load_two_tower


@pytest.fixture(scope="module")
def run(head_run: Run) -> Run:
    """The shared run, with the ads head on it."""
    few = ["--bootstrap-samples", "20", "--seeds", "2"]
    assert main(["train", "--head", "ads", "--run", str(head_run.directory), *few]) == 0
    return head_run


def test_the_ad_log_is_the_one_beside_the_log_of_the_run(run: Run, shop_folder: Path) -> None:
    report = json.loads((head_folder(run, "ads") / "report.json").read_text(encoding="utf-8"))
    exposures = read_exposures(shop_folder / "exposures.csv.gz")
    tested = exposures["timestamp"] >= run.data.facts["split"]["test_from"]
    assert report["probabilities"]["exposures"] == tested.sum() > 0
    assert report["ads"]["exposures"] == ""


def test_the_head_stands_beside_rules_and_the_truth(run: Run) -> None:
    report = json.loads((head_folder(run, "ads") / "report.json").read_text(encoding="utf-8"))
    rows = report["probabilities"]["rows"]
    assert set(rows) == {
        "ads head",
        "logistic regression on counts",
        "popularity of the item",
        "the average rate",
        "the truth (simulated)",
    }
    # No probability beats the true one but by luck, which these few exposures allow: the average rate never does.
    assert rows["the truth (simulated)"]["log_loss"]["mean"] < rows["the average rate"]["log_loss"]["mean"]
    assert rows["the average rate"]["auc"]["mean"] == 0.5
    assert set(report["audiences"]["precision"]) > {"the representation", "counts of categories", "anybody"}
    assert (head_folder(run, "ads") / "reliability.png").is_file()


def test_what_happens_later_changes_no_feature(run: Run) -> None:
    space, retrieval = run.data.space, load_two_tower(run)
    table = retrieval.model.table()
    events = clean_events(run)
    kept = events[events["user_id"].isin(users_of_the_run(run))]
    busiest = kept["user_id"].value_counts().index[0]
    moment = int(events.loc[events["user_id"] == busiest, "timestamp"].iloc[5])
    exposures = pd.DataFrame({"user_id": [busiest], "timestamp": [moment], "item_id": ["x"], "clicked": [True]})
    features = PairFeatures(space.catalogue, np.ones(len(space.catalogue), np.float32))

    def found(known: pd.DataFrame) -> Any:
        sequences = encoded(known, users_of_the_run(run), space)
        arguments = (retrieval, table, np.array([FIRST]), space.max_length)
        return pairs_of(exposures, np.array([0]), "clicked", sequences, features, *arguments).features

    everything = found(events)
    # An event at the very moment has not been seen either.
    earlier = found(events[(events["user_id"] != busiest) | (events["timestamp"] < moment)])
    assert everything.tolist() == earlier.tolist()
    assert found(events[events["user_id"] != busiest]).tolist() != earlier.tolist()
    assert everything.shape == (1, len(FEATURES))


# The export with every head, tested beside the service head, asks this signature too.
@pytest.mark.slow
def test_the_export_answers_as_the_head_does(run: Run) -> None:
    folder = export_model(run, "two_tower", run.config.export)
    signature = tf.saved_model.load(str(folder)).signatures["ads"]
    retrieval, space = load_two_tower(run), run.data.space
    head = AdsHead.load(head_folder(run, "ads"), space.catalogue)
    [request, *_] = [one for one in example_requests(run.data, "two_tower", ["ads"]) if one.signature == "ads"]
    inputs: dict[str, Any] = {
        name: tf.constant(values, tf.string) if values.dtype == object else tf.constant(values)
        for name, values in request.inputs.items()
    }
    number = len(request.inputs["item_id"])
    inputs["candidate"] = tf.constant([[space.catalogue.item_ids[0], "nobody knows this"]] * number)
    answer = signature(**inputs)
    assert answer["known"].numpy().tolist() == [[True, False]] * number
    probability = answer["probability"].numpy()
    assert (probability[:, 1] == 0).all()
    assert ((probability[:, 0] > 0) & (probability[:, 0] < 1)).all()
    assert head.weights.shape == (len(FEATURES),)
    assert retrieval.mixture is not None


def test_what_cannot_be_fitted_is_one_line(run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    few = tmp_path / "ads.csv"
    known = run.data.space.catalogue.item_ids[0]
    for item, message in ((known, "too few to learn from"), ("nobody", "shows no item of the catalogue")):
        few.write_text(f"user_id,timestamp,item_id,clicked,purchased\na,1,{item},0,0\n", encoding="utf-8")
        assert main(["train", "--head", "ads", "--run", str(run.directory), "--exposures", str(few)]) == 2
        assert message in capsys.readouterr().err
    assert main(["train", "--head", "ads", "--run", str(run.directory), "--exposures", str(tmp_path / "no")]) == 2
    assert "no ad log here" in capsys.readouterr().err
