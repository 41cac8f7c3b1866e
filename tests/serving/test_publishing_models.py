"""Publishing: what travels with a version, what keeps one from being published, and the way back."""

import dataclasses
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from live_server import live_server
from test_two_tower_export import exported, run

from recsys_tf.config import ExportConfig
from recsys_tf.errors import InputError
from recsys_tf.serving import export
from recsys_tf.serving.check_export import asked_alone, check_export, foreign_ops, leaked_users
from recsys_tf.serving.example_requests import Request, example_requests
from recsys_tf.serving.export import export_models, newest_version, roll_back, roll_back_run
from recsys_tf.serving.requirements import check_requirements, parse_requirement
from recsys_tf.training.runs import Run

__all__ = ["exported", "run"]  # fixtures
ROOT = Path(__file__).resolve().parents[2]


def test_every_signature_is_warmed_up_with_real_histories(run: Run, exported: Path) -> None:
    requests = example_requests(run.data, "two_tower")
    saved = tf.saved_model.load(str(exported))
    assert {one.signature for one in requests} == set(saved.signatures)
    known = {item.encode() for item in run.data.space.catalogue.item_ids}
    items = [item for one in requests for item in one.inputs["item_id"].ravel() if item]
    assert len(set(items)) > 5
    assert np.mean([item in known for item in items]) > 0.9
    searches = [text for one in requests if one.signature == "recommend" for text in one.inputs["query"].ravel()]
    assert any(searches)
    # A new user is among them.
    assert any(not (one.inputs["behavior"] != b"").any(axis=1).all() for one in requests if "behavior" in one.inputs)
    with live_server({"two_tower": exported.parent}) as server:
        line = f"two_tower version {exported.name} is AVAILABLE ({len(requests)} warm-up requests)"
        assert server.announced == [line]


def test_the_model_card_says_where_the_model_comes_from(run: Run, exported: Path) -> None:
    card = json.loads((exported / "assets.extra" / "model_card.json").read_text(encoding="utf-8"))
    report = json.loads((run.directory / "report.json").read_text(encoding="utf-8"))
    measured = report["recommenders"]["two-tower"]["intervals"]["NDCG@10"]["mean"]
    assert card["figures"]["ndcg@10"] == measured
    assert card["data"]["terms of the data"] == "not stated"
    assert card["data"]["training events"] == f"{run.data.facts['counts']['training_events']:,}"
    assert card["data"]["test from"].startswith("20")
    page = (exported / "assets.extra" / "model_card.html").read_text(encoding="utf-8")
    for text in (f"{measured:.4f}", card["purpose"], *card["limits"]):
        assert text in page.replace("&#39;", "'")


def figure_of(run: Run) -> float:
    report = json.loads((run.directory / "report.json").read_text(encoding="utf-8"))
    return float(report["recommenders"]["two-tower"]["intervals"]["NDCG@10"]["mean"])


def test_a_worse_model_is_not_published(run: Run, tmp_path: Path) -> None:
    config = ExportConfig(output=tmp_path, require=("hr@10>=0", f"NDCG@10 >= {figure_of(run) + 0.01:.4f}"))
    with pytest.raises(InputError, match=r"two_tower is not published: ndcg@10 is 0\.\d+, 'NDCG@10 >= "):
        export_models(run, config)
    assert not list(tmp_path.iterdir())
    check_requirements(run, (f"ndcg@10>={figure_of(run) - 0.001:.4f}", "hr@10>0"))


@pytest.mark.parametrize("text", ["ndcg@10", "ndcg@10=0.5", "ndcg@10>=much", ">=0.5", "ndcg@10>=1.2.3", "ndcg@10<0.5"])
def test_requirements_that_say_nothing(text: str) -> None:
    with pytest.raises(InputError, match="is no requirement"):
        parse_requirement(text)


def test_a_figure_that_nobody_measured(run: Run) -> None:
    with pytest.raises(InputError, match=r"no model of this run has that figure; known are .*ndcg@10"):
        check_requirements(run, ("ndcg@7>=0",))


def test_a_rolled_back_number_is_not_used_again(run: Run, tmp_path: Path) -> None:
    config = ExportConfig(output=tmp_path)
    for number in (1, 2):
        assert export_models(run, config) == [tmp_path / "two_tower" / str(number)]
    kept = tmp_path / "two_tower" / "rolled-back-2"
    assert roll_back(tmp_path / "two_tower") == (kept, 1)
    assert kept.is_dir()
    assert newest_version(tmp_path / "two_tower").name == "1"
    assert export_models(run, config) == [tmp_path / "two_tower" / "3"]
    assert roll_back(tmp_path / "two_tower")[1] == 1
    with pytest.raises(InputError, match="two_tower: version 1 is the only one: nothing would be served"):
        roll_back(tmp_path / "two_tower")
    assert newest_version(tmp_path / "two_tower").name == "1"
    with pytest.raises(InputError, match="no exported version"):
        roll_back(tmp_path / "classifier")


def test_a_version_of_another_run_is_not_rolled_back(run: Run, exported: Path, tmp_path: Path) -> None:
    for number in ("1", "2"):
        card = tmp_path / "models" / "two_tower" / number / "assets.extra" / "model_card.json"
        card.parent.mkdir(parents=True)
        shutil.copy(exported / "assets.extra" / "model_card.json", card)
    facts = {"finished": "2026-01-01T00:00:00+00:00"}
    kept, other = (dataclasses.replace(run, directory=tmp_path / "runs" / name) for name in ("keep", "keep2"))
    other = dataclasses.replace(other, facts=run.facts | facts)
    for one in (kept, other):
        one.directory.mkdir(parents=True)
        (one.directory / "run.json").write_text(json.dumps(one.facts), encoding="utf-8")
    message = f"version 2 was exported from {kept.directory}, not from {other.directory}$"
    with pytest.raises(InputError, match=message):
        roll_back_run(other, tmp_path / "models")
    assert newest_version(tmp_path / "models" / "two_tower").name == "2"
    [line] = roll_back_run(kept, tmp_path / "models")
    assert line == "two_tower: version 2 is out of service, it stays as rolled-back-2; version 1 serves again"


def test_no_model_of_a_run_is_rolled_back_when_one_cannot_be(run: Run, tmp_path: Path) -> None:
    both = dataclasses.replace(run, config=dataclasses.replace(run.config, model="all"))
    first, second = both.models
    for folder in (f"{first}/1", f"{first}/2", f"{second}/1"):
        (tmp_path / folder).mkdir(parents=True)
    with pytest.raises(InputError, match=f"{second}: version 1 is the only one"):
        roll_back_run(both, tmp_path)
    assert newest_version(tmp_path / first).name == "2"


def test_the_command_rolls_back(run: Run, exported: Path, tmp_path: Path) -> None:
    for number in ("4", "7"):
        (tmp_path / "two_tower" / number).mkdir(parents=True)
    command = ["run.py", "export", "--run", str(run.directory), "--output", str(tmp_path), "--rollback"]
    done = subprocess.run([sys.executable, *command], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == (
        "two_tower: version 7 is out of service, it stays as rolled-back-7; version 4 serves again"
    )
    assert sorted(path.name for path in (tmp_path / "two_tower").iterdir()) == ["4", "rolled-back-7"]


def test_what_fails_its_check_is_not_published(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = export._answer

    def off_by_a_little(signature: Any, inputs: dict[str, Any]) -> dict[str, Any]:
        answers = real(signature, inputs)
        return {name: value + 1e-3 if value.dtype.kind == "f" else value for name, value in answers.items()}

    monkeypatch.setattr(export, "_answer", off_by_a_little)
    with pytest.raises(InputError, match=r"gives another .* than the training code"):
        export_models(run, ExportConfig(output=tmp_path))
    assert [path for path in (tmp_path / "two_tower").iterdir() if not path.name.startswith(".")] == []


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """A SavedModel of no model of ours: text in, the same text and its length out."""
    function = tf.function(
        lambda s: {"s": s, "n": tf.strings.length(s)}, input_signature=[tf.TensorSpec([None], tf.string, "s")]
    )
    module = tf.Module()
    module.kept = function
    tf.saved_model.save(module, str(tmp_path / "1"), signatures=function)
    return tmp_path / "1"


def test_a_savedmodel_is_asked_alone(small: Path) -> None:
    texts = np.array(["é".encode(), b"\xff\x00", b""], object)
    [answer] = asked_alone(small, [Request("serving_default", {"s": texts})])
    assert answer["s"].tolist() == texts.tolist()
    assert answer["n"].tolist() == [2, 2, 0]
    (small / "saved_model.pb").write_bytes(b"broken")
    with pytest.raises(InputError, match="cannot be used by TensorFlow alone"):
        asked_alone(small, [])


def test_users_in_a_file_are_found(small: Path) -> None:
    (small / "assets.extra").mkdir()
    (small / "assets.extra" / "notes.txt").write_text("history of user-000017, who bought item-000042 twice")
    users = ["user-000017", "user-000018", "item-000042", "17"]
    assert leaked_users(small, users, known="the item-000042 of the catalogue") == ["user-000017"]
    request = Request("serving_default", {"s": np.array([b"a"], object)})
    right = {"s": np.array([b"a"], object), "n": np.array([1])}
    with pytest.raises(InputError, match="holds ids of users: user-000017"):
        check_export(small, [request], [right], users, "item-000042")
    check_export(small, [request], [right], ["user-000018"], "")
    with pytest.raises(InputError, match="gives another n than"):
        check_export(small, [request], [{**right, "n": np.array([2])}], [], "")
    assert foreign_ops(small) == []


def test_ops_that_tensorflow_does_not_bring_are_named(small: Path) -> None:
    from tensorflow.core.protobuf import saved_model_pb2

    path = small / "saved_model.pb"
    message = saved_model_pb2.SavedModel.FromString(path.read_bytes())
    message.meta_graphs[0].graph_def.node.add(name="x", op="Scann>ScannSearch")
    path.write_bytes(message.SerializeToString())
    with pytest.raises(InputError, match="not TensorFlow's own: Scann>ScannSearch"):
        check_export(small, [], [], [], "")


def test_terms_are_written_down(run: Run, tmp_path: Path) -> None:
    config = dataclasses.replace(ExportConfig(), output=tmp_path, terms="simulated, free to use")
    [version] = export_models(run, config)
    card = json.loads((version / "assets.extra" / "model_card.json").read_text(encoding="utf-8"))
    assert card["data"]["terms of the data"] == "simulated, free to use"
