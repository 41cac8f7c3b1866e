"""The two-tower model: what its losses are, that they fall, and that nothing but the seed decides them."""

import dataclasses
import itertools
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from recsys_tf.config import Encoder, Loss, TwoTowerConfig
from recsys_tf.models.query_tower import ANY_BEHAVIOR
from recsys_tf.models.two_tower import TwoTower, repeats
from recsys_tf.sequences.dataset import PreparedData, Windowing, retrieval_batches
from recsys_tf.sequences.vocabularies import FIRST, UNKNOWN
from recsys_tf.training.fit_two_tower import new_two_tower

CONFIG = TwoTowerConfig(width=16, layers=1, heads=2, dropout=0.0, negatives=64, positions_per_sequence=4, chunk=50)
# Nothing is left to chance.
SURE = dataclasses.replace(CONFIG, item_dropout=0.0, context_dropout=0.0, any_behavior=1.0)

LOSSES: tuple[Loss, ...] = ("full", "sampled", "gbce", "in_batch")
ENCODERS: tuple[Encoder, ...] = ("transformer", "gru", "bert")
PAIRS = tuple(itertools.product(LOSSES, ENCODERS))
# Every loss and every encoder once.
FEW = (("full", "transformer"), ("sampled", "gru"), ("gbce", "bert"), ("in_batch", "transformer"))


@pytest.fixture(scope="module")
def batch(prepared: PreparedData) -> dict[str, Any]:
    """Thirty-two histories of different lengths, with searches among them."""
    batches = retrieval_batches(prepared, Windowing("training", "all", "next_item", 1), 32, static_shapes=True)
    found = next(one for one in batches if (one["words"].numpy() > 0).any() and (one["label"].numpy() == -1).any())
    assert len(set(found["held"].numpy().tolist())) > 2
    return dict(found)


def build(prepared: PreparedData, config: TwoTowerConfig, static: bool = False, seed: int = 1) -> TwoTower:
    tf.keras.utils.set_random_seed(seed)
    shares = np.linspace(1, 3, len(prepared.space.items.tokens)).astype(np.float32)
    return new_two_tower(prepared, config, shares / shares.sum(), static)


def labelled(batch: dict[str, Any]) -> tuple[Any, Any]:
    at = np.nonzero(batch["label"].numpy() >= 0)
    return at, batch["label"].numpy()[at]


def catalogue_indices(prepared: PreparedData) -> list[int]:
    """Where each item of the vocabulary stands in the catalogue."""
    return [prepared.space.catalogue.item_ids.index(token) for token in prepared.space.items.tokens]


@pytest.mark.parametrize(("normalise", "temperature"), [(False, 1.0), (True, 0.1)])
def test_the_full_loss_is_the_mean_cross_entropy_over_the_items_of_training(
    prepared: PreparedData, batch: dict[str, Any], normalise: bool, temperature: float
) -> None:
    config = dataclasses.replace(SURE, normalise=normalise, temperature=temperature)
    model = build(prepared, config)
    at, label = labelled(batch)
    queries = model(batch).numpy()[at]
    scores = queries @ model.candidates(model.table()).numpy()[catalogue_indices(prepared)].T
    own = scores[np.arange(len(label)), label]
    expected = (np.log(np.exp(scores.astype(np.float64)).sum(axis=1)) - own).mean()
    assert model.compute_loss(batch, training=True).numpy() == pytest.approx(expected, rel=1e-4)
    assert model.compute_loss(batch).numpy() == pytest.approx(expected, rel=1e-4)


def test_vectors_of_length_one(prepared: PreparedData, batch: dict[str, Any]) -> None:
    model = build(prepared, dataclasses.replace(SURE, normalise=True, temperature=0.1))
    candidates = model.candidates(model.table()).numpy()
    assert candidates.shape == (len(prepared.space.catalogue), 16)
    assert np.linalg.norm(candidates, axis=1) == pytest.approx(np.ones(len(candidates)), abs=1e-5)
    assert np.linalg.norm(model(batch).numpy(), axis=-1) == pytest.approx(np.full(batch["row"].shape, 10.0), rel=1e-4)


@pytest.mark.parametrize("encoder", ENCODERS)
def test_a_query_is_the_answer_at_the_last_event(
    prepared: PreparedData, batch: dict[str, Any], encoder: Encoder
) -> None:
    model = build(prepared, dataclasses.replace(SURE, encoder=encoder))
    everywhere = model(batch).numpy()
    last = everywhere[np.arange(32), batch["held"].numpy() - 1]
    queries = model.query(batch, tf.fill([32], ANY_BEHAVIOR), model.table()).numpy()
    assert queries == pytest.approx(last, abs=1e-6)
    # What is asked for is heard as soon as it has been learnt.
    random = np.random.default_rng(0)
    for weight in model.query_tower._shift.weights:
        weight.assign(random.normal(size=weight.shape))
    assert np.abs(model.query(batch, tf.fill([32], FIRST), model.table()).numpy() - queries).max() > 1e-2


@pytest.mark.parametrize("encoder", ENCODERS)
def test_padding_does_not_change_a_query(prepared: PreparedData, batch: dict[str, Any], encoder: Encoder) -> None:
    model = build(prepared, dataclasses.replace(SURE, encoder=encoder))
    row = int(np.argmin(batch["held"].numpy()))
    held = int(batch["held"][row])
    alone = {
        name: value[row : row + 1] if name == "held" else value[row : row + 1, :held] for name, value in batch.items()
    }
    asked = tf.constant([ANY_BEHAVIOR])
    expected = model.query(batch, tf.repeat(asked, 32), model.table()).numpy()[row]
    assert held < batch["row"].shape[1]
    assert model.query(alone, asked, model.table()).numpy()[0] == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize(("loss", "encoder"), PAIRS)
def test_gradients_reach_every_weight(
    prepared: PreparedData, batch: dict[str, Any], loss: Loss, encoder: Encoder
) -> None:
    model = build(prepared, dataclasses.replace(CONFIG, loss=loss, encoder=encoder, mixed_negatives=loss != "full"))
    with tf.GradientTape() as tape:
        value = model.compute_loss(batch, training=True)
    assert np.isfinite(value)
    variables = model.trainable_variables
    assert len({variable.ref() for variable in variables}) == len(variables)
    for variable, gradient in zip(variables, tape.gradient(value, variables), strict=True):
        assert gradient is not None, variable.name
        gradient = tf.convert_to_tensor(gradient).numpy()
        assert np.isfinite(gradient).all(), variable.name
        assert np.abs(gradient).max() > 0, variable.name


@pytest.mark.parametrize(
    ("loss", "encoder"), [pytest.param(*pair, marks=() if pair in FEW else pytest.mark.slow) for pair in PAIRS]
)
def test_the_loss_falls(prepared: PreparedData, batch: dict[str, Any], loss: Loss, encoder: Encoder) -> None:
    model = build(prepared, dataclasses.replace(CONFIG, loss=loss, encoder=encoder))
    model.compile(tf.keras.optimizers.Adam(1e-2))
    seen: list[float] = []
    keep = tf.keras.callbacks.LambdaCallback(on_train_batch_end=lambda _, logs: seen.append(logs["loss"]))
    fitted = model.fit(tf.data.Dataset.from_tensors(batch).repeat(30), verbose=0, callbacks=[keep])
    assert len(seen) == 30
    assert np.mean(seen[-5:]) < 0.8 * np.mean(seen[:5])
    # TFRS' loss is the last step's; the mean is over the epoch.
    assert fitted.history["mean_loss"][0] == pytest.approx(np.mean(seen), rel=1e-4)


@pytest.mark.parametrize(("loss", "encoder"), zip(LOSSES, ("bert", *ENCODERS), strict=True))
def test_the_seed_decides_the_loss(prepared: PreparedData, batch: dict[str, Any], loss: Loss, encoder: Encoder) -> None:
    config = dataclasses.replace(CONFIG, loss=loss, encoder=encoder, dropout=0.3)
    first, again, other = (
        build(prepared, config, seed=seed).compute_loss(batch, training=True).numpy() for seed in (1, 1, 2)
    )
    assert first == again
    assert first != other


@pytest.mark.parametrize(
    ("loss", "mixed"), [("full", False), ("sampled", False), ("sampled", True), ("gbce", False), ("in_batch", True)]
)
def test_static_shapes_change_no_loss(prepared: PreparedData, batch: dict[str, Any], loss: Loss, mixed: bool) -> None:
    config = dataclasses.replace(SURE, loss=loss, mixed_negatives=mixed, negative_sampling="popularity")
    found = []
    for static in (False, True):
        model = build(prepared, config, static)
        tf.random.set_seed(8)
        with tf.GradientTape() as tape:
            value = model.compute_loss(batch, training=True)
        variables = model.trainable_variables
        gradients = [np.ravel(tf.convert_to_tensor(one)) for one in tape.gradient(value, variables)]
        found.append((value.numpy(), np.concatenate(gradients)))
    assert found[1][0] == pytest.approx(found[0][0], rel=1e-5)
    assert found[1][1] == pytest.approx(found[0][1], abs=1e-5)


@pytest.mark.parametrize("loss", LOSSES)
def test_a_batch_without_an_answer_has_no_loss(prepared: PreparedData, batch: dict[str, Any], loss: Loss) -> None:
    model = build(prepared, dataclasses.replace(SURE, loss=loss))
    unanswered = batch | {"label": tf.fill(batch["label"].shape, -2)}
    assert model.compute_loss(unanswered, training=True).numpy() == 0.0


@pytest.mark.parametrize("loss", LOSSES)
def test_an_item_that_training_has_not_seen_is_no_negative(
    prepared: PreparedData, batch: dict[str, Any], loss: Loss
) -> None:
    catalogue = prepared.space.catalogue
    vectors = np.eye(len(catalogue.item), 400, dtype=np.float32)
    changed = dataclasses.replace(catalogue, vectors=vectors)
    data = dataclasses.replace(prepared, space=dataclasses.replace(prepared.space, catalogue=changed))
    model = build(data, dataclasses.replace(SURE, loss=loss, negatives=2000, mixed_negatives=loss != "full"))
    unseen = np.flatnonzero((catalogue.item == UNKNOWN) & (np.arange(len(catalogue.item)) >= FIRST))
    assert len(unseen)
    seen = np.setdiff1d(np.arange(FIRST, len(catalogue.item)), unseen)
    history = set(batch["row"].numpy().ravel().tolist())
    # Each row of the catalogue has a weight of its own: its gradient says whether the row was looked at.
    (weight,) = [one for one in model.trainable_variables if "/vector/" in one.name]
    with tf.GradientTape() as tape:
        value = model.compute_loss(batch, training=True)
    looked_at = np.abs(tape.gradient(value, weight).numpy()).max(axis=1) > 0
    assert not looked_at[[row for row in unseen if row not in history]].any()
    if loss != "in_batch":
        assert looked_at[seen].mean() > 0.9


def test_bert_hides_what_it_is_asked(prepared: PreparedData, batch: dict[str, Any]) -> None:
    config = dataclasses.replace(SURE, encoder="bert", masked_share=1.0)
    model = build(prepared, config)
    # Every event that is an answer is hidden: another one in its place changes no loss as long as the label stays.
    label = batch["label"].numpy()
    row = batch["row"].numpy().copy()
    answered = np.zeros_like(label, bool)
    answered[:, 1:] = label[:, :-1] >= 0
    answered &= np.arange(row.shape[1]) < batch["held"].numpy()[:, None]
    assert answered.any()
    row[answered] = FIRST + (row[answered] - FIRST + 1) % len(prepared.space.catalogue)
    plain = model.compute_loss(batch, training=True).numpy()
    assert model.compute_loss(batch | {"row": tf.constant(row)}, training=True).numpy() == pytest.approx(
        plain, rel=1e-5
    )
    causal = build(prepared, SURE)
    assert causal.compute_loss(batch | {"row": tf.constant(row)}).numpy() != causal.compute_loss(batch).numpy()


def test_a_temperature_divides_the_scores(prepared: PreparedData, batch: dict[str, Any]) -> None:
    warm, cold = (build(prepared, dataclasses.replace(SURE, temperature=t)) for t in (1.0, 0.25))
    assert cold(batch).numpy() == pytest.approx(4 * warm(batch).numpy(), rel=1e-5)
    assert (cold.table().numpy() == warm.table().numpy()).all()


@given(st.lists(st.lists(st.integers(0, 3), min_size=5, max_size=5), min_size=1, max_size=4))
def test_repeats_are_what_the_history_holds(sequences: list[list[int]]) -> None:
    rows = np.array(sequences, np.int32)
    found = repeats(tf.constant(rows[:, :-1]), tf.constant(rows[:, 1:])).numpy()
    assert found.tolist() == [[one[at + 1] in one[: at + 1] for at in range(4)] for one in sequences]


def test_training_can_ask_for_new_items_only(prepared: PreparedData, batch: dict[str, Any]) -> None:
    rows = batch["row"].numpy()
    label_rows = np.flatnonzero(prepared.space.catalogue.item >= FIRST)
    label_rows = label_rows[np.argsort(prepared.space.catalogue.item[label_rows])]
    new = batch["label"].numpy()
    for user, at in np.argwhere(new >= 0):
        if label_rows[new[user, at]] in rows[user, : at + 1]:
            new[user, at] = -1
    assert 0 < (new >= 0).sum() < (batch["label"].numpy() >= 0).sum()
    for loss in ("full", "sampled"):
        only = build(prepared, dataclasses.replace(SURE, loss=loss, new_items_only=True))
        every = build(prepared, dataclasses.replace(SURE, loss=loss))
        tf.keras.utils.set_random_seed(3)
        expected = every.compute_loss(batch | {"label": tf.constant(new)})
        tf.keras.utils.set_random_seed(3)
        assert only.compute_loss(batch).numpy() == pytest.approx(expected.numpy(), rel=1e-5)
