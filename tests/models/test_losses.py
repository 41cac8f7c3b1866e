"""Every loss against a slow and plain NumPy version, and the sampled ones against the full one that they estimate."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import tensorflow as tf

from recsys_tf.models.losses import (
    calibration_beta,
    full_softmax,
    generalised_binary_cross_entropy,
    in_batch_softmax,
    retrieval_task,
    sampled_softmax,
)
from recsys_tf.models.negatives import draw_items

Floats = npt.NDArray[np.float32]

QUERIES, ITEMS, WIDTH = 7, 11, 4
WEIGHTS = np.array([1.0, 0.0, 2.0, 0.5, 0.0, 1.0, 3.0], np.float32)


def vectors(number: int, seed: int) -> Floats:
    return np.random.default_rng(seed).normal(size=(number, WIDTH)).astype(np.float32)


def targets() -> npt.NDArray[np.int32]:
    # Two queries share a target, and item 0 is one.
    return np.array([3, 0, 3, 10, 5, 0, 7], np.int32)


def cross_entropies(scores: Any, columns: Any) -> Any:
    """One row at a time: log Σ exp(score) - the score in the given column."""
    return np.array(
        [np.log(sum(np.exp(float(s)) for s in row)) - row[at] for row, at in zip(scores, columns, strict=True)]
    )


@pytest.mark.parametrize("chunk", [1, 3, 7, 256])
def test_full_softmax_and_its_gradients(chunk: int) -> None:
    queries, candidates = tf.Variable(vectors(QUERIES, 0)), tf.Variable(vectors(ITEMS, 1))
    with tf.GradientTape(persistent=True) as tape:
        loss = full_softmax(queries, candidates, tf.constant(targets()), tf.constant(WEIGHTS), chunk)
        scaled = 2.0 * loss
        logits = tf.matmul(queries, candidates, transpose_b=True)
        each = tf.nn.sparse_softmax_cross_entropy_with_logits(targets(), logits)
        plain = 2.0 * tf.reduce_sum(WEIGHTS * each)
    slow = cross_entropies(queries.numpy() @ candidates.numpy().T, targets())
    assert loss.numpy() == pytest.approx((WEIGHTS * slow).sum(), rel=1e-5)
    for variable in (queries, candidates):
        expected = tape.gradient(plain, variable).numpy()
        assert tape.gradient(scaled, variable).numpy() == pytest.approx(expected, abs=1e-5)
    assert (tape.gradient(scaled, queries).numpy()[WEIGHTS == 0] == 0).all()


def test_full_softmax_inside_a_compiled_step() -> None:
    @tf.function(jit_compile=True, autograph=False)
    def step(queries: Any, candidates: Any) -> Any:
        with tf.GradientTape() as tape:
            tape.watch([queries, candidates])
            loss = full_softmax(queries, candidates, tf.constant(targets()), tf.constant(WEIGHTS), 3)
        return loss, *tape.gradient(loss, [queries, candidates])

    queries, candidates = tf.constant(vectors(QUERIES, 0)), tf.constant(vectors(ITEMS, 1))
    for compiled, eager in zip(step(queries, candidates), step.python_function(queries, candidates), strict=True):
        assert compiled.numpy() == pytest.approx(eager.numpy(), abs=1e-5)


@pytest.mark.parametrize("number", [0, 3])
def test_full_softmax_of_nothing_that_counts_is_zero(number: int) -> None:
    queries, candidates = tf.Variable(vectors(number, 0)), tf.Variable(vectors(ITEMS, 1))
    with tf.GradientTape() as tape:
        loss = full_softmax(queries, candidates, tf.zeros([number], tf.int32), tf.zeros([number]), 2)
    assert loss.numpy() == 0.0
    by_query, by_candidate = tape.gradient(loss, [queries, candidates])
    assert not by_query.numpy().any()
    assert not by_candidate.numpy().any()


def test_full_softmax_takes_large_scores() -> None:
    queries, candidates = tf.constant([[200.0]]), tf.constant([[1.0], [-1.0]])
    with tf.GradientTape() as tape:
        tape.watch((queries, candidates))
        loss = full_softmax(queries, candidates, tf.constant([1]), tf.ones([1]), 1)
    # The loss is 400; what is reported ends where float32 does, what is learned does not.
    assert 80.0 < loss.numpy() < 90.0
    by_query, by_candidate = tape.gradient(loss, (queries, candidates))
    assert by_query.numpy().tolist() == [[2.0]]
    assert by_candidate.numpy().tolist() == [[200.0], [-200.0]]
    right = full_softmax(queries, candidates, tf.constant([0]), tf.ones([1]), 1)
    assert right.numpy() == 0.0


def drawn_case() -> tuple[Floats, Floats, Floats, Any, Floats]:
    """Return queries, positives, negatives [5, width], hits bool [queries, 5] and log_expected [5]."""
    hits = np.zeros((QUERIES, 5), bool)
    hits[0, 1] = hits[2, 1] = hits[3, :] = True
    log_expected = np.log(np.array([0.1, 0.5, 2.0, 1.0, 0.3], np.float32))
    return vectors(QUERIES, 2), vectors(QUERIES, 3), vectors(5, 4), hits, log_expected


def test_sampled_softmax() -> None:
    queries, positives, negatives, hits, log_expected = drawn_case()
    slow = 0.0
    for i in range(QUERIES):
        own = float(queries[i] @ positives[i])
        normaliser = np.exp(own)
        for j in range(5):
            if not hits[i, j]:
                normaliser += np.exp(float(queries[i] @ negatives[j])) / np.exp(log_expected[j])
        slow += WEIGHTS[i] * (np.log(normaliser) - own)
    loss = sampled_softmax(queries, positives, negatives, tf.constant(hits), log_expected, WEIGHTS)
    assert loss.numpy() == pytest.approx(slow, rel=1e-5)


def test_sampled_softmax_with_nothing_but_hits_has_nothing_to_say() -> None:
    queries, positives, negatives, hits, log_expected = drawn_case()
    alone = sampled_softmax(queries, positives, negatives, tf.ones_like(hits), log_expected, WEIGHTS)
    assert alone.numpy() == pytest.approx(0.0, abs=1e-6)


def test_every_item_drawn_once_is_the_full_softmax() -> None:
    queries, candidates = vectors(QUERIES, 0), vectors(ITEMS, 1)
    hits = targets()[:, None] == np.arange(ITEMS)
    sampled = sampled_softmax(queries, candidates[targets()], candidates, hits, tf.zeros([ITEMS]), WEIGHTS)
    full = full_softmax(queries, candidates, tf.constant(targets()), tf.constant(WEIGHTS), 4)
    assert sampled.numpy() == pytest.approx(full.numpy(), rel=1e-5)


def test_the_sampled_normaliser_estimates_the_full_one_without_bias() -> None:
    tf.random.set_seed(5)
    query, candidates = vectors(1, 0), vectors(ITEMS, 1)
    target, number = 4, 200
    shares = np.linspace(1.0, 3.0, ITEMS).astype(np.float32)
    shares /= shares.sum()
    scores = (query @ candidates.T)[0]
    estimates = []
    for _ in range(500):
        drawn = draw_items(tf.constant(shares), number).numpy()
        loss = sampled_softmax(
            query,
            candidates[[target]],
            candidates[drawn],
            (drawn == target)[None],
            np.log(number * shares[drawn]),
            tf.ones([1]),
        )
        estimates.append(np.exp(loss.numpy() + scores[target]))
    # 100,000 draws: the standard error is below half a per cent.
    assert np.mean(estimates) == pytest.approx(np.exp(scores).sum(), rel=0.02)


@pytest.mark.parametrize("beta", [1.0, 0.25])
def test_generalised_binary_cross_entropy(beta: float) -> None:
    queries, positives, negatives, hits, _ = drawn_case()
    slow = 0.0
    for i in range(QUERIES):
        right = 1 / (1 + np.exp(-float(queries[i] @ positives[i])))
        own = -np.log(right**beta)
        for j in range(5):
            if not hits[i, j]:
                own -= np.log(1 - 1 / (1 + np.exp(-float(queries[i] @ negatives[j]))))
        slow += WEIGHTS[i] * own
    loss = generalised_binary_cross_entropy(queries, positives, negatives, tf.constant(hits), WEIGHTS, beta)
    assert loss.numpy() == pytest.approx(slow, rel=1e-5)


def test_the_calibration_goes_from_none_to_the_share_drawn() -> None:
    assert calibration_beta(25, 101, 0.0) == pytest.approx(1.0)
    assert calibration_beta(25, 101, 1.0) == pytest.approx(0.25)
    assert calibration_beta(25, 101, 0.75) == pytest.approx(0.25 * 0.75 + 0.25)
    # As many negatives as there are items leave nothing to calibrate.
    assert calibration_beta(500, 101, 1.0) == pytest.approx(1.0)


def slow_in_batch(queries: Floats, candidates: Floats, probabilities: Any, counts: Any, weights: Any) -> float:
    total = 0.0
    for i, query in enumerate(queries):
        logits = [
            float(query @ candidates[j]) - np.log(probabilities[j])
            for j in range(len(candidates))
            if counts[i, j] or i == j
        ]
        own = float(query @ candidates[i]) - np.log(probabilities[i])
        total += weights[i] * (np.log(np.exp(logits).sum()) - own)
    return total


@pytest.mark.parametrize("number", [QUERIES, QUERIES + 4])
def test_in_batch_softmax_subtracts_the_log_of_the_probability(number: int) -> None:
    queries, candidates = vectors(QUERIES, 5), vectors(number, 6)
    probabilities = np.random.default_rng(0).uniform(0.01, 1.0, number).astype(np.float32)
    counts = np.random.default_rng(1).random((QUERIES, number)) < 0.6
    counts[np.arange(QUERIES), np.arange(QUERIES)] = False
    loss = in_batch_softmax(retrieval_task(), queries, candidates, probabilities, tf.constant(counts), WEIGHTS)
    expected = slow_in_batch(queries, candidates, probabilities, counts, WEIGHTS)
    assert loss.numpy() == pytest.approx(expected, rel=1e-4)


def test_a_frequent_candidate_is_a_weaker_negative() -> None:
    queries, candidates = tf.constant([[1.0]]), tf.constant([[1.0], [1.0]])
    both = tf.ones([1, 2], tf.bool)
    rare, frequent = (
        in_batch_softmax(retrieval_task(), queries, candidates, tf.constant([0.5, p]), both, tf.ones([1])).numpy()
        for p in (0.1, 0.9)
    )
    assert rare == pytest.approx(np.log(1 + 0.5 / 0.1))
    assert frequent == pytest.approx(np.log(1 + 0.5 / 0.9))


def test_in_batch_takes_expected_counts_above_one() -> None:
    # With drawn negatives on top, an item may be expected more than once in a batch.
    queries, candidates = vectors(QUERIES, 5), vectors(QUERIES, 6)
    expected_counts = np.linspace(0.5, 4.0, QUERIES).astype(np.float32)
    counts = np.ones((QUERIES, QUERIES), bool)
    loss = in_batch_softmax(retrieval_task(), queries, candidates, expected_counts, tf.constant(counts), WEIGHTS)
    expected = slow_in_batch(queries, candidates, expected_counts, counts, WEIGHTS)
    assert loss.numpy() == pytest.approx(expected, rel=1e-4)


def test_what_may_not_count_gets_no_gradient() -> None:
    queries, candidates = tf.constant(vectors(2, 5)), tf.Variable(vectors(4, 6))
    counts = tf.constant([[False, True, False, True], [True, False, False, True]])
    with tf.GradientTape() as tape:
        loss = in_batch_softmax(retrieval_task(), queries, candidates, tf.fill([4], 0.5), counts, tf.ones([2]))
    gradient = tape.gradient(loss, candidates).numpy()
    assert not gradient[2].any()
    assert gradient[[0, 1, 3]].any(axis=1).all()
