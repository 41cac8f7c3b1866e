"""`run.py train --head risk`: from a finished run to figures, a report, and a signature that a server answers."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from recsys_tf.cli import main
from recsys_tf.heads.risk import RiskHead
from recsys_tf.serving.example_requests import example_requests
from recsys_tf.serving.export import export_model
from recsys_tf.training.runs import Run, head_folder, load_two_tower


@pytest.fixture(scope="module")
def run(head_run: Run) -> Run:
    """The shared run, with the risk head on it."""
    few = ["--recent", "3", "--trees", "20", "--bootstrap-samples", "20"]
    assert main(["train", "--head", "risk", "--run", str(head_run.directory), *few]) == 0
    return head_run


def test_both_questions_are_answered_beside_rules(run: Run) -> None:
    report = json.loads((head_folder(run, "risk") / "report.json").read_text(encoding="utf-8"))
    assert set(report["tasks"]) == {"bots", "take_over"}
    for name, rule in (("bots", "number of events"), ("take_over", "categories that are new to the account")):
        task = report["tasks"][name]
        assert 0 < task["wrong"] < task["cases"]
        assert {"surprise", "isolation of the representation", "all three together", rule} <= set(task["detectors"])
        for row in task["detectors"].values():
            assert 0 <= row["auc"]["low"] <= row["auc"]["mean"] <= row["auc"]["high"] <= 1
    assert report["tasks"]["take_over"]["wrong"] * 2 == report["tasks"]["take_over"]["cases"]
    page = (head_folder(run, "risk") / "report.html").read_text(encoding="utf-8")
    assert "Bots among people" in page
    assert (head_folder(run, "risk") / "bots.png").is_file()


# The export with every head, tested beside the service head, asks this signature too.
@pytest.mark.slow
def test_the_export_answers_as_the_head_does(run: Run) -> None:
    # export_model itself asks every signature in a process of TensorFlow alone before it publishes.
    folder = export_model(run, "two_tower", run.config.export)
    loaded = tf.saved_model.load(str(folder))
    requests = [one for one in example_requests(run.data, "two_tower", ["risk"]) if one.signature == "risk"]
    retrieval = load_two_tower(run)
    head = RiskHead.load(head_folder(run, "risk"))
    for request in requests:
        inputs: dict[str, Any] = {
            name: tf.constant(values, tf.string) if values.dtype == object else tf.constant(values)
            for name, values in request.inputs.items()
        }
        answer = loaded.signatures["risk"](**inputs)
        assert set(answer) == {"surprise", "estrangement", "isolation", "risk"}
        assert all(len(values) == len(request.inputs["item_id"]) for values in answer.values())
        assert ((answer["risk"].numpy() >= 0) & (answer["risk"].numpy() <= 1)).all()
        measures = {name: answer[name] for name in ("surprise", "estrangement", "isolation")}
        np.testing.assert_allclose(answer["risk"], head.together(measures), atol=1e-6)
        if request.inputs["item_id"].shape[1] == 0:
            # A new user has done nothing that could surprise.
            assert answer["surprise"].numpy().tolist() == [0.0]
    assert retrieval.mixture is not None


def test_what_cannot_be_a_head_is_one_line(run: Run, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["train", "--head", "fortune"]) == 2
    assert "unknown head 'fortune'" in capsys.readouterr().err
    assert main(["train", "--head", "risk", "--run", str(tmp_path)]) == 2
    assert "no finished run here" in capsys.readouterr().err
