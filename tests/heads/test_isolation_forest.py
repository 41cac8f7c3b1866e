"""The forest in the graph gives scikit-learn's scores, whatever it was grown from."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.ensemble import IsolationForest

from recsys_tf.heads.isolation_forest import ForestGraph, average_path


@given(st.integers(0, 10_000), st.integers(2, 400), st.integers(1, 9), st.sampled_from([1, 5, 40]))
@settings(max_examples=25, deadline=None)
def test_scores_are_those_of_scikit_learn(seed: int, users: int, width: int, trees: int) -> None:
    random = np.random.default_rng(seed)
    # Rounded, so that values tie and many vectors share a leaf.
    vectors = random.normal(size=(users, width)).round(1).astype(np.float32)
    forest = IsolationForest(n_estimators=trees, random_state=seed).fit(vectors)
    asked = np.concatenate([vectors, 4 * random.normal(size=(20, width)).astype(np.float32)])
    np.testing.assert_allclose(ForestGraph.of(forest)(asked).numpy(), -forest.score_samples(asked), atol=1e-6)


def test_a_forest_survives_a_round_trip(tmp_path: Path) -> None:
    vectors = np.random.default_rng(0).normal(size=(100, 4)).astype(np.float32)
    graph = ForestGraph.of(IsolationForest(n_estimators=7, random_state=1).fit(vectors))
    graph.save(tmp_path / "forest.npz")
    assert (ForestGraph.load(tmp_path / "forest.npz")(vectors).numpy() == graph(vectors).numpy()).all()


def test_the_average_path_is_the_papers() -> None:
    # Liu, Ting & Zhou 2008, equation 1: c(n) = 2 H(n - 1) - 2 (n - 1) / n, where H(i) is ln(i) + Euler's constant.
    assert average_path(np.array([0, 1, 2])).tolist() == [0.0, 0.0, 1.0]
    assert average_path(np.array([256]))[0] == pytest.approx(2 * (np.log(255) + 0.5772156649) - 2 * 255 / 256)
