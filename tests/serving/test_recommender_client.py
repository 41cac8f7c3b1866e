"""The typed client asks a real server over REST and over gRPC, and both give the model's own answers."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from live_server import LiveServer, live_server
from test_two_tower_export import exported, run

from recsys_tf.errors import InputError
from recsys_tf.serving.client import PredictClient
from recsys_tf.serving.grpc_client import GrpcPredictClient
from recsys_tf.serving.recommend import recommend
from recsys_tf.serving.recommender_client import Event, RecommenderClient
from recsys_tf.training.runs import Run

__all__ = ["exported", "run"]  # fixtures
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def server(exported: Path) -> Iterator[LiveServer]:
    with live_server({"two_tower": exported.parent}) as running:
        yield running


@pytest.fixture(params=["REST", "gRPC"])
def client(request: Any, server: LiveServer) -> Iterator[RecommenderClient]:
    if request.param == "REST":
        yield RecommenderClient(PredictClient(server.url))
        return
    transport = GrpcPredictClient(f"127.0.0.1:{server.grpc_port}")
    yield RecommenderClient(transport)
    transport.close()


@pytest.fixture(scope="module")
def items(run: Run) -> list[str]:
    return list(run.data.space.catalogue.item_ids[:6])


def test_both_ways_give_the_models_answers(client: RecommenderClient, exported: Path, items: list[str]) -> None:
    history = [Event(items[0], "view"), Event(items[1], "purchase")]
    found = client.recommend(history, k=4)
    signature = tf.saved_model.load(str(exported)).signatures["serving_default"]
    expected = signature(
        item_id=tf.constant([items[:2]]), behavior=tf.constant([["view", "purchase"]]), k=tf.constant([4])
    )
    assert [one.item_id for one in found] == [item.decode() for item in expected["item_id"].numpy()[0]]
    assert [one.title for one in found] == [title.decode() for title in expected["title"].numpy()[0]]
    assert [one.score for one in found] == pytest.approx(expected["score"].numpy()[0].tolist(), rel=1e-5)


def test_what_is_asked_of_the_answer(client: RecommenderClient, run: Run, items: list[str]) -> None:
    history = [Event(items[0])]
    plain = [one.item_id for one in client.recommend(history, k=5)]
    less = client.recommend(history, k=4, exclude=plain[:1])
    assert [one.item_id for one in less] == plain[1:]
    catalogue = run.data.space.catalogue
    inside = client.recommend(history, k=50, category=catalogue.categories[0])
    by_item = dict(zip(catalogue.item_ids, catalogue.categories, strict=True))
    assert {by_item[one.item_id] for one in inside} == {catalogue.categories[0]}
    assert client.recommend([], k=3)
    bought = client.recommend(history, k=5, target_behavior="purchase")
    assert [one.score for one in bought] != [one.score for one in client.recommend(history, k=5)]


def test_search_score_explain_and_embed(client: RecommenderClient, items: list[str]) -> None:
    history = [Event(items[0]), Event(items[1], "cart"), Event(behavior="search", query="red lamp", timestamp=5)]
    assert len(client.search(history[:2], "red lamp", k=3)) == 3
    best = client.recommend(history, k=2)
    scores = client.score(history, [best[1].item_id, "nobody knows this", best[0].item_id])
    assert scores == [pytest.approx(best[1].score, rel=1e-5), None, pytest.approx(best[0].score, rel=1e-5)]
    explained = client.explain(history, k=2)
    assert [one.item_id for one in explained] == [one.item_id for one in best]
    assert [len(one.contributions) for one in explained] == [3, 3]
    assert np.abs(explained[0].contributions).max() > 0
    vector = client.embed(history)
    assert len(vector) == 16
    assert client.embed(history, target_behavior="cart") != vector


def test_padding_changes_nothing(server: LiveServer, items: list[str]) -> None:
    transport = PredictClient(server.url)
    history = [Event(items[0]), Event(items[1], "cart")]
    plain, padded = (RecommenderClient(transport, pad_to=number).explain(history, k=3) for number in (0, 9))
    assert [one.item_id for one in padded] == [one.item_id for one in plain]
    for one, other in zip(padded, plain, strict=True):
        assert one.contributions == pytest.approx(other.contributions, abs=1e-6)


@pytest.mark.parametrize(
    ("ask", "field"),
    [
        (lambda client: client.recommend([Event("a"), Event("b", "stare")]), r"history\[1\].behavior: 'stare'"),
        (lambda client: client.recommend([Event()]), r"history\[0\]"),
        (lambda client: client.recommend([Event("a", "search")]), r"history\[0\]"),
        (lambda client: client.recommend([Event("a", timestamp=-1)]), r"history\[0\].timestamp: -1"),
        (lambda client: client.recommend([Event("a", timestamp=1.5)]), r"history\[0\].timestamp: 1.5"),
        (lambda client: client.recommend([], k=0), "k: 0"),
        (lambda client: client.recommend([], target_behavior="stare"), "target_behavior: 'stare'"),
        (lambda client: client.search([], " "), "query: ' '"),
        (lambda client: client.score([], []), r"candidates: \[\]"),
    ],
)
def test_errors_name_the_field(client: RecommenderClient, ask: Any, field: str) -> None:
    with pytest.raises(InputError, match=field):
        ask(client)


def test_grpc_errors_name_the_input_and_the_server(server: LiveServer) -> None:
    transport = GrpcPredictClient(f"127.0.0.1:{server.grpc_port}", retries=0)
    short = {"item_id": [["a"]], "behavior": [["view"]]}
    for inputs, signature, words in (
        ({**short, "k": [1.5]}, "serving_default", "input 'k': float64 values for int32"),
        ({**short, "k": ["a"]}, "serving_default", "input 'k'"),
        ({"item_id": [[3]], "behavior": [["view"]], "k": [1]}, "serving_default", "input 'item_id'"),
        ({**short, "z": [1]}, "serving_default", "no input 'z'"),
        (short, "serving_default", "INVALID_ARGUMENT.*missing {k}"),
        (short, "none", "no signature 'none'"),
    ):
        with pytest.raises(InputError, match=words):
            transport.predict("two_tower", inputs, signature_name=signature)
    with pytest.raises(InputError, match="NOT_FOUND"):
        transport.predict("nobody", short)
    transport.close()
    gone = GrpcPredictClient("127.0.0.1:1", retries=1, retry_wait_seconds=0.01)
    with pytest.raises(InputError, match=r"127\.0\.0\.1:1: UNAVAILABLE"):
        gone.predict("two_tower", short)


def test_the_command_line_asks_a_server(server: LiveServer, exported: Path, items: list[str]) -> None:
    history = ",".join(items[:2])
    command = ["run.py", "recommend", "--history", history, "--behaviors", "view,cart", "--k", "3"]
    asked = [*command, "--model", "saved_models/two_tower", "--server", server.url]
    done = subprocess.run([sys.executable, *asked], cwd=ROOT, capture_output=True, text=True, check=True)
    alone = recommend(exported.parent, items[:2], ["view", "cart"], 3)
    lines = [line.split()[1] for line in done.stdout.splitlines() if line.startswith("  ")]
    assert lines == [item for item, _, _ in alone.items]
