"""`run.py benchmark training`: what is counted, and what is compared with what; nothing here looks at a clock."""

import json
import shutil
from pathlib import Path

import pytest

from recsys_tf.benchmarks import training
from recsys_tf.errors import InputError
from recsys_tf.results import files
from recsys_tf.sequences.dataset import PreparedData, Windowing, retrieval_batches


@pytest.fixture(scope="module")
def folder(prepared: PreparedData, tmp_path_factory: pytest.TempPathFactory) -> str:
    target = tmp_path_factory.mktemp("benchmark")
    shutil.copytree(prepared.directory, target / "prepared")
    return str(target)


def test_an_epoch_holds_every_sequence_and_answer_once(prepared: PreparedData, folder: str) -> None:
    batches = list(retrieval_batches(prepared, Windowing("training", "all", "next_item", 1), 32).as_numpy_iterator())
    sequences = sum(len(batch["held"]) for batch in batches)
    answers = sum(int((batch["label"] >= 0).sum()) for batch in batches)
    trained = training.train_steps(folder, "0", "transformer", "sampled")
    products = training.bare_products(folder, "0")
    for figures in (trained, products):
        assert figures["sequences"] == sequences
        assert figures["answers_per_second"] / figures["per_second"] == pytest.approx(answers / sequences)
        assert figures["per_second"] == pytest.approx(sequences / figures["seconds"])
    assert trained["reader_per_second"] > 0
    crowd = training.train_steps(folder, "0", "transformer", "sampled", "2")
    assert crowd["sequences"] == 2 * sequences


def test_steps_limit_what_is_measured(folder: str) -> None:
    assert training.bare_products(folder, "1")["sequences"] <= 128
    tutorial = training.tutorial_steps(folder, "1")
    # One answer for a sequence, however many it holds.
    assert tutorial["answers_per_second"] == tutorial["per_second"]
    assert training.train_steps(folder, "1", "gru", "in_batch")["steps"] == 1


def test_evaluation_and_the_profilers_word(folder: str) -> None:
    found = training.evaluation_speed(folder)
    assert min(found["seconds"], found["ranking_seconds"], found["product_seconds"]) > 0
    waiting = training.input_wait(folder, "3")
    assert waiting["steps"] >= 2
    assert 0 <= waiting["share"] <= 1


def test_ratios_are_worked_out_and_published(
    folder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def figures(module: str, function: str, *arguments: str) -> dict[str, float]:
        plain = {"seconds": 4.0, "per_second": 10.0, "answers_per_second": 60.0, "peak_mib": 100.0, "sequences": 40.0}
        match function, arguments[2:]:
            case "bare_products", _:
                return plain | {"seconds": 2.0}
            case "tutorial_steps", _:
                return plain | {"answers_per_second": 10.0}
            case "evaluation_speed", _:
                return plain | {"seconds": 3.0, "ranking_seconds": 1.0, "product_seconds": 0.75}
            case "input_wait", _:
                return {"share": 0.01}
            case "train_steps", ("transformer", "full", _):
                return plain | {"peak_mib": 150.0, "reader_per_second": 90.0, "steps": 5}
            case _:
                return plain | {"reader_per_second": 90.0, "steps": 5}

    monkeypatch.setattr(training, "measure_in_process", figures)
    monkeypatch.setattr(files, "DIRECTORY", tmp_path)
    training.benchmark_training(Path(folder), 0, "speed")
    result = json.loads((tmp_path / "speed.json").read_text(encoding="utf-8"))
    assert list(result["ratios"].values()) == [2.0, 6.0, 6.0, 9.0, 0.75, 0.25, 1.5, 0.01]
    assert result["steps"] == 5
    assert "transformer, in_batch / tutorial" in capsys.readouterr().out
    with pytest.raises(InputError, match="prepared data"):
        training.benchmark_training(tmp_path, 0, "")
