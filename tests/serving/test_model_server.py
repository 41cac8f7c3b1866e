"""`run.py serve`: which server it starts, what it refuses, and how it stops."""

import json
import os
import signal
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest
from live_server import save_half_plus

from recsys_tf.config import ServeConfig
from recsys_tf.errors import InputError
from recsys_tf.serving.model_config import ModelConfig, config_text
from recsys_tf.serving.model_folders import model_folders
from recsys_tf.serving.server.listening import listening_socket

ROOT = Path(__file__).resolve().parents[2]
STAND_IN = """#!{python}
import json, pathlib, sys
options = dict(option.removeprefix("--").split("=", 1) for option in sys.argv[1:])
if "model_config_file" in options:
    options["config"] = pathlib.Path(options["model_config_file"]).read_text()
pathlib.Path("{record}").write_text(json.dumps(options))
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


def official_arguments(folders: Path, models: list[str]) -> dict[str, str]:
    record = folders / "arguments.json"
    binary = folders / "bin" / "tensorflow_model_server"
    binary.parent.mkdir()
    binary.write_text(STAND_IN.format(python=sys.executable, record=record))
    binary.chmod(0o755)
    path = f"{binary.parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "TMPDIR": str(folders)}
    subprocess.run(serve_command(*models), cwd=ROOT, env=environment, check=True, timeout=60, capture_output=True)
    arguments: dict[str, str] = json.loads(record.read_text())
    return arguments


def test_the_official_server_is_started_with_one_model(folders: Path) -> None:
    arguments = official_arguments(folders, [f"one={os.path.relpath(folders / 'a', ROOT)}"])
    assert int(arguments.pop("rest_api_port")) > 0
    assert int(arguments.pop("port")) > 0
    base_path = Path(arguments.pop("model_base_path"))
    assert base_path.is_absolute() and base_path.samefile(folders / "a")
    assert arguments == {
        "model_name": "one",
        "file_system_poll_wait_seconds": "1",
        "rest_api_timeout_in_ms": "30000",
    }


def test_the_official_server_is_started_with_several_models(folders: Path) -> None:
    arguments = official_arguments(folders, [f"one={folders / 'a'}", f"two={folders / 'b'}"])
    assert "model_name" not in arguments
    assert arguments["config"] == config_text({"one": ModelConfig(folders / "a"), "two": ModelConfig(folders / "b")})
    assert f'base_path: "{folders / "b"}"' in arguments["config"]
    assert arguments["config"].count('model_platform: "tensorflow"') == 2


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
    server = subprocess.Popen(
        serve_command(f"half={tmp_path / 'm'}"), cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    try:
        assert server.stdout is not None
        assert server.stdout.readline() == "half version 3 is AVAILABLE\n"
        assert server.stdout.readline().startswith("gRPC at 127.0.0.1:")
        line = server.stdout.readline()
        address = next(word for word in line.split() if word.startswith("http://127.0.0.1:"))
        request = urllib.request.Request(f"{address}half:predict", b'{"instances": [1.0]}')
        with urllib.request.urlopen(request, timeout=20) as answer:
            assert json.load(answer) == {"predictions": [2.5]}
        server.send_signal(ending)
        assert server.wait(timeout=20) == 0
        assert server.stdout.read() == "stopped\n"
    finally:
        server.kill()
        server.wait()
