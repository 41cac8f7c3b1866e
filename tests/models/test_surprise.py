"""Surprise against a slow version that asks for one event after the other."""

from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from recsys_tf.config import TwoTowerConfig
from recsys_tf.models import surprise
from recsys_tf.models.query_tower import ANY_BEHAVIOR
from recsys_tf.models.retrieval import Retrieval
from recsys_tf.sequences.dataset import PreparedData, Windowing, read_windows
from recsys_tf.sequences.vocabularies import FIRST, START
from recsys_tf.training.fit_two_tower import new_two_tower


@pytest.fixture(scope="module")
def retrieval(prepared: PreparedData) -> Retrieval:
    tf.keras.utils.set_random_seed(3)
    model = new_two_tower(prepared, TwoTowerConfig(width=16, layers=2))
    for weight in model.trainable_weights:
        weight.assign(tf.random.normal(weight.shape, stddev=0.2))
    return Retrieval(model, prepared.space)


@pytest.fixture(scope="module")
def ids(prepared: PreparedData) -> dict[str, Any]:
    windows = next(iter(read_windows(prepared, Windowing("test", "last", "next_item", 1))))
    return {name: windows[name][:12] for name in ("row", "behavior", "device", "timestamp", "words")}


@pytest.mark.parametrize("at_once", [7, 4096])
def test_each_event_is_judged_by_what_came_before_it(
    retrieval: Retrieval, ids: dict[str, Any], at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(surprise, "_ITEMS_AT_ONCE", at_once)
    table = retrieval.model.table()
    found, counts = surprise.surprises(retrieval.every_query(ids), retrieval.model.candidates(table), ids)
    row = ids["row"].numpy()
    assert (counts.numpy() == (row >= FIRST)).all()
    assert row[:, 0].tolist() == [START] * len(row)
    for length in range(1, row.shape[1]):
        before = {name: values[:, :length] for name, values in ids.items()}
        asked = tf.fill([len(row)], ANY_BEHAVIOR)
        log_share = tf.nn.log_softmax(retrieval(before, asked, table)).numpy()
        for at in np.flatnonzero(row[:, length] >= FIRST):
            assert found.numpy()[at, length] == pytest.approx(-log_share[at, row[at, length] - FIRST], abs=1e-4)
    assert (found.numpy()[~counts.numpy()] == 0).all()


def test_surprise_to_one_history(retrieval: Retrieval, ids: dict[str, Any]) -> None:
    table = retrieval.model.table()
    items = retrieval.model.candidates(table)
    queries = retrieval.queries(ids, tf.fill([len(ids["row"])], ANY_BEHAVIOR), table)
    found = surprise.surprises_to(queries, items, ids).numpy()
    log_share = tf.nn.log_softmax(tf.matmul(queries, items, transpose_b=True)).numpy()
    for at, position in np.argwhere(ids["row"].numpy() >= FIRST):
        assert found[at, position] == pytest.approx(-log_share[at, ids["row"][at, position] - FIRST], abs=1e-4)
