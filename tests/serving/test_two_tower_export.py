"""An exported two-tower model answers in a process without our package as the training code does."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from test_export import ask, raw_histories

from recsys_tf.config import EvaluateConfig, ExportConfig, FeatureConfig, TrainConfig, preset
from recsys_tf.evaluation.queries import read_queries
from recsys_tf.evaluation.two_tower_scores import TwoTowerScores
from recsys_tf.events.cleaning import CleanLog
from recsys_tf.serving.export import export_model
from recsys_tf.training.runs import Run, load_two_tower, open_run
from recsys_tf.workflow import train

K = 5


@pytest.fixture(scope="module")
def run(raw_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A two-tower model trained for one epoch, from the raw log on."""
    folder = tmp_path_factory.mktemp("two_tower")
    quick = preset("quick")
    config: TrainConfig = dataclasses.replace(
        quick,
        model="two_tower",
        data=raw_folder,
        run=str(folder / "run"),
        features=FeatureConfig(max_length=10, words=4),
        two_tower=dataclasses.replace(quick.two_tower, width=16),
        two_tower_fit=dataclasses.replace(quick.two_tower_fit, epochs=1),
        evaluate=dataclasses.replace(quick.evaluate, bootstrap_samples=20, max_queries=200),
        export=ExportConfig(output=folder / "saved_models"),
    )
    return open_run(train(config))


@pytest.fixture(scope="module")
def exported(run: Run) -> Path:
    """The first version that the training exported."""
    folder: Path = run.config.export.output / "two_tower" / "1"
    return folder


def asked(items: list[list[str]], **more: Any) -> dict[str, Any]:
    """A request to `recommend` that knows of items only, unless said otherwise."""
    empty = [[""] * len(row) for row in items]
    request: dict[str, Any] = {"item_id": items, "behavior": empty, "query": empty, "device": empty}
    request |= {"timestamp": [[0] * len(row) for row in items], "k": [K] * len(items)}
    return request | nothing_asked(len(items)) | more


def nothing_asked(number: int) -> dict[str, Any]:
    """What `recommend` wants beside histories, where nothing is asked of the answer."""
    return {"target_behavior": [""] * number, "exclude": [[""]] * number, "category": [""] * number}


def test_a_process_without_our_package_gives_the_training_codes_answers(
    run: Run, exported: Path, clean_log: CleanLog
) -> None:
    queries = read_queries(run.data, "next_item", 1, EvaluateConfig(max_queries=60))
    searches = clean_log.events["query"].unique().tolist()
    history = raw_histories(run, queries, searches)
    assert any(query for row in history["query"] for query in row)
    known = list(run.data.space.catalogue.item_ids[:4])
    answers = ask(
        exported,
        {
            "recommend": {**history, **nothing_asked(len(queries)), "k": [K] * len(queries)},
            "serving_default": {
                "item_id": [["", ""], known[:2], [known[0], "an item nobody knows"]],
                "behavior": [["", ""], ["view", "purchase"], ["view", "stare"]],
                "k": [3, 2, K],
            },
        },
    )
    retrieval = load_two_tower(run)
    expected = TwoTowerScores(retrieval).scorer(queries)(slice(0, len(queries)))
    best = np.argsort(-expected, axis=1, kind="stable")[:, :K]
    got = answers["recommend"]
    names = run.data.space.catalogue.item_ids
    assert np.array(got["score"]) == pytest.approx(np.take_along_axis(expected, best, 1), abs=1e-5)
    by_name = [dict(zip(names, row, strict=True)) for row in expected]
    for row, listed in enumerate(got["item_id"]):
        # Only items with all but equal scores may change places.
        assert len(set(listed)) == K
        assert [by_name[row][item] for item in listed] == pytest.approx(expected[row, best[row]], abs=1e-5)
    same = np.mean([listed == [names[at] for at in best[row]] for row, listed in enumerate(got["item_id"])])
    assert same > 0.9
    titles = dict(zip(names, run.data.space.catalogue.titles, strict=True))
    assert all(
        titles[item] == title
        for items, shown in zip(got["item_id"], got["title"], strict=True)
        for item, title in zip(items, shown, strict=True)
    )
    # Each row has as many items as it asked for; an empty history and unknown ids have a list too.
    lists = answers["serving_default"]["item_id"]
    assert [sum(item != "" for item in row) for row in lists] == [3, 2, K]
    assert answers["serving_default"]["score"][0][3:] == [0.0, 0.0]
    assert {item for row in lists for item in row if item} <= set(names)


def test_the_mixture_is_inside(run: Run, exported: Path) -> None:
    retrieval = load_two_tower(run)
    assert retrieval.mixture is not None
    signature = tf.saved_model.load(str(exported)).signatures["recommend"]
    answer = signature(**tensors(asked([[run.data.space.catalogue.item_ids[0]]])))
    assert 0 < answer["score"].numpy().min() <= answer["score"].numpy().sum() <= 1


def tensors(request: dict[str, Any]) -> dict[str, Any]:
    kinds = {"timestamp": tf.int64, "k": tf.int32}
    return {name: tf.constant(value, kinds.get(name, tf.string)) for name, value in request.items()}


def test_a_search_changes_the_answer(run: Run, exported: Path, clean_log: CleanLog) -> None:
    signature = tf.saved_model.load(str(exported)).signatures["recommend"]
    item = run.data.space.catalogue.item_ids[0]
    query = str(clean_log.events.loc[clean_log.events["query"] != "", "query"].mode()[0])

    def everything(words: str) -> Any:
        request = asked([[item, ""]], query=[["", words]], k=[100])
        answer = signature(**tensors(request))
        return dict(zip(answer["item_id"].numpy()[0], answer["score"].numpy()[0], strict=True))

    plain, searched = everything(""), everything(query)
    both = plain.keys() & searched.keys()
    assert max(abs(plain[one] - searched[one]) for one in both) > 1e-6
    # An event that says nothing at all is padding.
    shorter = signature(**tensors(asked([[item]], k=[100])))
    assert list(plain.values()) == pytest.approx(shorter["score"].numpy()[0].tolist(), abs=1e-6)


def test_padding_may_stand_anywhere_and_old_events_fall_off(run: Run, exported: Path) -> None:
    signature = tf.saved_model.load(str(exported)).signatures["recommend"]
    items = list(run.data.space.catalogue.item_ids[:20])

    def scores(item_id: list[str]) -> Any:
        return signature(**tensors(asked([item_id])))["score"].numpy()

    plain = scores(items[:3])
    assert scores([*items[:3], "", ""]) == pytest.approx(plain, abs=1e-6)
    assert scores(["", items[0], "", *items[1:3]]) == pytest.approx(plain, abs=1e-6)
    assert scores(items) == pytest.approx(scores(items[-run.data.space.max_length :]), abs=1e-6)


def test_every_op_is_tensorflows_own_and_no_user_is_inside(run: Run, exported: Path) -> None:
    from tensorflow.core.protobuf import saved_model_pb2

    message = saved_model_pb2.SavedModel.FromString((exported / "saved_model.pb").read_bytes())
    graph = message.meta_graphs[0].graph_def
    functions = {function.signature.name for function in graph.library.function}
    nodes = [*graph.node, *(node for function in graph.library.function for node in function.node_def)]
    assert nodes
    assert not [node.op for node in nodes if not hasattr(tf.raw_ops, node.op) and node.op not in functions]
    files = b"".join(path.read_bytes() for path in exported.rglob("*") if path.is_file())
    users = set(read_queries(run.data, "next_item", 1, EvaluateConfig(max_queries=0)).user)
    assert users
    assert not any(user.encode() in files for user in users)


def test_versions_count_up(run: Run, exported: Path) -> None:
    again = export_model(run, "two_tower", run.config.export)
    assert (exported.name, again.name) == ("1", "2")
    item = [[run.data.space.catalogue.item_ids[1]]]
    first, second = (
        tf.saved_model.load(str(folder)).signatures["recommend"](**tensors(asked(item))) for folder in (exported, again)
    )
    assert (first["item_id"].numpy() == second["item_id"].numpy()).all()
