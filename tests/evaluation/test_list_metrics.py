"""What lists look like beyond accuracy: worked by hand, and against plain loops over pairs."""

import math

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys_tf.evaluation import list_metrics
from recsys_tf.evaluation.list_metrics import (
    catalogue_coverage,
    category_diversity,
    gini_of_exposure,
    intra_list_diversity,
    novelty,
)


def test_coverage_by_hand() -> None:
    assert catalogue_coverage(np.array([[0, 1], [1, -1]]), 4) == 0.5
    assert catalogue_coverage(np.array([[-1, -1]]), 4) == 0.0
    assert catalogue_coverage(np.empty((0, 2), np.int64), 0) == 0.0


def test_gini_by_hand() -> None:
    assert gini_of_exposure(np.array([[0, 1], [2, 3]]), 4) == 0.0
    # All exposure on one of four items: (4 - 1) / 4.
    assert gini_of_exposure(np.array([[2], [2], [2]]), 4) == pytest.approx(0.75)
    # Exposures 0, 1, 3: mean absolute difference over all ordered pairs 12 / 9, over twice the mean 8 / 3: 1 / 2.
    assert gini_of_exposure(np.array([[1, 2], [2, 2], [-1, -1]]), 3) == pytest.approx(0.5)
    assert gini_of_exposure(np.array([[-1]]), 3) == 0.0


@given(st.lists(st.integers(0, 8), min_size=1, max_size=40))
def test_gini_is_the_mean_absolute_difference_over_twice_the_mean(shown: list[int]) -> None:
    exposure = np.bincount(shown, minlength=9)
    pairs = np.abs(exposure[:, None] - exposure[None, :])
    assert gini_of_exposure(np.array([shown]), 9) == pytest.approx(pairs.mean() / (2 * exposure.mean()))


def test_novelty_by_hand() -> None:
    # 4 items and 4 events: with one added to each count, shares 4/8, 2/8, 1/8, 1/8: 1, 2, 3 and 3 bits.
    counts = np.array([3, 1, 0, 0])
    assert novelty(np.array([[0, 1]]), counts) == pytest.approx(1.5)
    assert novelty(np.array([[0, -1], [2, 3], [-1, -1]]), counts) == pytest.approx(7 / 3)
    assert novelty(np.array([[-1, -1]]), counts) == 0.0


def test_novelty_of_items_that_were_never_seen_is_that_of_an_even_draw() -> None:
    assert novelty(np.array([[0, 5]]), np.zeros(8, np.int64)) == pytest.approx(3.0)


def test_diversity_by_hand() -> None:
    # 0 and 1 point the same way whatever their length, 2 across, 3 the other way, 4 nowhere.
    vectors = np.array([[1, 0], [5, 0], [0, 2], [-3, 0], [0, 0]], np.float32)
    assert intra_list_diversity(np.array([[0, 1]]), vectors) == pytest.approx(0.0)
    assert intra_list_diversity(np.array([[0, 3]]), vectors) == pytest.approx(2.0)
    assert intra_list_diversity(np.array([[0, 4]]), vectors) == pytest.approx(1.0)
    # Pairs 0-1, 0-2, 1-2 with cosines 1, 0, 0.
    assert intra_list_diversity(np.array([[0, 1, 2]]), vectors) == pytest.approx(2 / 3)
    # A list of one item has no pair; one with a gap has the pairs of its items.
    assert intra_list_diversity(np.array([[0, -1, -1], [0, 3, -1]]), vectors) == pytest.approx(2.0)
    assert intra_list_diversity(np.array([[0, -1]]), vectors) == 0.0


def test_category_diversity_by_hand() -> None:
    categories = np.array([7, 7, 8, 9])
    assert category_diversity(np.array([[0, 1]]), categories) == 0.0
    assert category_diversity(np.array([[1, 2]]), categories) == 1.0
    assert category_diversity(np.array([[0, 1, 2], [0, 2, -1], [3, -1, -1]]), categories) == pytest.approx(5 / 6)
    assert category_diversity(np.array([[3, -1]]), categories) == 0.0


@pytest.mark.parametrize("block", [1, 3, 2048])
def test_diversities_equal_plain_loops_over_pairs_in_blocks_of_any_size(
    block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(list_metrics, "BLOCK", block)
    random = np.random.default_rng(0)
    vectors, categories = random.normal(size=(12, 5)), random.integers(3, size=12)
    lists: npt.NDArray[np.int64] = random.permuted(np.tile(np.arange(12), (8, 1)), axis=1)[:, :5]
    lists[random.random(lists.shape) < 0.3] = -1
    by_cosine, by_category = [], []
    for row in lists.tolist():
        shown = [item for item in row if item >= 0]
        pairs = [(a, b) for i, a in enumerate(shown) for b in shown[i + 1 :]]
        if not pairs:
            continue
        by_cosine.append(np.mean([1 - _cosine(vectors[a], vectors[b]) for a, b in pairs]))
        by_category.append(np.mean([categories[a] != categories[b] for a, b in pairs]))
    assert intra_list_diversity(lists, vectors) == pytest.approx(np.mean(by_cosine))
    assert category_diversity(lists, categories) == pytest.approx(np.mean(by_category))


def _cosine(a: npt.NDArray[np.float64], b: npt.NDArray[np.float64]) -> float:
    return float(a @ b) / math.sqrt(float(a @ a) * float(b @ b))
