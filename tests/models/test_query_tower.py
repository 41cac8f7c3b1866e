"""What a query depends on: events, searches, their context, and the behaviour that is asked for."""

import dataclasses
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from recsys_tf.config import TwoTowerConfig
from recsys_tf.models.candidate_tower import WordEmbedding
from recsys_tf.models.event_embedding import CONTEXT, EventSizes
from recsys_tf.models.query_tower import ANY_BEHAVIOR, QueryTower
from recsys_tf.sequences.dataset import PreparedData
from recsys_tf.sequences.features import EventIds

WIDTH, LENGTH = 8, 5
SIZES = EventSizes(item=9, category=5, behavior=9, device=4, price=4, gap=28, hour=25, weekday=8, words=12)
CONFIG = TwoTowerConfig(width=WIDTH, layers=1, heads=2, dropout=0.0, context_dropout=0.0)

encoders = pytest.mark.parametrize("name", ["transformer", "gru", "bert"])


def tower(name: str, **changes: Any) -> QueryTower:
    config = dataclasses.replace(CONFIG, encoder=name, **changes)
    return QueryTower(SIZES, WordEmbedding(SIZES.words, WIDTH), config, LENGTH)


def given(words: int = 3) -> tuple[dict[str, Any], Any]:
    """Return features and item vectors of two sequences of events; the last event of each is a search."""
    random = np.random.default_rng(0)
    features = {
        name: tf.constant(random.integers(1, getattr(SIZES, name), (2, LENGTH)), tf.int32)
        for name in ("behavior", *CONTEXT)
    }
    searched = np.zeros((2, LENGTH, words), np.int32)
    searched[:, -1] = random.integers(2, SIZES.words, words) if words else 0
    features |= {"words": tf.constant(searched), "held": tf.fill([2], LENGTH)}
    return features, tf.constant(random.normal(0, 0.1, (2, LENGTH, WIDTH)), tf.float32)


def asked(behavior: int = ANY_BEHAVIOR) -> Any:
    return tf.fill([2, LENGTH], behavior)


@encoders
def test_every_feature_of_an_event_changes_the_query(name: str) -> None:
    query = tower(name)
    features, items = given()
    plain = query(features, items, asked()).numpy()
    assert plain.shape == (2, LENGTH, WIDTH)
    for feature in ("behavior", *CONTEXT):
        other = features | {feature: features[feature] % (getattr(SIZES, feature) - 1) + 1}
        assert np.abs(query(other, items, asked()).numpy() - plain)[:, -1].max() > 1e-4, feature


@encoders
def test_the_words_of_a_search_change_the_query(name: str) -> None:
    query = tower(name)
    features, items = given()
    plain = query(features, items, asked()).numpy()
    other = features | {"words": tf.where(features["words"] > 0, 1 + features["words"] % (SIZES.words - 1), 0)}
    answer = query(other, items, asked()).numpy()
    assert (np.abs(answer - plain)[:, -1].max(axis=-1) > 1e-4).all()


@encoders
def test_a_batch_without_searches_may_have_no_word_columns(name: str) -> None:
    query = tower(name)
    features, items = given()
    without, none = (features | {"words": tf.zeros([2, LENGTH, width], tf.int32)} for width in (3, 0))
    expected = query(without, items, asked()).numpy()
    assert query(none, items, asked()).numpy() == pytest.approx(expected, abs=1e-6)


@encoders
def test_the_behaviour_asked_for_scales_and_moves_the_query(name: str) -> None:
    query = tower(name)
    features, items = given()
    plain = query(features, items, asked()).numpy()
    # A fresh model does not tell the questions apart.
    assert (query(features, items, asked(4)).numpy() == plain).all()
    random = np.random.default_rng(1)
    for table in (query._scale, query._shift):
        table.set_weights([random.normal(size=(SIZES.behavior, WIDTH)).astype(np.float32)])
    scale, shift = (table.get_weights()[0] for table in (query._scale, query._shift))
    answer = query(features, items, asked(4)).numpy()
    assert answer == pytest.approx(plain * (1 + scale[4]) + shift[4], abs=1e-5)
    assert np.abs(query(features, items, asked(5)).numpy() - answer).max() > 1e-2


def test_a_hidden_context_is_no_context() -> None:
    query = tower("transformer", context_dropout=1.0)
    features, items = given()
    none = features | {feature: tf.zeros_like(features[feature]) for feature in CONTEXT}
    hidden = query(features, items, asked(), training=True).numpy()
    assert hidden == pytest.approx(query(none, items, asked()).numpy(), abs=1e-6)
    assert np.abs(hidden - query(features, items, asked()).numpy()).max() > 1e-4


def test_a_misspelt_word_is_near_the_right_one(prepared: PreparedData) -> None:
    space = prepared.space
    words = [token for token in space.word_vocabulary.tokens if not token.startswith("#") and len(token) >= 4]
    assert len(words) >= 20
    embed, ids = WordEmbedding(space.word_vocabulary.size, 64), EventIds(space)

    def directions(text: list[str]) -> Any:
        return tf.math.l2_normalize(embed(tf.cast(ids.words(tf.constant(text)), tf.int32)), axis=-1).numpy()

    right = directions(words)
    # Misspelt ones that chance to be words are left out.
    misspelt = [word[:-1] + ("q" if word[-1] != "q" else "x") for word in words]
    kept = [at for at, word in enumerate(misspelt) if word not in words]
    wrong = directions(misspelt)
    nearness = wrong[kept] @ right.T  # [misspelt, words]
    own = nearness[np.arange(len(kept)), kept]
    others = (nearness.sum(axis=1) - own) / (len(words) - 1)
    assert own.mean() > 0.3
    assert own.mean() > others.mean() + 0.2
