"""Attention by hand: the shares that are told are those that the answer is made of."""

from typing import Any

import numpy as np
import tensorflow as tf

from recsys_tf.models.attention import SelfAttention

WIDTH, HEADS, LENGTH = 6, 2, 4


def layer() -> tuple[SelfAttention, Any, Any]:
    """Return a layer with random weights, two sequences, and what their positions see: the past."""
    random = np.random.default_rng(0)
    x = random.normal(size=(2, LENGTH, WIDTH)).astype(np.float32)
    visible = np.tril(np.ones((1, LENGTH, LENGTH), bool))
    attention = SelfAttention(WIDTH, HEADS, dropout=0.0)
    attention(x, tf.constant(visible))
    attention.set_weights([random.normal(0.0, 0.5, weight.shape) for weight in attention.get_weights()])
    return attention, x, visible


def by_hand(attention: SelfAttention, x: Any, visible: Any) -> tuple[Any, Any]:
    """Shares [batch, heads, length, length] and answer [batch, length, width] in NumPy."""
    project, output, bias = attention.get_weights()
    parts = (x @ project).reshape(2, LENGTH, 3, HEADS, WIDTH // HEADS)
    query, key, value = (parts[:, :, one].transpose(0, 2, 1, 3) for one in range(3))
    scores = np.where(visible[:, None], query @ key.transpose(0, 1, 3, 2) / np.sqrt(WIDTH // HEADS), -np.inf)
    shares = np.exp(scores - scores.max(axis=-1, keepdims=True))
    shares /= shares.sum(axis=-1, keepdims=True)
    return shares, (shares @ value).transpose(0, 2, 1, 3).reshape(2, LENGTH, WIDTH) @ output + bias


def test_the_answer_is_the_values_weighted_by_the_shares() -> None:
    attention, x, visible = layer()
    shares, answer = by_hand(attention, x, visible)
    np.testing.assert_allclose(attention.shares(x, tf.constant(visible)), shares, atol=1e-5)
    np.testing.assert_allclose(attention(x, tf.constant(visible)), answer, atol=1e-5)
