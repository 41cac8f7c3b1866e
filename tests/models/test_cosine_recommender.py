"""Cosine top-n, held against scikit-learn and against what the listing does wrong."""

import numpy as np
import pytest
import tensorflow as tf
from sklearn.metrics.pairwise import cosine_similarity

from recsys_tf.models.cosine_recommender import cosine_scores
from recsys_tf.models.index import top_items

RANDOM = np.random.default_rng(0)
USERS, ITEMS = RANDOM.normal(size=(4, 6)).astype(np.float32), RANDOM.normal(size=(9, 6)).astype(np.float32)


def test_similarities_are_scikit_learns() -> None:
    assert cosine_scores(USERS, ITEMS).numpy() == pytest.approx(cosine_similarity(USERS, ITEMS), abs=1e-6)


def test_the_best_come_first_for_every_user() -> None:
    scores = cosine_scores(USERS, ITEMS)
    values, indices = top_items(scores, 3)
    expected = np.argsort(-scores.numpy(), axis=1)[:, :3]
    assert indices.numpy().tolist() == expected.tolist()
    assert (np.diff(values.numpy(), axis=1) <= 0).all()
    # The listing's slice holds the same items for the first user only, and backwards.
    assert np.argsort(scores.numpy())[0][-3:].tolist() == expected[0][::-1].tolist()


def test_more_than_there_are_gives_all_and_a_zero_vector_is_finite() -> None:
    values, indices = top_items(cosine_scores(tf.zeros([1, 6]), ITEMS), 100)
    assert sorted(indices.numpy()[0].tolist()) == list(range(9))
    assert np.isfinite(values.numpy()).all()
