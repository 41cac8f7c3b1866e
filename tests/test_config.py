"""Settings survive the trip to JSON and back, and a wrong one is named."""

import json
from pathlib import Path

import pytest

from recsys_tf.cli import main
from recsys_tf.config import TrainConfig, preset
from recsys_tf.config_json import from_json, to_json
from recsys_tf.errors import InputError


@pytest.mark.parametrize("name", ["default", "article", "quick"])
def test_presets_survive_the_file(name: str) -> None:
    config = preset(name)  # type: ignore[arg-type]
    assert from_json(TrainConfig, json.loads(json.dumps(to_json(config)))) == config


def test_the_article_preset_is_the_listing() -> None:
    config = preset("article")
    assert (config.fit.epochs, config.fit.batch_size, config.classifier.every_position) == (10, 32, False)
    assert (config.classifier.inputs, config.classifier.lstm_units, config.classifier.dropout) == (
        "token",
        (128, 64),
        0,
    )


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"fit": {"epocs": 3}}, "'epocs' is no field of FitConfig"),
        ({"fit": {"epochs": "three"}}, "'three' does not fit epochs"),
        ({"split": {"method": "random"}}, "'random' does not fit method"),
        ({"classifier": {"lstm_units": [128, "64"]}}, "'64' does not fit lstm_units"),
    ],
)
def test_wrong_settings_are_named(values: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        from_json(TrainConfig, values)


def test_every_field_is_an_option_with_a_help_text(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(["train", "--help"])
    assert end.value.code == 0
    text = capsys.readouterr().out
    for option in ("--fit.epochs", "--classifier.lstm-units", "--split.method", "--features.max-length", "--data"):
        assert option in text
    assert "Passes over the training data at most" in text


def test_options_win_over_the_preset_and_the_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from recsys_tf.cli import _train_config

    config = _train_config(["--preset", "article", "--fit.epochs", "3"])
    assert config.fit.epochs == 3
    assert config.classifier.inputs == "token"
    file = tmp_path / "config.json"
    file.write_text(json.dumps(to_json(preset("quick"))))
    assert _train_config([f"--config={file}", "--fit.seed", "9"]).classifier == preset("quick").classifier
    with pytest.raises(InputError, match="exclude"):
        _train_config(["--config", str(file), "--preset", "quick"])
