"""A small simulated shop, from raw log to prepared data, shared by all tests of a session."""

import dataclasses
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from recsys_tf.config import (
    CleaningConfig,
    FeatureConfig,
    FilterConfig,
    SimulateConfig,
    SplitConfig,
    TrainConfig,
    preset,
)
from recsys_tf.events.cleaning import CleanLog
from recsys_tf.events.importers import import_log
from recsys_tf.events.simulator import simulate, write_simulation
from recsys_tf.sequences.dataset import PreparedData, open_prepared
from recsys_tf.sequences.prepare import PrepareSettings, prepare
from recsys_tf.training.runs import Run, open_run
from recsys_tf.workflow import train

ROOT = Path(__file__).resolve().parent.parent
DATASETS = ROOT.parent / "shared" / "datasets"

# How long an example takes says how busy the machine is.
settings.register_profile("unhurried", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("unhurried")


@pytest.fixture(scope="session")
def raw_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with user_behavior_data.csv, items.csv and truth/."""
    folder = tmp_path_factory.mktemp("shop")
    write_simulation(simulate(SimulateConfig(users=150, items=300, days=30, seed=3)), folder)
    return folder


@pytest.fixture(scope="session")
def clean_log(raw_folder: Path) -> CleanLog:
    """The same log, clean."""
    files = [raw_folder / "user_behavior_data.csv", raw_folder / "items.csv"]
    return import_log("generic", files, columns={}, behaviors={}, config=CleaningConfig())


@pytest.fixture(scope="session")
def prepared(clean_log: CleanLog, tmp_path_factory: pytest.TempPathFactory) -> PreparedData:
    """The same log, prepared with short sequences."""
    directory = tmp_path_factory.mktemp("prepared") / "data"
    settings = PrepareSettings(SplitConfig(), FilterConfig(), FeatureConfig(max_length=12, words=4, shards=2))
    prepare(clean_log.events, clean_log.items, settings, directory)
    return open_prepared(directory)


@pytest.fixture
def tiny(raw_folder: Path, tmp_path: Path) -> TrainConfig:
    """A configuration that trains in seconds, all of it written under the test's folder."""
    quick = preset("quick")
    return dataclasses.replace(
        quick,
        model="classifier",
        data=raw_folder,
        run=str(tmp_path / "run"),
        features=FeatureConfig(max_length=10, words=4),
        classifier=dataclasses.replace(quick.classifier, embedding_size=16, lstm_units=(16, 16)),
        fit=dataclasses.replace(quick.fit, epochs=1),
        two_tower=dataclasses.replace(quick.two_tower, width=16),
        two_tower_fit=dataclasses.replace(quick.two_tower_fit, epochs=1),
        evaluate=dataclasses.replace(quick.evaluate, bootstrap_samples=20, max_queries=200),
        export=dataclasses.replace(quick.export, output=tmp_path / "saved_models"),
    )


@pytest.fixture
def datasets() -> Path:
    """The folder of real logs; the test is skipped where they are not."""
    if not DATASETS.is_dir():
        pytest.skip("the real data sets are not beside this checkout (../shared/datasets)")
    return DATASETS


@pytest.fixture(scope="session")
def shop_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A larger simulated shop, with ads and contacts that something can be learnt from."""
    folder = tmp_path_factory.mktemp("larger_shop")
    write_simulation(simulate(SimulateConfig(users=400, items=300, days=30, seed=3)), folder)
    return folder


@pytest.fixture(scope="session")
def head_run(shop_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A two-tower model of it, trained for one epoch, for the heads that build on a finished run."""
    folder = tmp_path_factory.mktemp("heads")
    quick = preset("quick")
    config = dataclasses.replace(
        quick,
        model="two_tower",
        data=shop_folder,
        run=str(folder / "run"),
        features=FeatureConfig(max_length=20, words=4),
        two_tower=dataclasses.replace(quick.two_tower, width=16),
        two_tower_fit=dataclasses.replace(quick.two_tower_fit, epochs=1),
        evaluate=dataclasses.replace(quick.evaluate, bootstrap_samples=20, max_queries=200, last_click=0),
        export=dataclasses.replace(quick.export, output=folder / "saved_models"),
    )
    return open_run(train(config))
