"""`run.py serve`: which server it starts, what it refuses, and how it stops."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from live_server import save_half_plus
from server_process import server_process

from recsys_tf.config import ServeConfig
from recsys_tf.errors import InputError
from recsys_tf.serving.model_config import ModelConfig, Wanted, config_text, configured_models
from recsys_tf.serving.model_folders import model_folders
from recsys_tf.serving.model_server import serve
from recsys_tf.serving.server.batching_parameters import BatchingParameters, read_batching_parameters
from recsys_tf.serving.server.listening import listening_socket

ROOT = Path(__file__).resolve().parents[2]
STAND_IN = """#!{python}
import json, pathlib, sys
pathlib.Path("{record}").write_text(json.dumps(sys.argv[1:]))
"""


@pytest.fixture
def folders(tmp_path: Path) -> Path:
    for name in ("a", "b"):
        (tmp_path / name / "1").mkdir(parents=True)
    return tmp_path


def serve_command(*models: str, port: int = 0) -> list[str]:
    return [
        sys.executable,
        "run.py",
        "serve",
        "--rest-port",
        str(port),
        "--grpc-port",
        "0",
        "--poll-seconds",
        "0.2",
        "--model",
        *models,
    ]


def recorded(folders: Path, program: str, models: list[str], *more: str) -> list[str]:
    """Run `run.py serve` with a stand-in for a program, and return the arguments that it was started with."""
    record = folders / "arguments.json"
    stand_in = folders / "bin" / program
    stand_in.parent.mkdir()
    stand_in.write_text(STAND_IN.format(python=sys.executable, record=record))
    stand_in.chmod(0o755)
    path = f"{stand_in.parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "TMPDIR": str(folders)}
    command = [*serve_command(*models), *more]
    subprocess.run(command, cwd=ROOT, env=environment, check=True, timeout=60, capture_output=True)
    arguments: list[str] = json.loads(record.read_text())
    return arguments


def flags(arguments: list[str]) -> dict[str, str]:
    return dict(argument.removeprefix("--").split("=", 1) for argument in arguments)


def test_the_official_server_is_started_with_the_same_models(folders: Path) -> None:
    models = [f"one={os.path.relpath(folders / 'a', ROOT)}", f"two={folders / 'b'}"]
    found = flags(recorded(folders, "tensorflow_model_server", models))
    assert int(found.pop("rest_api_port")) > 0
    assert int(found.pop("port")) > 0
    served = configured_models((), Path(found.pop("model_config_file")))
    assert {name: model.folder.resolve() for name, model in served.items()} == {
        "one": folders / "a",
        "two": folders / "b",
    }
    monitoring = Path(found.pop("monitoring_config_file")).read_text()
    assert monitoring == 'prometheus_config { enable: true path: "/monitoring/prometheus/metrics" }\n'
    assert found == {
        "allow_version_labels_for_unavailable_models": "true",
        "file_system_poll_wait_seconds": "1",
        "rest_api_timeout_in_ms": "30000",
    }


def test_the_official_server_batches_by_the_same_parameters(folders: Path) -> None:
    given = folders / "given.config"
    given.write_text("max_batch_size { value: 8 } allowed_batch_sizes: 4 allowed_batch_sizes: 8")
    more = ["--enable-batching", "--batching-parameters-file", str(given), "--grpc-port", "-1"]
    found = flags(recorded(folders, "tensorflow_model_server", [f"one={folders / 'a'}"], *more))
    assert found["enable_batching"] == "true"
    assert found["port"] == "0"
    assert read_batching_parameters(Path(found["batching_parameters_file"])) == read_batching_parameters(given)


def test_docker_runs_the_same_server(folders: Path) -> None:
    config = folders / "models.config"
    models = {"shop": ModelConfig(folders / "a", Wanted(latest=2), {"stable": 1})}
    config.write_text(config_text(models))
    more = ["--docker", "--docker-image", "serving:test", "--enable-batching", "--model-config-file", str(config)]
    arguments = recorded(folders, "docker", [], *more)
    assert arguments[:2] == ["run", "--rm"]
    image = arguments.index("serving:test")
    options, server = arguments[2:image], flags(arguments[image + 1 :])
    assert [option for option in options if re.fullmatch(r"--publish=127\.0\.0\.1:\d+:850[01]", option)] == options[:2]
    assert f"--volume={folders / 'a'}:/models/shop:ro" in options
    assert "--entrypoint=tensorflow_model_server" in options
    assert (server["rest_api_port"], server["port"]) == ("8501", "8500")
    # The files as the container sees them are those that were written here.
    [mounted] = [option for option in options if option.endswith(":/config:ro")]
    folder = Path(mounted.removeprefix("--volume=").removesuffix(":/config:ro"))
    inside = {"shop": ModelConfig(Path("/models/shop"), Wanted(latest=2), {"stable": 1})}
    assert server["model_config_file"] == "/config/models.config"
    assert configured_models((), folder / "models.config") == inside
    assert server["batching_parameters_file"] == "/config/batching.config"
    assert read_batching_parameters(folder / "batching.config") == BatchingParameters()
    assert server["monitoring_config_file"] == "/config/monitoring.config"


def test_docker_that_is_not_there(folders: Path) -> None:
    command = [*serve_command(f"a={folders / 'a'}"), "--docker"]
    (folders / "empty").mkdir()
    environment = {**os.environ, "PATH": str(folders / "empty")}
    refused = subprocess.run(command, cwd=ROOT, env=environment, timeout=60, capture_output=True, text=True)
    assert refused.returncode == 2
    assert "no `docker` on the PATH" in refused.stderr


@pytest.mark.parametrize(
    ("models", "message"),
    [
        (("nothing",), "is not NAME=FOLDER"),
        (("=x",), "is not NAME=FOLDER"),
        (("a=",), "is not NAME=FOLDER"),
        (("a/b={0}/a",), "holds a '/'"),
        (("a:b={0}/a",), "holds a '/'"),
        (("a={0}/a", "a={0}/b"), "given twice"),
        (("a={0}/missing",), "no such folder"),
        (("a={0}",), "no numeric version"),
        ((), "no model"),
    ],
)
def test_models_that_cannot_be_served(folders: Path, models: tuple[str, ...], message: str) -> None:
    with pytest.raises(InputError, match=message):
        model_folders([text.format(folders) for text in models])


def test_the_defaults_are_served_as_far_as_they_exist(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    served: list[ServeConfig] = []
    monkeypatch.setattr("recsys_tf.serving.server.main.serve_locally", served.append)
    monkeypatch.setattr("shutil.which", lambda name: None)
    monkeypatch.chdir(tmp_path)
    config = ServeConfig(rest_port=0, grpc_port=0)
    both = r"saved_models/two_tower and saved_models/classifier: there is no such folder; `run.py train` makes them"
    with pytest.raises(InputError, match=both):
        serve(config)
    Path("saved_models/two_tower/1").mkdir(parents=True)
    serve(config)
    assert capsys.readouterr().out == "saved_models/classifier: there is no such folder; served without it\n"
    Path("saved_models/classifier/1").mkdir(parents=True)
    serve(config)
    assert capsys.readouterr().out == ""
    assert [one.model for one in served] == [ServeConfig.model[:1], ServeConfig.model]
    # What is named must be there.
    with pytest.raises(InputError, match="elsewhere: there is no such folder"):
        serve(replace(config, model=(ServeConfig.model[0], "classifier=elsewhere")))


def test_a_port_in_use_and_ports_that_are_none(folders: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(InputError, match=f"port {port} is in use"):
            listening_socket("127.0.0.1", port)
        command = serve_command(f"a={folders / 'a'}", port=port)
        refused = subprocess.run(command, cwd=ROOT, timeout=60, capture_output=True, text=True)
    assert refused.returncode == 2
    assert refused.stderr.strip().splitlines()[-1].startswith(f"run.py serve: port {port} is in use")
    for port in (-1, 65536):
        with pytest.raises(InputError, match="is no port"):
            listening_socket("127.0.0.1", port)
    with pytest.raises(InputError, match="cannot listen on"):
        listening_socket("no.such.host.invalid", 0)


def test_the_default_is_reached_from_this_machine_only() -> None:
    assert ServeConfig().host == "127.0.0.1"


@pytest.mark.slow
@pytest.mark.parametrize("ending", [signal.SIGTERM, signal.SIGINT])
def test_the_local_server_from_start_to_end(tmp_path: Path, ending: signal.Signals) -> None:
    save_half_plus(tmp_path / "m" / "3", 2.0)
    with server_process({"half": tmp_path / "m"}, grpc_port=0) as server:
        assert server.said()[0] == "half version 3 is AVAILABLE"
        assert server.predict({"instances": [1.0]}, model="half").json() == {"predictions": [2.5]}
        started = len(server.said())
        assert server.stop(ending) == 0
        assert server.said()[started:] == ["stopped"]
