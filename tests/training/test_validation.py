"""Which questions validation asks, and how it ranks the answers."""

from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
import tensorflow as tf

from recsys_tf.config import TwoTowerConfig
from recsys_tf.evaluation import ranking_metrics
from recsys_tf.models.mixture import VOICES, Mixture
from recsys_tf.models.query_tower import ANY_BEHAVIOR
from recsys_tf.models.retrieval import Retrieval
from recsys_tf.sequences.dataset import PreparedData, read_questions
from recsys_tf.sequences.vocabularies import FIRST
from recsys_tf.training.fit_mixture import count
from recsys_tf.training.fit_two_tower import new_two_tower
from recsys_tf.training.validation import Validation, ndcg_and_hits, ranking, read_validation

SMALL = TwoTowerConfig(width=16, layers=1, mixture=False, negatives=32)

IDS = ("row", "behavior", "device", "timestamp", "words")


def all_questions(data: PreparedData) -> dict[str, Any]:
    parts = list(read_questions(data, "validation", "next_item", 1).as_numpy_iterator())
    return {name: np.concatenate([part[name] for part in parts]) for name in (*IDS, "held", "target_row")}


@pytest.mark.parametrize("most", [0, 50, 10**6])
def test_validation_asks_every_nth_question(prepared: PreparedData, most: int) -> None:
    everything = all_questions(prepared)
    total = len(everything["held"])
    assert total > 100
    chosen = np.arange(0, total, -(-total // most) if 0 < most < total else 1)
    chosen = chosen[np.argsort(everything["held"][chosen], kind="stable")]
    validation = read_validation(prepared, most, remove_seen=False)
    assert len(validation) == len(chosen)
    assert most == 0 or len(validation) <= most
    seen = 0
    for batch in validation.batches:
        rows = chosen[seen : seen + len(batch["target_row"])]
        seen += len(rows)
        assert batch["target_row"].numpy().tolist() == everything["target_row"][rows].tolist()
        longest = everything["held"][rows].max()
        for name in IDS:
            held = everything[name][rows][:, :longest]
            if name == "words":
                width = batch[name].shape[-1]
                assert not held[..., width:].any()
                held = held[..., :width]
            assert (batch[name].numpy() == held).all(), name


def numpy_ranks(data: PreparedData, retrieval: Retrieval, remove_seen: bool) -> Any:
    """Ranks of all questions, sorted as `read_validation` sorts them."""
    questions = all_questions(data)
    ids = {name: tf.constant(questions[name]) for name in IDS}
    asked = tf.fill([len(questions["held"])], ANY_BEHAVIOR)
    scores = retrieval(ids, asked, retrieval.model.table()).numpy()
    targets = np.maximum(questions["target_row"] - FIRST, -1)
    excluded = None
    if remove_seen:
        query, at = np.nonzero(questions["row"] >= FIRST)
        seen = np.zeros(scores.shape, bool)
        seen[query, questions["row"][query, at] - FIRST] = True
        targets = np.where(seen[np.arange(len(targets)), targets] & (targets >= 0), -1, targets)
        excluded = sp.csr_matrix(seen)
    return ranking_metrics.target_ranks(scores, targets, excluded)[np.argsort(questions["held"], kind="stable")]


@pytest.mark.parametrize("remove_seen", [False, True])
def test_validation_ranks_as_the_evaluation_does(prepared: PreparedData, remove_seen: bool) -> None:
    tf.keras.utils.set_random_seed(3)
    retrieval = Retrieval(new_two_tower(prepared, SMALL), prepared.space)
    ranks = ranking(retrieval, read_validation(prepared, 0, remove_seen))()
    expected = numpy_ranks(prepared, retrieval, remove_seen)
    assert (ranks == 0).sum() == (expected == 0).sum()
    # Histories are padded to other lengths there, and scores that are all but equal may change places.
    assert (np.abs(ranks - expected) <= 1).all()
    assert (ranks == expected).mean() > 0.98
    found = ndcg_and_hits(ranks)
    assert found[0] == pytest.approx(ranking_metrics.ndcg(ranks.astype(np.int64), 10).mean())
    assert found[1] == pytest.approx(ranking_metrics.hit_rate(ranks.astype(np.int64), 10).mean())


@pytest.mark.parametrize("remove_seen", [False, True])
def test_fixed_towers_rank_as_towers_that_are_asked_each_time(prepared: PreparedData, remove_seen: bool) -> None:
    tuned = Mixture(np.eye(len(VOICES), dtype=np.float32)[0], count(prepared), tuned=True)
    retrieval = Retrieval(new_two_tower(prepared, SMALL), prepared.space, tuned)
    validation = read_validation(prepared, 0, remove_seen)
    asked, fixed = ranking(retrieval, validation), ranking(retrieval, validation, fixed_towers=True)
    alone = fixed()
    assert (alone == asked()).all()
    assert tuned.weights is not None
    tuned.weights.assign([0.5, 0.3, 0.1, 0.05, 0.0, 0.05])
    mixed = fixed()
    assert (mixed == asked()).all()
    assert (mixed != alone).mean() > 0.1


def test_questions_are_counted(prepared: PreparedData) -> None:
    validation = Validation([], remove_seen=True)
    assert len(validation) == 0
    assert len(read_validation(prepared, 0, remove_seen=True)) == len(all_questions(prepared)["held"])
