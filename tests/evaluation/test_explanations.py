"""Explanations are put to the test: which events are left out, and what happens to the item then."""

import dataclasses
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from recsys_tf.config import EvaluateConfig, TwoTowerConfig
from recsys_tf.evaluation.explanations import best_events, faithfulness
from recsys_tf.evaluation.queries import read_queries
from recsys_tf.models.attribution import contributions, leave_out
from recsys_tf.models.mixture import Mixture
from recsys_tf.models.retrieval import Retrieval
from recsys_tf.sequences.dataset import PreparedData
from recsys_tf.training.fit_mixture import count
from recsys_tf.training.fit_two_tower import new_two_tower

CONFIG = EvaluateConfig(explained=40, bootstrap_samples=50, max_queries=200)
ONLY_THE_USERS_OWN = np.array([0.0, 0.0, 1.0, 0.0, 0.0, 0.0], np.float32)


def test_events_are_taken_out_of_a_history() -> None:
    ids = {
        "row": tf.constant([[1, 5, 6, 7, 0], [1, 8, 9, 0, 0]], tf.int64),
        "words": tf.constant([[[0], [2], [3], [4], [0]], [[0], [5], [6], [0], [0]]], tf.int64),
    }
    left_out = np.zeros((2, 5), bool)
    left_out[0, [1, 3]] = True
    got = leave_out(ids, tf.constant(left_out))
    assert got["row"].numpy().tolist() == [[1, 6, 0, 0, 0], [1, 8, 9, 0, 0]]
    assert got["words"].numpy()[..., 0].tolist() == [[0, 3, 0, 0, 0], [0, 5, 6, 0, 0]]


def test_the_best_events_are_marked_and_nothing_else() -> None:
    event = np.array([[False, True, True, True, False], [False, True, False, False, False]])
    marked = best_events(np.array([[9.0, 1.0, 3.0, 2.0, 8.0], [9.0, -1.0, 5.0, 5.0, 5.0]]), event, 2)
    assert marked.tolist() == [[False, False, True, True, False], [False, True, False, False, False]]


def own_items_only(data: PreparedData) -> Retrieval:
    """A model that recommends the user's last items: what an item owes to which event is known."""
    model = new_two_tower(data, TwoTowerConfig(width=8, layers=1))
    return Retrieval(model, data.space, Mixture(ONLY_THE_USERS_OWN, count(data)))


def test_true_explanations_are_found_to_be_true(prepared: PreparedData) -> None:
    retrieval = own_items_only(prepared)
    queries = read_queries(prepared, "next_item", 1, CONFIG)
    found = faithfulness(retrieval, retrieval.model.table(), queries, CONFIG)
    assert found is not None
    assert found.questions == 40
    # The item came first because it was there last; without that event it falls.
    assert found.difference.low > 0
    assert found.falls_further.low > 0
    assert found.rank_without_top.mean - found.rank_without_random.mean == pytest.approx(found.difference.mean)
    assert found == faithfulness(retrieval, retrieval.model.table(), queries, CONFIG)


def test_false_explanations_are_found_out(prepared: PreparedData, monkeypatch: pytest.MonkeyPatch) -> None:
    def upside_down(*arguments: Any) -> Any:
        return -contributions(*arguments)

    monkeypatch.setattr("recsys_tf.evaluation.explanations.contributions", upside_down)
    retrieval = own_items_only(prepared)
    queries = read_queries(prepared, "next_item", 1, CONFIG)
    found = faithfulness(retrieval, retrieval.model.table(), queries, CONFIG)
    assert found is not None
    assert found.difference.high < 0


def test_short_histories_are_not_asked(prepared: PreparedData) -> None:
    queries = read_queries(prepared, "next_item", 1, CONFIG)
    short = dataclasses.replace(queries, held=np.minimum(queries.held, 6))
    retrieval = own_items_only(prepared)
    assert faithfulness(retrieval, retrieval.model.table(), short, CONFIG) is None
