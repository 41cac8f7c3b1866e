"""Ranks over the whole catalogue and the metrics made of them: worked by hand, and against a slow plain loop."""

import math

import numpy as np
import numpy.typing as npt
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import ndcg_score

from recsys_tf.evaluation.ranking_metrics import (
    evaluate_recommender,
    hit_rate,
    ndcg,
    ranking_values,
    reciprocal_rank,
    target_ranks,
    top_items,
)

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]
NAN, INF = float("nan"), float("inf")


def scores_of(*rows: list[float]) -> Floats:
    return np.array(rows, np.float32)


def ints(*values: int) -> Ints:
    return np.array(values, np.int64)


def slow_rank(scores: list[float], target: int, excluded: set[int]) -> int:
    """The definition in plain words: count the competitors that stand at or above the target."""
    if target < 0 or math.isnan(scores[target]) or scores[target] == -INF:
        return 0
    others = (item for item in range(len(scores)) if item != target and item not in excluded)
    return 1 + sum(scores[item] >= scores[target] for item in others)


def slow_list(scores: list[float], k: int, excluded: set[int]) -> list[int]:
    usable = [i for i, s in enumerate(scores) if i not in excluded and not math.isnan(s) and s > -INF]
    best = sorted(usable, key=lambda item: (-scores[item], item))[:k]
    return best + [-1] * (k - len(best))


@st.composite
def problems(draw: st.DrawFn) -> tuple[Floats, Ints, sp.csr_matrix]:
    """Scores full of ties, NaN and infinities, targets that may be unknown, and random exclusions."""
    queries, items = draw(st.integers(1, 5)), draw(st.integers(1, 7))
    score = st.sampled_from([-INF, -1.0, 0.0, 0.5, 1.0, 2.0, INF, NAN])
    rows = draw(st.lists(st.lists(score, min_size=items, max_size=items), min_size=queries, max_size=queries))
    targets = draw(st.lists(st.integers(-1, items - 1), min_size=queries, max_size=queries))
    cells = draw(st.lists(st.tuples(st.integers(0, queries - 1), st.integers(0, items - 1)), max_size=12))
    row, column = (ints(*(cell[i] for cell in cells)) for i in (0, 1))
    excluded = sp.csr_matrix((np.ones(len(cells)), (row, column)), shape=(queries, items))
    return np.array(rows, np.float32), ints(*targets), excluded


@settings(max_examples=200, deadline=None)
@given(problems(), st.integers(0, 9))
def test_ranks_and_lists_equal_a_slow_loop(problem: tuple[Floats, Ints, sp.csr_matrix], k: int) -> None:
    scores, targets, excluded = problem
    hidden = [set(np.flatnonzero(row).tolist()) for row in excluded.toarray()]
    rows = scores.tolist()
    assert target_ranks(scores, targets, excluded).tolist() == [
        slow_rank(row, int(target), gone) for row, target, gone in zip(rows, targets, hidden, strict=True)
    ]
    assert top_items(scores, k, excluded).tolist() == [
        slow_list(row, k, gone) for row, gone in zip(rows, hidden, strict=True)
    ]


def test_ranks_by_hand() -> None:
    scores = scores_of([0.1, 0.9, 0.5, 0.7], [4.0, 3.0, 2.0, 1.0])
    assert target_ranks(scores, ints(1, 3)).tolist() == [1, 4]
    assert target_ranks(scores, ints(2, 0)).tolist() == [3, 1]
    assert top_items(scores, 3).tolist() == [[1, 3, 2], [0, 1, 2]]


def test_a_tie_counts_against_the_target_wherever_it_stands() -> None:
    scores = scores_of([1.0, 1.0, 1.0, 0.0])
    for target in range(3):
        assert target_ranks(scores, ints(target)).tolist() == [3]
    constant = np.zeros((1, 100), np.float32)
    assert target_ranks(constant, ints(0)).tolist() == [100]


def test_a_score_of_nan_never_competes_and_never_wins() -> None:
    scores = scores_of([NAN, 0.2, NAN, 0.1])
    assert target_ranks(np.repeat(scores, 4, axis=0), ints(0, 1, 2, 3)).tolist() == [0, 1, 0, 2]
    assert top_items(scores, 4).tolist() == [[1, 3, -1, -1]]


def test_excluded_items_leave_the_competition_but_the_target_stays() -> None:
    scores = scores_of([5.0, 4.0, 3.0, 2.0])
    seen = sp.csr_matrix(np.array([[1, 0, 1, 0]]))
    assert target_ranks(scores, ints(3), seen).tolist() == [2]
    assert target_ranks(scores, ints(2), seen).tolist() == [2]
    assert target_ranks(scores, ints(0), seen).tolist() == [1]
    assert top_items(scores, 4, seen).tolist() == [[1, 3, -1, -1]]


def test_an_exclusion_counts_once_however_often_it_is_stored_and_a_stored_zero_not_at_all() -> None:
    scores = scores_of([5.0, 4.0, 3.0, 2.0])
    column, value = ints(0, 0, 0, 1), np.array([1.0, 1.0, 1.0, 0.0])
    seen = sp.csr_matrix((value, (np.zeros(4, np.int64), column)), shape=(1, 4))
    seen_as_stored = sp.csr_matrix((value, column, ints(0, 4)), shape=(1, 4))
    for excluded in (seen, seen_as_stored):
        assert target_ranks(scores, ints(3), excluded).tolist() == [3]
        assert top_items(scores, 2, excluded).tolist() == [[1, 2]]


def test_an_unknown_target_is_a_miss_at_every_cut_off() -> None:
    ranks = target_ranks(scores_of([3.0, 2.0, 1.0]), ints(-1))
    assert ranks.tolist() == [0]
    assert all(value.tolist() == [0.0] for value in ranking_values(ranks, [1, 3, 1000]).values())


@pytest.mark.parametrize("targets", [[3], [-2], [0, 0], []])
def test_targets_that_do_not_fit_are_refused(targets: list[int]) -> None:
    with pytest.raises(ValueError, match="targets"):
        target_ranks(scores_of([1.0, 2.0, 3.0]), ints(*targets))


def test_exclusions_of_another_shape_are_refused() -> None:
    with pytest.raises(ValueError, match="do not fit"):
        target_ranks(scores_of([1.0, 2.0, 3.0]), ints(0), sp.csr_matrix((2, 3)))


def test_metrics_by_hand() -> None:
    ranks = ints(1, 2, 3, 11, 0)
    assert hit_rate(ranks, 2).tolist() == [1, 1, 0, 0, 0]
    assert hit_rate(ranks, 11).tolist() == [1, 1, 1, 1, 0]
    assert ndcg(ranks, 10).tolist() == pytest.approx([1.0, 1 / math.log2(3), 0.5, 0.0, 0.0])
    assert reciprocal_rank(ranks, 10).tolist() == pytest.approx([1.0, 1 / 2, 1 / 3, 0.0, 0.0])
    values = ranking_values(ranks, [2, 10])
    assert list(values) == ["HR@2", "HR@10", "NDCG@2", "NDCG@10", "MRR@2", "MRR@10"]
    assert values["MRR@2"].tolist() == [1.0, 0.5, 0.0, 0.0, 0.0]


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(2, 30), st.integers(1, 30))
def test_ndcg_equals_scikit_learn_with_one_relevant_item(seed: int, items: int, k: int) -> None:
    random = np.random.default_rng(seed)
    scores = random.permutation(items)[None, :].astype(np.float32)
    target = random.integers(items, size=1)
    relevance = np.zeros((1, items))
    relevance[0, target] = 1.0
    expected = ndcg_score(relevance, scores, k=k)
    assert ndcg(target_ranks(scores, target), k)[0] == pytest.approx(expected)


@given(st.lists(st.integers(0, 50), min_size=1, max_size=20), st.integers(1, 50))
def test_metrics_are_ordered_and_grow_with_k(ranks: list[int], k: int) -> None:
    array = ints(*ranks)
    assert (reciprocal_rank(array, k) <= ndcg(array, k) + 1e-12).all()
    assert (ndcg(array, k) <= hit_rate(array, k)).all()
    for metric in (hit_rate, ndcg, reciprocal_rank):
        assert (metric(array, k) <= metric(array, k + 1)).all()


@pytest.mark.parametrize("block_size", [1, 2, 3, 7, 512])
def test_blocks_of_any_size_give_the_same_ranking(block_size: int) -> None:
    random = np.random.default_rng(0)
    scores = random.integers(0, 4, size=(7, 9)).astype(np.float32)
    targets = random.integers(-1, 9, size=7)
    excluded = sp.csr_matrix(random.random((7, 9)) < 0.3)
    asked: list[slice] = []

    def score_block(rows: slice) -> Floats:
        asked.append(rows)
        return scores[rows]

    ranking = evaluate_recommender(score_block, targets, excluded, list_length=4, block_size=block_size)
    assert ranking.ranks.tolist() == target_ranks(scores, targets, excluded).tolist()
    assert ranking.lists.tolist() == top_items(scores, 4, excluded).tolist()
    assert all(rows.stop - rows.start <= block_size for rows in asked)


def test_no_queries_give_an_empty_ranking() -> None:
    ranking = evaluate_recommender(lambda _: np.empty((0, 3), np.float32), ints(), list_length=2)
    assert ranking.ranks.shape == (0,)
    assert ranking.lists.shape == (0, 2)
