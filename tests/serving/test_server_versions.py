"""The life of versions: hot swaps, half-copied and broken folders, roll-backs."""

import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from live_server import LiveServer, live_server, save_half_plus, until

from recsys_tf.serving.model_config import ModelConfig
from recsys_tf.serving.server.errors import ServingError
from recsys_tf.serving.server.model_table import ModelTable


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> dict[int, Path]:
    """SavedModels that answer x / 2 + version."""
    folder = tmp_path_factory.mktemp("saved")
    return {number: save_half_plus(folder / str(number), float(number)) for number in (1, 2, 3)}


@pytest.fixture
def folder(tmp_path: Path, saved: dict[int, Path]) -> Path:
    publish(saved[1], tmp_path / "m" / "1")
    return tmp_path / "m"


@pytest.fixture
def server(folder: Path) -> Iterator[LiveServer]:
    with live_server({"m": folder}) as running:
        yield running


def publish(source: Path, target: Path) -> None:
    temporary = target.parent / f".{target.name}.partial"
    shutil.copytree(source, temporary)
    temporary.rename(target)


def answer(server: LiveServer) -> Any:
    return server.predict({"instances": [0]}).json().get("predictions")


def states(server: LiveServer) -> dict[str, str]:
    versions = server.ask("GET", "/v1/models/m").json()["model_version_status"]
    return {version["version"]: version["state"] for version in versions}


def test_a_hot_swap_under_load_loses_no_request(server: LiveServer, folder: Path, saved: dict[int, Path]) -> None:
    seen: list[tuple[int, Any]] = []
    stop = threading.Event()

    def ask() -> None:
        while not stop.is_set():
            reply = server.predict({"instances": [0]})
            seen.append((reply.status, reply.json().get("predictions")))

    threads = [threading.Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    until(lambda: len(seen) > 20)
    publish(saved[2], folder / "2")
    until(lambda: states(server) == {"2": "AVAILABLE", "1": "END"})
    until(lambda: seen[-3:] == [(200, [2.0])] * 3)
    stop.set()
    for thread in threads:
        thread.join()
    assert {status for status, _ in seen} == {200}
    assert {tuple(values) for _, values in seen} == {(1.0,), (2.0,)}
    assert server.ask("POST", "/v1/models/m/versions/1:predict", {"instances": [0]}).status == 404
    assert list(states(server)) == ["2", "1"]


def test_requests_under_way_finish_on_the_version_they_began_with(folder: Path, saved: dict[int, Path]) -> None:
    table = ModelTable({"m": ModelConfig(folder)}, 0.05)
    table.start()
    try:
        with table.lease("m", None) as (number, model):
            publish(saved[2], folder / "2")
            until(lambda: [one.state for one in table.status("m", None)] == ["AVAILABLE", "UNLOADING"])
            with pytest.raises(ServingError, match=r"Specific\(m, 1\)"), table.lease("m", 1):
                pass
            with table.lease("m", None) as (newest, _):
                assert newest == 2
            [input_name] = model.input_types("serving_default")
            import numpy as np

            outputs = model.run("serving_default", {input_name: np.zeros(1, np.float32)})
            assert (number, outputs["y"].tolist()) == (1, [1.0])
        until(lambda: [one.state for one in table.status("m", None)] == ["AVAILABLE", "END"])
    finally:
        table.stop()


def test_a_half_copied_version_waits_until_it_is_whole(
    server: LiveServer, folder: Path, saved: dict[int, Path]
) -> None:
    shutil.copytree(saved[2], folder / "2", ignore=shutil.ignore_patterns("saved_model.pb"))
    publish(saved[3], folder / "notes")
    until(lambda: states(server) == {"1": "AVAILABLE"} and answer(server) == [1.0])
    shutil.copy(saved[2] / "saved_model.pb", folder / "2" / "saved_model.pb")
    until(lambda: answer(server) == [2.0])


def test_a_version_whose_variables_come_last_is_tried_again(
    server: LiveServer, folder: Path, saved: dict[int, Path]
) -> None:
    shutil.copytree(saved[2], folder / "2", ignore=shutil.ignore_patterns("variables"))
    until(lambda: states(server) == {"2": "END", "1": "AVAILABLE"})
    shutil.copytree(saved[2] / "variables", folder / "2" / "variables")
    until(lambda: answer(server) == [2.0])
    assert states(server) == {"2": "AVAILABLE", "1": "END"}


@pytest.mark.parametrize("content", [b"", b"garbage" * 20, b"half"])
def test_a_broken_version_never_replaces_a_good_one(
    server: LiveServer, folder: Path, saved: dict[int, Path], content: bytes
) -> None:
    whole = (saved[2] / "saved_model.pb").read_bytes()
    shutil.copytree(saved[2], folder / ".2")
    (folder / ".2" / "saved_model.pb").write_bytes(whole[: len(whole) // 2] if content == b"half" else content)
    (folder / ".2").rename(folder / "2")
    until(lambda: states(server) == {"2": "END", "1": "AVAILABLE"})
    assert answer(server) == [1.0]
    [broken] = server.ask("GET", "/v1/models/m/versions/2").json()["model_version_status"]
    assert broken["status"]["error_code"] != "OK" and broken["status"]["error_message"]
    publish(saved[3], folder / "3")
    until(lambda: answer(server) == [3.0])
    # Tried once, not at every look.
    assert len([line for line in server.announced if "version 2 could not be loaded" in line]) == 1


def test_removing_the_newest_rolls_back_and_removing_all_gives_404(
    server: LiveServer, folder: Path, saved: dict[int, Path]
) -> None:
    publish(saved[2], folder / "2")
    until(lambda: states(server) == {"2": "AVAILABLE", "1": "END"})
    shutil.rmtree(folder / "2")
    until(lambda: answer(server) == [1.0])
    until(lambda: states(server) == {"2": "END", "1": "AVAILABLE"})
    shutil.rmtree(folder / "1")
    until(lambda: server.predict({"instances": [0]}).status == 404)
    assert states(server) == {"2": "END", "1": "END"}
    publish(saved[3], folder / "5")
    until(lambda: answer(server) == [3.0])


def test_a_broken_newest_at_the_start_leaves_the_next_best(folder: Path) -> None:
    (folder / "9").mkdir()
    (folder / "9" / "saved_model.pb").write_bytes(b"broken")
    with live_server({"m": folder}) as server:
        assert answer(server) == [1.0]
        assert states(server) == {"9": "END", "1": "AVAILABLE"}
        assert [line for line in server.announced if line == "m version 1 is AVAILABLE"]
