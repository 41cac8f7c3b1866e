"""An exported model answers in a process without our package, Keras 2 and TFRS, as the training code would."""

import base64
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from recsys_tf.config import EvaluateConfig, ExportConfig, TrainConfig
from recsys_tf.errors import InputError
from recsys_tf.evaluation.predictions import make_predictor
from recsys_tf.evaluation.queries import Queries, read_queries
from recsys_tf.events.cleaning import CleanLog
from recsys_tf.publishing import published_directory
from recsys_tf.sequences.dataset import open_prepared
from recsys_tf.sequences.features import EventIds
from recsys_tf.sequences.labels import class_names
from recsys_tf.serving.export import export_model, newest_version
from recsys_tf.serving.recommend import recommend
from recsys_tf.training.fit import fit_classifier
from recsys_tf.training.runs import Fitted, Run, load_classifier, open_run, write_run

ALONE = """
import base64, json, sys
import tensorflow as tf
model = tf.saved_model.load(sys.argv[1])
asked = json.loads(sys.stdin.read())
answers = {}
for name, inputs in asked.items():
    if name == "classify":
        inputs = {"inputs": [base64.b64decode(text) for text in inputs["inputs"]]}
    signature = model.signatures[name]
    kinds = {key: spec.dtype for key, spec in signature.structured_input_signature[1].items()}
    out = signature(**{key: tf.constant(value, kinds[key]) for key, value in inputs.items()})
    answers[name] = {
        key: [[v.decode() if isinstance(v, bytes) else v for v in row] for row in value.numpy().tolist()]
        for key, value in out.items()
    }
assert not any(m.split(".")[0] in ("recsys_tf", "tf_keras", "tensorflow_recommenders") for m in sys.modules)
print("ANSWERS", json.dumps(answers))
"""


@pytest.fixture(scope="module")
def run(prepared: Any, raw_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A classifier trained for one epoch."""
    import dataclasses

    from recsys_tf.config import preset

    folder = tmp_path_factory.mktemp("run")
    quick = preset("quick")
    config = dataclasses.replace(
        quick,
        model="classifier",
        data=raw_folder,
        fit=dataclasses.replace(quick.fit, epochs=1),
        classifier=dataclasses.replace(quick.classifier, embedding_size=16, lstm_units=(16, 8)),
    )
    (folder / "classifier").mkdir()
    data = open_prepared(prepared.directory)
    model, history = fit_classifier(data, config.classifier, config.fit, folder / "classifier")
    write_run(folder, config, prepared.directory, {"classifier": Fitted(history, model.count_params())})
    return open_run(folder)


@pytest.fixture(scope="module")
def exported(run: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its SavedModel."""
    return export_model(run, "classifier", ExportConfig(output=tmp_path_factory.mktemp("saved")))


def ask(exported: Path, asked: dict[str, Any]) -> dict[str, Any]:
    environment = {key: value for key, value in os.environ.items() if key != "TF_USE_LEGACY_KERAS"}
    done = subprocess.run(
        [sys.executable, "-c", ALONE, str(exported)],
        input=json.dumps(asked), capture_output=True, text=True, cwd=exported, env=environment, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    line = next(line for line in done.stdout.splitlines() if line.startswith("ANSWERS "))
    answers: dict[str, Any] = json.loads(line.removeprefix("ANSWERS "))
    return answers


def raw_histories(run: Run, queries: Queries, searches: list[str]) -> dict[str, list[list[Any]]]:
    """Write histories of ids back as the text that a client would send, shorter ones padded with ""."""
    space = run.data.space
    items = ["", "", "an item nobody knows", *space.catalogue.item_ids]
    behaviors = ["", "", "?", *space.behaviors.tokens]
    devices = ["", "", "?", *space.devices.tokens]
    # n-grams cannot be put together again; a search with the same ids can be looked up.
    found = EventIds(space).words(tf.constant(["", *searches])).numpy()
    search = {tuple(words): text for words, text in zip(found.tolist(), ["", *searches], strict=True)}
    ids = {name: values[:, 1:] for name, values in queries.ids.items()}
    return {
        "item_id": [[items[i] for i in row] for row in ids["row"]],
        "behavior": [[behaviors[i] for i in row] for row in ids["behavior"]],
        "device": [[devices[i] for i in row] for row in ids["device"]],
        "query": [[search[tuple(event)] for event in row] for row in ids["words"].tolist()],
        "timestamp": ids["timestamp"].tolist(),
    }


def example(history: dict[str, list[list[Any]]], row: int) -> str:
    """One history as a serialized tf.Example, as a client would send it: without padding; in base64."""
    message = tf.train.Example()
    held = sum(behavior != "" for behavior in history["behavior"][row])
    for name, values in history.items():
        feature = message.features.feature[name]
        if name == "timestamp":
            feature.int64_list.value.extend(values[row][:held])
        elif any(values[row]):
            feature.bytes_list.value.extend(text.encode() for text in values[row][:held])
    return base64.b64encode(message.SerializeToString()).decode()


def test_a_process_without_our_package_gives_the_training_codes_answers(
    run: Run, exported: Path, clean_log: CleanLog
) -> None:
    queries = read_queries(run.data, "next_category", 5, EvaluateConfig(max_queries=40))
    history = raw_histories(run, queries, clean_log.events["query"].unique().tolist())
    k = 5
    asked = {
        "next_class_full": {**history, "k": [k] * len(queries)},
        "serving_default": {
            "item_id": [[], []], "behavior": [[], []], "k": [2, 3],
        },
        "recommend": {"item_id": history["item_id"], "behavior": history["behavior"], "k": [k] * len(queries)},
        "classify": {"inputs": [example(history, row) for row in range(len(queries))]},
    }  # fmt: skip
    answers = ask(exported, asked)
    names = class_names(run.data.space, "next_category")
    expected = make_predictor(load_classifier(run), run.data.space, "events")(queries).probabilities
    order = np.argsort(-expected, axis=1, kind="stable")[:, :k]
    classified = answers["classify"]
    assert [labels[:k] for labels in classified["classes"]] == answers["next_class_full"]["label"]
    assert np.array(classified["scores"])[:, :k] == pytest.approx(np.array(answers["next_class_full"]["probability"]))
    got = answers["next_class_full"]
    assert np.array(got["probability"]) == pytest.approx(np.take_along_axis(expected, order, 1), abs=1e-5)
    differing = [row for row, labels in enumerate(got["label"]) if labels != [names[index] for index in order[row]]]
    # Only classes with equal probabilities may change places.
    for row in differing:
        by_name = {names[index]: expected[row, index] for index in range(len(names))}
        assert [by_name[label] for label in got["label"][row]] == pytest.approx(expected[row, order[row]], abs=1e-5)
    assert answers["serving_default"]["label"][0][2] == ""
    assert all(answers["serving_default"]["label"][1])
    catalogue = set(run.data.space.catalogue.item_ids)
    assert {item for row in answers["recommend"]["item_id"] for item in row} <= catalogue
    assert all(len(set(row)) == k for row in answers["recommend"]["item_id"])
    scores = np.array(answers["recommend"]["score"])
    assert (np.diff(scores, axis=1) <= 1e-6).all()
    assert (np.abs(scores) <= 1 + 1e-5).all()


def test_padding_may_stand_anywhere_and_old_events_fall_off(run: Run, exported: Path) -> None:
    loaded = tf.saved_model.load(str(exported))
    signature = loaded.signatures["serving_default"]
    items = list(run.data.space.catalogue.item_ids[:20])

    def probabilities(item_id: list[str]) -> Any:
        behavior = ["view" if item else "" for item in item_id]
        answer = signature(
            item_id=tf.constant([item_id]), behavior=tf.constant([behavior]), k=tf.constant([5], tf.int32)
        )
        return answer["probability"].numpy()

    plain = probabilities(items[:3])
    assert probabilities([*items[:3], "", ""]) == pytest.approx(plain, abs=1e-6)
    assert probabilities(["", items[0], "", *items[1:3]]) == pytest.approx(plain, abs=1e-6)
    newest = items[-run.data.space.max_length :]
    assert probabilities(items) == pytest.approx(probabilities(newest), abs=1e-6)
    guessed = signature(
        item_id=tf.constant([items[:3]]), behavior=tf.constant([[""] * 3]), k=tf.constant([5], tf.int32)
    )
    assert guessed["probability"].numpy() == pytest.approx(plain, abs=1e-6)


def test_every_op_is_tensorflows_own_and_no_user_is_inside(run: Run, exported: Path) -> None:
    from tensorflow.core.protobuf import saved_model_pb2

    message = saved_model_pb2.SavedModel.FromString((exported / "saved_model.pb").read_bytes())
    graph = message.meta_graphs[0].graph_def
    ops = {node.op for node in graph.node} | {
        node.op for function in graph.library.function for node in function.node_def
    }
    foreign = [
        op for op in ops if not hasattr(tf.raw_ops, op) and op not in {f.signature.name for f in graph.library.function}
    ]
    assert not foreign
    files = b"".join(path.read_bytes() for path in exported.rglob("*") if path.is_file())
    users = set(read_queries(run.data, "next_category", 5, EvaluateConfig(max_queries=0)).user)
    assert users
    assert not any(user.encode() in files for user in users)


def test_versions_count_up_and_other_names_are_none(run: Run, tmp_path: Path) -> None:
    folder = tmp_path / "classifier"
    with pytest.raises(InputError, match="no exported version"):
        newest_version(folder)
    (folder / "7").mkdir(parents=True)
    (folder / "latest").mkdir()
    (folder / ".8.partial").mkdir()
    exported = export_model(run, "classifier", ExportConfig(output=tmp_path))
    assert exported == newest_version(folder) == folder / "8"
    assert sorted(path.name for path in folder.iterdir()) == [".8.partial", "7", "8", "latest"]


def test_nothing_is_published_when_writing_fails(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="full"), published_directory(tmp_path / "classifier" / "1") as folder:
        (folder / "saved_model.pb").write_bytes(b"half")
        raise OSError("disk full")
    assert list((tmp_path / "classifier").iterdir()) == []


def test_recommend_on_the_command_line(exported: Path, run: Run, tiny: TrainConfig) -> None:
    items = list(run.data.space.catalogue.item_ids[:2])
    answer = recommend(exported.parent, items, ["view", "cart"], 4)
    assert len(answer.classes) == len(answer.items) == 4
    assert [p for _, p in answer.classes] == sorted((p for _, p in answer.classes), reverse=True)
    assert recommend(exported.parent, [], [], 3).classes
    with pytest.raises(InputError, match="one behaviour per item"):
        recommend(exported.parent, items, ["view"], 4)
    with pytest.raises(InputError, match="unknown behaviour 'stare'"):
        recommend(exported.parent, items, ["view", "stare"], 4)
