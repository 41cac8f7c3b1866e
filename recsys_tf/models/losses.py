"""Retrieval losses: how much better the item that came next must score than the others.

    full      softmax over the catalogue, the loss that all others estimate
    sampled   softmax over drawn negatives, corrected for how likely each was drawn
    gbce      binary cross-entropy over drawn negatives, calibrated (gSASRec: Petrov & Macdonald 2023)
    in_batch  softmax over the batch's own targets, through tfrs.tasks.Retrieval (Yi et al. 2019)

Queries float32 [queries, width], candidates float32 [candidates, width]; scores are their dot products, already divided
by the temperature. Every loss is a float32 sum over the queries, each times its weight [queries].
"""

from typing import Any

import tensorflow as tf
import tensorflow_recommenders as tfrs

# Added to a score to take it out of a softmax.
_NEVER = -1e9
# The smallest normal float32, whose logarithm is -87.
_SMALLEST = 1.2e-38


def full_softmax(queries: Any, candidates: Any, targets: Any, weights: Any, chunk: int) -> Any:
    """Cross-entropy over the whole catalogue; targets int32 [queries] are rows of the candidates.

    The scores of `chunk` queries stand in memory at once, and their gradients are worked out on the spot, so that
    memory does not grow with the queries and no score is computed twice. A query's loss is reported as 87 at most;
    its gradient is exact.
    """
    items = tf.shape(candidates)[0]

    @tf.custom_gradient  # type: ignore[untyped-decorator, unused-ignore]
    def fused(queries: Any, candidates: Any) -> Any:
        width = queries.shape[-1]
        number = tf.shape(queries)[0]
        chunks = -(-number // chunk)
        # Every chunk has the same shape, the last one too: products of a new shape first have to be planned.
        rest = chunks * chunk - number
        padded = tf.reshape(tf.pad(queries, [[0, rest], [0, 0]]), [-1, chunk, width])
        target, weight = (tf.reshape(tf.pad(one, [[0, rest]]), [-1, chunk]) for one in (targets, weights))

        def one_chunk(at: Any, loss: Any, by_query: Any, by_candidate: Any) -> Any:
            query, weight_here = padded[at], weight[at]
            scores = tf.matmul(query, candidates, transpose_b=True)  # [chunk, items]
            # One fused kernel; everything else that is as large as the scores would be a pass over memory more.
            shares = tf.nn.softmax(scores)
            own = tf.gather(shares, target[at], batch_dims=1)
            loss -= tf.reduce_sum(weight_here * tf.math.log(tf.maximum(own, _SMALLEST)))
            weight_here = weight_here[:, tf.newaxis]
            by_query = by_query.write(at, tf.matmul(shares, candidates) * weight_here)
            return at + 1, loss, by_query, by_candidate + tf.matmul(shares, query * weight_here, transpose_a=True)

        start = (
            tf.constant(0),
            tf.constant(0.0),
            tf.TensorArray(tf.float32, size=chunks, element_shape=[chunk, width]),
            tf.zeros_like(candidates),
        )
        _, loss, by_query, by_candidate = tf.while_loop(
            lambda at, *_: at < chunks, one_chunk, start, parallel_iterations=1
        )
        # What the softmax gives to the target is taken away again: the gradient of -own.
        by_query = tf.reshape(by_query.stack(), [-1, width])[:number]
        by_query -= weights[:, tf.newaxis] * tf.gather(candidates, targets)
        by_candidate -= tf.math.unsorted_segment_sum(weights[:, tf.newaxis] * queries, targets, items)

        def gradient(upstream: Any) -> tuple[Any, Any]:
            return upstream * by_query, upstream * by_candidate

        return loss, gradient

    return fused(tf.cast(queries, tf.float32), tf.cast(candidates, tf.float32))


def sampled_softmax(queries: Any, positives: Any, negatives: Any, hits: Any, log_expected: Any, weights: Any) -> Any:
    """Cross-entropy over the target and drawn negatives; it estimates `full_softmax`, without bias in the normaliser.

    positives [queries, width]: each query's target. negatives [negatives, width]: drawn with replacement, shared by all
    queries. hits bool [queries, negatives]: this negative must not count for this query. log_expected float32
    [negatives]: log of how often the item was to be expected among the negatives (number × probability). The target
    itself is there with certainty, so its own score stays as it is.
    """
    own = tf.reduce_sum(queries * positives, axis=1, keepdims=True)
    others = tf.matmul(queries, negatives, transpose_b=True) - log_expected
    scores = tf.concat([own, tf.where(hits, _NEVER, others)], axis=1)
    return tf.reduce_sum(weights * (tf.reduce_logsumexp(scores, axis=1) - own[:, 0]))


def generalised_binary_cross_entropy(
    queries: Any, positives: Any, negatives: Any, hits: Any, weights: Any, beta: float
) -> Any:
    """Binary cross-entropy whose positive probability is raised to `beta`; arguments as in `sampled_softmax`."""
    own = tf.reduce_sum(queries * positives, axis=1)
    others = tf.matmul(queries, negatives, transpose_b=True)
    wrong = tf.reduce_sum(tf.where(hits, 0.0, tf.nn.softplus(others)), axis=1)
    return tf.reduce_sum(weights * (wrong - beta * tf.math.log_sigmoid(own)))


def calibration_beta(negatives: int, items: int, t: float) -> float:
    """Return gSASRec's β for a share of negatives drawn: 1 at t = 0 (plain), that share at t = 1 (equation 14)."""
    share = min(negatives / max(items - 1, 1), 1.0)
    return share * (t * (1 - 1 / share) + 1 / share)


def in_batch_softmax(
    task: tfrs.tasks.Retrieval,
    queries: Any,
    candidates: Any,
    probabilities: Any,
    counts: Any,
    weights: Any,
) -> Any:
    """Cross-entropy over candidates [candidates, width]; the first of them are the queries' own targets, in order.

    probabilities float32 [candidates]: how likely each was to be in the batch, or how often it was to be expected there
    (logQ correction). counts bool [queries, candidates]: whether this candidate may stand against this query's target,
    which itself always counts.
    """
    # TFRS cuts off at 1; what divides all of them alike changes no softmax.
    probabilities /= tf.maximum(tf.reduce_max(probabilities), 1.0)
    own = tf.eye(tf.shape(queries)[0], tf.shape(candidates)[0], dtype=tf.bool)
    losses = task(
        queries,
        candidates,
        candidate_sampling_probability=probabilities,
        score_mask=counts | own,
        compute_metrics=False,
    )
    return tf.reduce_sum(weights * losses)


def retrieval_task() -> tfrs.tasks.Retrieval:
    """Return TFRS' task with one loss per query: a sum over the batch would change with its size."""
    loss = tf.keras.losses.CategoricalCrossentropy(from_logits=True, reduction=tf.keras.losses.Reduction.NONE)
    return tfrs.tasks.Retrieval(loss=loss)
