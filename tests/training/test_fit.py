"""Training learns, repeats itself, and leaves a record that is enough to go on from."""

import dataclasses
import json
from pathlib import Path
from typing import Literal

import numpy as np
import pytest

from recsys_tf.config import ClassifierConfig, FitConfig, preset
from recsys_tf.cost import Reading
from recsys_tf.errors import InputError
from recsys_tf.sequences.dataset import PreparedData, Windowing, training_batches
from recsys_tf.training import fit as training_fit
from recsys_tf.training.fit import EpochLines, fit_classifier, new_classifier
from recsys_tf.training.runs import Fitted, load_classifier, open_run, run_directory, write_run
from recsys_tf.training.schedule import WarmupCosine

SMALL = ClassifierConfig(embedding_size=16, lstm_units=(16, 8))
SHORT = FitConfig(epochs=2, batch_size=32)


def test_the_same_seed_gives_the_same_weights_and_another_one_others(prepared: PreparedData, tmp_path: Path) -> None:
    weights = []
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        (tmp_path / name).mkdir()
        model, history = fit_classifier(prepared, SMALL, dataclasses.replace(SHORT, seed=seed), tmp_path / name)
        weights.append((np.concatenate([w.ravel() for w in model.get_weights()]), history["loss"]))
    assert (weights[0][0] == weights[1][0]).all()
    assert weights[0][1] == weights[1][1]
    assert (weights[0][0] != weights[2][0]).any()


@pytest.mark.parametrize(
    ("inputs", "every_position"), [("events", True), ("events", False), ("token", False), ("numeric", True)]
)
def test_the_loss_falls(prepared: PreparedData, tmp_path: Path, inputs: str, every_position: bool) -> None:
    config = dataclasses.replace(SMALL, inputs=inputs, every_position=every_position, dropout=0.0)  # type: ignore[arg-type]
    fit = FitConfig(epochs=2, batch_size=32, learning_rate=1e-2, decay=False)
    _, history = fit_classifier(prepared, config, fit, tmp_path)
    assert history["loss"][-1] < history["loss"][0]
    assert len(history["seconds"]) == len(history["cpu_seconds"]) == len(history["loss"]) == 2


@pytest.mark.parametrize("target", ["next_behavior", "will_purchase", "next_item"])
def test_other_targets(prepared: PreparedData, tmp_path: Path, target: str) -> None:
    config = dataclasses.replace(SMALL, target=target)  # type: ignore[arg-type]
    _, history = fit_classifier(prepared, config, dataclasses.replace(SHORT, epochs=1), tmp_path)
    assert np.isfinite(history["loss"]).all()


def test_the_best_epoch_is_kept_and_training_stops_when_nothing_gets_better(
    prepared: PreparedData, tmp_path: Path
) -> None:
    fit = FitConfig(epochs=30, batch_size=32, learning_rate=0.3, patience=1, decay=False)
    (tmp_path / "classifier").mkdir()
    model, history = fit_classifier(prepared, SMALL, fit, tmp_path / "classifier")
    assert len(history["val_accuracy"]) < 30
    config = dataclasses.replace(preset("quick"), model="classifier", classifier=SMALL, fit=fit)
    write_run(tmp_path, config, prepared.directory, {"classifier": Fitted(history, model.count_params())})
    loaded = load_classifier(open_run(tmp_path))
    for kept, best in zip(loaded.get_weights(), model.get_weights(), strict=True):
        assert (kept == best).all()


@pytest.mark.parametrize("shown", [True, False])
def test_every_epoch_has_its_cost(shown: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    def reading(seconds: float, cpu: float, microjoules: int) -> Reading:
        return Reading(seconds, cpu, {"package": (microjoules, 10**9)} if shown else None)

    readings = [(0.0, 0.0, 0), (1.0, 2.0, 0), (5.0, 9.0, 3_000_000), (6.0, 10.0, 3_000_000), (8.0, 13.0, 5_500_000)]
    meters = iter([reading(*one) for one in readings])
    monkeypatch.setattr(training_fit, "read_meters", lambda: next(meters))
    lines = EpochLines(steps=10, max_minutes=0.0)
    lines.set_params({"epochs": 2})
    for epoch in range(2):
        lines.on_epoch_begin(epoch)
        lines.on_epoch_end(epoch, {"loss": 1.0})
    expected = {"seconds": [4.0, 2.0], "cpu_seconds": [7.0, 3.0]}
    assert lines.history() == expected | ({"joules": [3.0, 2.5]} if shown else {})


def test_a_target_with_one_class_is_refused(prepared: PreparedData, tmp_path: Path) -> None:
    one = dataclasses.replace(prepared.space.categories, tokens=("only",))
    data = dataclasses.replace(prepared, space=dataclasses.replace(prepared.space, categories=one))
    with pytest.raises(InputError, match="1 class \\('only'\\)"):
        fit_classifier(data, SMALL, SHORT, tmp_path)


def test_the_learning_rate_warms_up_and_decays() -> None:
    rates = [float(WarmupCosine(1.0, 4, 20)(step)) for step in range(21)]
    assert rates[:4] == pytest.approx([0.25, 0.5, 0.75, 1.0])
    assert rates[12] == pytest.approx(0.5)
    assert rates[20] == pytest.approx(0.0, abs=1e-6)
    assert float(WarmupCosine(0.5, 0, 0)(1000)) == 0.5


def test_a_damaged_run_is_named(prepared: PreparedData, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no finished run"):
        open_run(tmp_path)
    config = dataclasses.replace(preset("quick"), model="classifier", classifier=SMALL)
    write_run(tmp_path, config, prepared.directory, {"classifier": Fitted({"loss": [1.0], "seconds": [1.0]}, 1)})
    assert open_run(tmp_path).config == config
    with pytest.raises(InputError, match="weights are missing"):
        load_classifier(open_run(tmp_path))
    (tmp_path / "classifier").mkdir()
    (tmp_path / "classifier" / "weights.h5").write_bytes(b"no HDF5")
    with pytest.raises(InputError, match=r"weights\.h5"):
        load_classifier(open_run(tmp_path))
    values = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**values, "clasifier": {}}))
    with pytest.raises(InputError, match="'clasifier' is no field"):
        open_run(tmp_path)


def test_runs_are_named_after_what_they_train() -> None:
    assert run_directory(preset("article")) == Path("data/runs/classifier-token-next_category")
    assert run_directory(preset("default")) == Path("data/runs/all")
    towers = dataclasses.replace(preset("default"), model="two_tower")
    assert run_directory(towers) == Path("data/runs/two_tower-transformer-full")
    assert run_directory(dataclasses.replace(preset("quick"), run="elsewhere")) == Path("elsewhere")


@pytest.mark.parametrize("every_position", [True, False])
def test_the_reported_loss_is_the_mean_over_what_is_labelled(
    prepared: PreparedData, tmp_path: Path, every_position: bool
) -> None:
    answers: Literal["all", "last"] = "all" if every_position else "last"
    model = new_classifier(prepared, SMALL, every_position)
    model.compile("sgd", "sparse_categorical_crossentropy")
    # One batch of the whole side: shorter sequences are padded, and many positions have no label.
    windowing = Windowing("validation", answers, "next_category", 5)
    inputs, labels, weights = next(iter(training_batches(prepared, windowing, "events", 100_000)))
    probabilities = model(inputs).numpy()
    own = np.take_along_axis(probabilities, labels.numpy()[..., None], axis=-1)[..., 0]
    labelled = weights.numpy() > 0
    assert 0 < labelled.sum() < labelled.size or not every_position
    expected = -np.log(own[labelled]).mean()
    assert model.evaluate(inputs, labels, sample_weight=weights, batch_size=100_000, verbose=0) == pytest.approx(
        expected, rel=1e-4
    )
