"""The article's classifier, whatever it is fed with: one set of behaviour tests for every kind of input."""

import dataclasses
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from recsys_tf.config import ClassifierConfig, Inputs
from recsys_tf.models.classifier import build_classifier, representation
from recsys_tf.models.event_embedding import event_sizes
from recsys_tf.sequences.dataset import PreparedData, Windowing, read_windows
from recsys_tf.sequences.features import EventFeatures

CLASSES = 7
KINDS: tuple[Inputs, ...] = ("events", "token", "numeric")


def build(prepared: PreparedData, inputs: Inputs, every_position: bool, units: tuple[int, ...] = (8, 6)) -> Any:
    config = ClassifierConfig(inputs=inputs, embedding_size=8, lstm_units=units)
    vocab_size = EventFeatures(prepared.space).vocab_size
    return build_classifier(config, CLASSES, event_sizes(prepared.space), vocab_size, every_position)


@pytest.fixture(scope="module")
def histories(prepared: PreparedData) -> dict[str, Any]:
    """Eight histories of different lengths, padded to the longest."""
    windows = next(iter(read_windows(prepared, Windowing("training", "last", "next_category", 5))))
    order = tf.argsort(windows["held"])[:: max(int(windows["held"].shape[0]) // 8, 1)][:8]
    return {
        name: tf.gather(windows[name], order) for name in ("row", "behavior", "device", "timestamp", "words", "held")
    }


def inputs_of(prepared: PreparedData, histories: dict[str, Any], kind: Inputs, length: int | None = None) -> Any:
    ids = {name: value[:, :length] for name, value in histories.items() if name != "held"}
    return EventFeatures(prepared.space).inputs(ids, kind)


@pytest.mark.parametrize("kind", KINDS)
def test_probabilities_per_history_and_per_position(
    prepared: PreparedData, histories: dict[str, Any], kind: Inputs
) -> None:
    single, every = build(prepared, kind, False), build(prepared, kind, True)
    given = inputs_of(prepared, histories, kind)
    last, all_positions = single(given), every(given)
    assert last.shape == (8, CLASSES)
    assert all_positions.shape == (8, 13, CLASSES)
    assert np.sum(last, axis=-1) == pytest.approx(np.ones(8), abs=1e-5)
    # The weights are the same either way, and so is the answer at the last event.
    every.set_weights(single.get_weights())
    at_last = tf.gather(every(given), histories["held"] - 1, batch_dims=1)
    assert at_last.numpy() == pytest.approx(single(given).numpy(), abs=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_padding_changes_nothing(prepared: PreparedData, histories: dict[str, Any], kind: Inputs) -> None:
    model = build(prepared, kind, False)
    shortest = int(tf.reduce_min(histories["held"]))
    one = {name: value[:1] for name, value in histories.items()}
    padded, bare = inputs_of(prepared, one, kind), inputs_of(prepared, one, kind, shortest)
    assert model(padded).numpy() == pytest.approx(model(bare).numpy(), abs=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_no_position_sees_its_future(prepared: PreparedData, histories: dict[str, Any], kind: Inputs) -> None:
    model = build(prepared, kind, True)
    longest = {name: value[-1:] for name, value in histories.items() if name != "held"}
    changed = {name: tf.concat([value[:, :6], value[:, 6:][:, ::-1]], axis=1) for name, value in longest.items()}
    features = EventFeatures(prepared.space)
    before, after = (model(features.inputs(ids, kind)).numpy() for ids in (longest, changed))
    assert before[:, :6] == pytest.approx(after[:, :6], abs=1e-6)
    assert not np.allclose(before[:, 6:], after[:, 6:])


@pytest.mark.parametrize("kind", KINDS)
def test_an_empty_history_has_a_finite_answer(prepared: PreparedData, histories: dict[str, Any], kind: Inputs) -> None:
    start = {name: value[:, :1] for name, value in histories.items() if name != "held"}
    answer = build(prepared, kind, False)(EventFeatures(prepared.space).inputs(start, kind)).numpy()
    assert np.isfinite(answer).all()


@pytest.mark.parametrize("kind", KINDS)
def test_the_representation_is_what_the_softmax_reads(
    prepared: PreparedData, histories: dict[str, Any], kind: Inputs
) -> None:
    model = build(prepared, kind, False)
    given = inputs_of(prepared, histories, kind)
    probabilities = model(given).numpy()
    hidden = representation(model, given)
    assert hidden.shape == (8, 6)
    assert model.layers[-1](hidden).numpy() == pytest.approx(probabilities, abs=1e-6)


def test_number_and_width_of_the_lstm_layers_are_settings(prepared: PreparedData) -> None:
    for units in ((4,), (4, 3), (4, 4, 2)):
        model = build(prepared, "token", False, units)
        lstms = [layer for layer in model.layers if isinstance(layer, tf.keras.layers.LSTM)]
        assert tuple(layer.units for layer in lstms) == units
        assert [layer.return_sequences for layer in lstms] == [True] * (len(units) - 1) + [False]


def test_the_listing_is_recognisable(prepared: PreparedData) -> None:
    config = dataclasses.replace(ClassifierConfig(), inputs="token")
    model = build_classifier(config, 100, event_sizes(prepared.space), 1000, every_position=False)
    names = [type(layer).__name__ for layer in model.layers]
    assert [name for name in names if name != "Dropout"] == ["Embedding", "LSTM", "LSTM", "Dense"]
    assert [layer.units for layer in model.layers if hasattr(layer, "units")] == [128, 64, 100]
