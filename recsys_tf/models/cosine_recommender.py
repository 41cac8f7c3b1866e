"""The article's recommender (section 3.2.3): cosine similarity between a user's vector and every item's.

Both vectors come from one encoder, so that they share a space: an item is encoded as the history of somebody who has
viewed it and nothing else. That is all the classifier was ever taught about items, and the evaluation shows how far it
carries; the two-tower model is its grown-up form.
"""

from typing import Any

import tensorflow as tf


def cosine_scores(users: Any, items: Any) -> Any:
    """User vectors [batch, width] and item vectors [items, width] → cosine similarities [batch, items] in [-1, 1]."""
    return tf.linalg.matmul(
        tf.math.l2_normalize(users, axis=-1), tf.math.l2_normalize(items, axis=-1), transpose_b=True
    )
