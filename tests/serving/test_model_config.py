"""Which versions are wanted, labels, another configuration while serving, and the file that says all of it."""

import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from live_server import LiveServer, live_server, save_half_plus, until

from recsys_tf.errors import InputError
from recsys_tf.serving.model_config import ModelConfig, Wanted, config_text, configured_models
from recsys_tf.serving.server.errors import Code, ServingError


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SavedModel that answers x / 2 + 1."""
    return save_half_plus(tmp_path_factory.mktemp("saved") / "1", 1.0)


@pytest.fixture
def folder(tmp_path: Path, saved: Path) -> Path:
    for number in (1, 2, 3, 10):
        shutil.copytree(saved, tmp_path / "m" / str(number))
    return tmp_path / "m"


@pytest.fixture
def server(folder: Path) -> Iterator[LiveServer]:
    labels = {"stable": 2, "canary": 10, "gone": 7}
    with live_server({"m": ModelConfig(folder, Wanted(everything=True), labels)}) as running:
        yield running


def available(server: LiveServer, model: str = "m") -> list[int]:
    found = server.ask("GET", f"/v1/models/{model}").json().get("model_version_status", [])
    return [int(one["version"]) for one in found if one["state"] == "AVAILABLE"]


def served_version(server: LiveServer, path: str) -> Any:
    answer = server.ask("GET", f"/v1/models/m{path}/metadata")
    return int(answer.json()["model_spec"]["version"]) if answer.status == 200 else answer.status


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (Wanted(), [10]),
        (Wanted(latest=2), [10, 3]),
        (Wanted(latest=9), [10, 3, 2, 1]),
        (Wanted(specific=(1, 3, 8)), [3, 1]),
        (Wanted(everything=True), [10, 3, 2, 1]),
    ],
)
def test_the_wanted_versions_are_served(folder: Path, wanted: Wanted, expected: list[int]) -> None:
    with live_server({"m": ModelConfig(folder, wanted)}) as server:
        assert available(server) == expected
        for number in (1, 2, 3, 10):
            answer = server.ask("POST", f"/v1/models/m/versions/{number}:predict", {"instances": [2.0]})
            assert answer.status == (200 if number in expected else 404)


def test_a_broken_version_does_not_count_among_the_latest(folder: Path) -> None:
    (folder / "3" / "saved_model.pb").write_bytes(b"broken")
    with live_server({"m": ModelConfig(folder, Wanted(latest=2))}) as server:
        assert available(server) == [10, 2]


def test_labels_name_versions(server: LiveServer) -> None:
    assert served_version(server, "") == 10
    assert served_version(server, "/labels/stable") == 2
    assert served_version(server, "/labels/canary") == 10
    answer = server.ask("POST", "/v1/models/m/labels/stable:predict", {"instances": [2.0]})
    assert answer.json() == {"predictions": [2.0]}


def test_labels_that_lead_nowhere(server: LiveServer) -> None:
    body = {"instances": [2.0]}
    unknown = server.ask("POST", "/v1/models/m/labels/nobody:predict", body)
    assert (unknown.status, unknown.error()) == (400, "Unrecognized servable version label: nobody")
    elsewhere = server.ask("POST", "/v1/models/other/labels/stable:predict", body)
    assert (elsewhere.status, elsewhere.error()) == (400, "Unrecognized servable version label: stable")
    gone = server.ask("POST", "/v1/models/m/labels/gone:predict", body)
    assert (gone.status, gone.error()) == (404, "Servable not found for request: Specific(m, 7)")
    # In a status request a label counts for nothing.
    assert len(server.ask("GET", "/v1/models/m/labels/nobody").json()["model_version_status"]) == 4


def test_another_configuration_replaces_the_whole_one(server: LiveServer, folder: Path, saved: Path) -> None:
    shutil.copytree(saved, folder.parent / "n" / "5")
    server.table.reload(
        {
            "m": ModelConfig(folder, Wanted(specific=(1, 2)), {"stable": 1}),
            "n": ModelConfig(folder.parent / "n", labels={"only": 5}),
        }
    )
    # Whoever asked for it may ask for what is in it.
    assert available(server, "n") == [5]
    assert served_version(server, "/labels/stable") == 1
    assert available(server) == [2, 1]
    assert served_version(server, "/labels/canary") == 400
    server.table.reload({"n": ModelConfig(folder.parent / "n")})
    assert server.ask("GET", "/v1/models/m").status == 404
    assert server.predict({"instances": [2.0]}).status == 404
    assert server.predict({"instances": [2.0]}, model="n").status == 200


def test_a_label_moves_only_to_what_is_available(server: LiveServer, folder: Path) -> None:
    with pytest.raises(ServingError, match="version 7 of model m, which is not currently available") as refused:
        server.table.reload({"m": ModelConfig(folder, Wanted(everything=True), {"stable": 7})})
    assert refused.value.code == Code.FAILED_PRECONDITION
    assert served_version(server, "/labels/stable") == 2
    server.table.reload({"m": ModelConfig(folder, Wanted(everything=True), {"stable": 3})})
    assert served_version(server, "/labels/stable") == 3


def test_reloading_under_load_loses_no_request(server: LiveServer, folder: Path) -> None:
    statuses: list[int] = []
    stop = threading.Event()

    def ask() -> None:
        while not stop.is_set():
            statuses.append(server.predict({"instances": [0]}).status)

    threads = [threading.Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    until(lambda: len(statuses) > 10)
    for wanted in (Wanted(), Wanted(latest=2), Wanted(specific=(1, 10)), Wanted(specific=(1,)), Wanted(specific=(3,))):
        server.table.reload({"m": ModelConfig(folder, wanted)})
    stop.set()
    for thread in threads:
        thread.join()
    assert set(statuses) == {200}


CONFIG = """
model_config_list {{
  config {{
    name: "shop" base_path: "{0}/m" model_platform: "tensorflow"
    model_version_policy {{ specific {{ versions: 2 versions: 10 }} }}
    version_labels {{ key: "stable" value: 2 }}
  }}
  config {{ name: "all" base_path: "{0}/m" model_version_policy {{ all {{}} }} }}
  config {{ name: "two" base_path: "{0}/m" model_version_policy {{ latest {{ num_versions: 2 }} }} }}
  config {{ name: "plain" base_path: "{0}/m" }}
}}
"""


def test_the_file_is_read_and_written(tmp_path: Path) -> None:
    file = tmp_path / "models.config"
    file.write_text(CONFIG.format(tmp_path), encoding="utf-8")
    folder = tmp_path / "m"
    expected = {
        "shop": ModelConfig(folder, Wanted(specific=(2, 10)), {"stable": 2}),
        "all": ModelConfig(folder, Wanted(everything=True)),
        "two": ModelConfig(folder, Wanted(latest=2)),
        "plain": ModelConfig(folder),
    }
    assert configured_models((), file) == expected
    file.write_text(config_text(expected), encoding="utf-8")
    assert configured_models((), file) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no model_config_list"),
        ("model_config_list { config { nmae: 'x' } }", "nmae"),
        ("model_config_list { config { base_path: '/x' } }", "is no name"),
        ("model_config_list { config { name: 'a:b' base_path: '/x' } }", "is no name"),
        ("model_config_list { config { name: 'a' base_path: 'x' } }", "not absolute"),
        ("model_config_list { config { name: 'a' base_path: '/x' model_platform: 'caffe' } }", "caffe"),
        (
            "model_config_list { config { name: 'a' base_path: '/x' } config { name: 'a' base_path: '/y' } }",
            "given twice",
        ),
        (
            "model_config_list { config { name: 'a' base_path: '/x' model_version_policy { specific {} } } }",
            "names no version",
        ),
    ],
)
def test_files_that_cannot_be_served(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "models.config"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=message):
        configured_models((), file)
    with pytest.raises(InputError, match="no such file"):
        configured_models((), tmp_path / "missing")
