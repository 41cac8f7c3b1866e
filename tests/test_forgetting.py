"""`run.py forget`: the user is gone from everything that was written, and whatever learned from the user is named."""

import gzip
import json
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest

from recsys_tf import forgetting
from recsys_tf.cli import main
from recsys_tf.config import TrainConfig
from recsys_tf.config_json import to_json
from recsys_tf.events.pseudonyms import pseudonym
from recsys_tf.events.tables import read_clean_log
from recsys_tf.sequences.dataset import open_prepared
from recsys_tf.sequences.shards import read_shard

ROOT = Path(__file__).resolve().parent.parent
KEY = b"a key of more than sixteen bytes"
QUICK = ["--preset", "quick", "--model", "classifier", "--fit.epochs", "1", "--features.max-length", "8"]
QUICK += ["--classifier.embedding-size", "8", "--classifier.lstm-units", "8", "--evaluate.bootstrap-samples", "10"]
LOG = "user_behavior_data.csv"


@pytest.fixture(scope="module")
def user(raw_folder: Path) -> str:
    """A user with many events, one of them in a row that is broken."""
    log = pd.read_csv(raw_folder / LOG, usecols=["user_id"], on_bad_lines="skip", dtype="str").dropna()
    return str(log["user_id"].value_counts().index[20])


@pytest.fixture(scope="module")
def trained(raw_folder: Path, user: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a log, an import, prepared data, two runs and an exported model; one run never saw the user."""
    root = tmp_path_factory.mktemp("project")
    data = root / "data"
    data.mkdir()
    rows = (raw_folder / LOG).read_text(encoding="utf-8").splitlines(keepends=True)
    (data / LOG).write_text("".join([*rows, f"{user},i00001\n"]), encoding="utf-8")
    shutil.copy(raw_folder / "items.csv", data)
    other = root / "other"
    other.mkdir()
    (other / LOG).write_text("".join(row for row in rows if user not in row), encoding="utf-8")
    shutil.copy(raw_folder / "items.csv", other)
    files = [str(data / LOG), str(data / "items.csv")]
    assert main(["import", "generic", *files, "--output", str(data / "mine")]) == 0
    assert main(["prepare", "--data", str(data / "mine"), "--output", str(data / "ready"), *QUICK[6:8]]) == 0
    models = ["--export.output", str(root / "saved_models")]
    for source, name in ((data, "saw"), (data / "ready", "shared"), (other, "never")):
        assert main(["train", "--data", str(source), "--run", str(data / "runs" / name), *QUICK, *models]) == 0
    return root


@pytest.fixture
def project(trained: Path, tmp_path: Path) -> Iterator[Path]:
    """A copy of that folder in its place, so that what runs know of each other's paths stays true."""
    shutil.copytree(trained, tmp_path / "before")
    yield trained
    shutil.rmtree(trained)
    shutil.copytree(tmp_path / "before", trained)


def content(path: Path) -> bytes:
    """What a file says, whatever it is packed in."""
    if path.suffix == ".parquet":
        return pd.read_parquet(path).to_csv().encode()
    return gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()


def holding(folder: Path, text: str) -> set[str]:
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {path.relative_to(folder).as_posix() for path in files if text.encode() in content(path)}


def bytes_of(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def sequences(directory: Path, user: str) -> list[bytes]:
    records = [one for shard in open_prepared(directory).shards for one in read_shard(Path(shard))]
    return [record for record in records if user.encode() not in record]


def forget(root: Path, user: str, *options: str) -> int:
    return main(["forget", user, "--data", str(root / "data"), "--models", str(root / "saved_models"), *options])


@pytest.mark.slow
def test_nothing_but_the_source_holds_the_user_and_the_rest_is_as_before(
    project: Path, user: str, capsys: pytest.CaptureFixture[str]
) -> None:
    data = project / "data"
    prepared = [data / "ready" / "prepared", data / "runs" / "saw" / "prepared"]
    logs = [data / "mine", data / "runs" / "saw" / "clean"]
    assert holding(data, user) >= {"mine/events.parquet", "mine/rejects.csv", "mine/quality.html", LOG}
    source = (data / LOG).read_bytes()
    never = bytes_of(data / "runs" / "never")
    others = [sequences(one, user) for one in prepared]
    rows = [len(read_clean_log(one)[0]) for one in logs]
    gone = [int((read_clean_log(one)[0]["user_id"] == user).sum()) for one in logs]
    capsys.readouterr()

    assert forget(project, user) == 0
    lines = capsys.readouterr().out.splitlines()
    assert holding(data, user) == {LOG}
    assert (data / LOG).read_bytes() == source
    assert bytes_of(data / "runs" / "never") == never
    assert [sequences(one, user) for one in prepared] == others
    assert not list(data.rglob(".*"))
    for folder, had, lost in zip(logs, rows, gone, strict=True):
        assert lost > 10
        account = json.loads((folder / "quality.json").read_text(encoding="utf-8"))["account"]
        assert account["read"] == account["kept"] + account["rejected"]
        assert (account["kept"], account["forgotten"]) == (had, lost)
        assert len(read_clean_log(folder)[0]) == had - lost
    text = "\n".join(lines)
    for run in ("saw", "shared"):
        assert f"trained with this user: {data}/runs/{run}; `export` refuses it" in text
        assert f"measured with this user: {data}/runs/{run}; its report counts the user" in text
    assert "runs/never" not in text
    for folder in prepared:
        assert f"fitted with this user: vocabularies, scalers and filters of {folder};" in text
        assert open_prepared(folder).facts["fitted_with_forgotten_users"] is True
    exported = [line for line in lines if line.startswith("exported from it")]
    assert [line.split(";")[0].split(": ")[1] for line in exported] == [
        f"{project}/saved_models/classifier/{version}" for version in (1, 2)
    ]
    for line, run in zip(exported, ("saw", "shared"), strict=True):
        assert f"; train {data}/runs/{run} again, which exports anew, then delete this folder; a server keeps" in line
    assert next(line for line in lines if "left alone" in line).startswith(
        f"left alone, and holding this user: {data}/{LOG}"
    )

    # Marked runs are not exported, the other one is; and a forgotten user is unknown.
    for run, code in (("saw", 2), ("shared", 2), ("never", 0)):
        output = str(project / "again")
        assert main(["export", "--run", str(data / "runs" / run), "--output", output]) == code
        errors = capsys.readouterr().err.strip().splitlines()
        if code:
            assert errors[-1].endswith(f"{run}: this run learned from a user who was forgotten since; train it again")
    assert not (project / "again" / "classifier" / "2").exists()
    assert forget(project, user) == 2
    errors = capsys.readouterr().err.strip().splitlines()
    assert len(errors) == 1
    assert "stands in nothing that was imported or prepared here; if it was imported with a key" in errors[0]


@pytest.mark.slow
def test_a_run_on_data_that_was_fitted_with_the_user_is_not_exported_either(
    project: Path, user: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert forget(project, user) == 0
    # Trained again, but not prepared again: the run has no mark, its vocabularies are the old ones.
    run = project / "data" / "runs" / "shared" / "run.json"
    facts = json.loads(run.read_text(encoding="utf-8"))
    assert facts.pop("trained_with_forgotten_users") is True
    run.write_text(json.dumps(facts), encoding="utf-8")
    capsys.readouterr()
    assert main(["export", "--run", str(run.parent), "--output", str(project / "again")]) == 2
    assert "were fitted with a user who was forgotten since; prepare and train again" in capsys.readouterr().err


@pytest.mark.slow
def test_a_user_of_the_test_side_leaves_no_mark(
    project: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    prepared = project / "data" / "ready" / "prepared"
    users = read_clean_log(project / "data" / "mine")[0]["user_id"].unique()
    newcomer = next(
        one for one in users if (traces := forgetting.traces_in(prepared, [one])).users and not traces.learned
    )
    assert forget(project, newcomer) == 0
    text = capsys.readouterr().out
    assert "trained with" not in text
    assert "fitted with" not in text
    assert f"measured with this user: {project}/data/runs/shared;" in text
    assert "trained_with" not in (project / "data" / "runs" / "shared" / "run.json").read_text(encoding="utf-8")
    # "." is a folder like any other.
    monkeypatch.chdir(project / "data" / "mine")
    assert main(["forget", str(users[0]), "--data", ".", "--models", "none"]) == 0
    assert (project / "data" / "mine" / "events.parquet").is_file()
    assert str(users[0]) not in set(read_clean_log(project / "data" / "mine")[0]["user_id"])
    assert not list((project / "data").glob(".*"))


def test_with_a_key_the_id_is_hashed_first(
    raw_folder: Path, user: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "users.key").write_bytes(KEY)
    files = [str(raw_folder / name) for name in (LOG, "items.csv")]
    key = ["--user-key-file", str(tmp_path / "users.key")]
    assert main(["import", "generic", *files, "--output", str(tmp_path / "data" / "mine"), *key]) == 0
    name = pseudonym(user, KEY)
    assert holding(tmp_path / "data", name) == {"mine/events.parquet"}
    assert forget(tmp_path, user) == 2
    assert "give --user-key-file" in capsys.readouterr().err
    (tmp_path / "data" / "inside.key").write_bytes(KEY)
    assert forget(tmp_path, user, "--user-key-file", str(tmp_path / "data" / "inside.key")) == 2
    assert "is inside" in capsys.readouterr().err
    assert forget(tmp_path, user, *key) == 0
    assert holding(tmp_path / "data", name) == holding(tmp_path / "data", user) == set()


def test_tables_of_others_and_unfinished_folders_are_named_and_left_alone(
    raw_folder: Path, user: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = [str(raw_folder / name) for name in (LOG, "items.csv")]
    data = tmp_path / "data"
    assert main(["import", "generic", *files, "--output", str(data / "mine")]) == 0
    for name in ("theirs", ".mine.ab12cd34"):
        shutil.copytree(data / "mine", data / name)
    (data / "theirs" / "quality.json").unlink()
    shutil.copytree(raw_folder / "truth", data / "truth")
    before = {name: bytes_of(data / name) for name in ("theirs", ".mine.ab12cd34", "truth")}
    capsys.readouterr()
    assert forget(tmp_path, user) == 0
    text = capsys.readouterr().out
    assert before == {name: bytes_of(data / name) for name in before}
    for name in ("theirs/events.parquet", "theirs/rejects.csv", ".mine.ab12cd34/events.parquet", "truth/users.csv.gz"):
        if user.encode() in content(data / name):
            assert f"left alone, and holding this user: {data}/{name} (" in text
    assert f"{data}/mine" not in "".join(line for line in text.splitlines() if "left alone" in line)


SHORT = "the id is too short to be looked for as text in files that were not written here: look at them yourself"


def test_a_short_id_is_looked_for_where_it_is_a_user(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = tmp_path / "data"
    log = tmp_path / "log.csv"
    users = ["195", "196", "196", "197"]
    rows = [f"{user},{item},view,1700000000000\n" for user, item in zip(users, (1, 2, 3, 196), strict=True)]
    broken = "195,1\n" * 200  # rejected rows, one of them in line 196
    log.write_text("user_id,item_id,behavior,timestamp\n" + "".join(rows) + broken, encoding="utf-8")
    for name in ("mine", "without"):
        assert main(["import", "generic", str(log), "--output", str(data / name)]) == 0
    assert forget(tmp_path, "196") == 0
    text = capsys.readouterr().out
    assert "left alone" not in text
    assert SHORT not in text

    assert main(["import", "generic", str(log), "--output", str(data / "mine")]) == 0
    (data / "prices.csv").write_text("item_id,price\n1,196.22\n", encoding="utf-8")
    (data / "items.csv").write_text("user_id,price\n195,196\n", encoding="utf-8")
    (data / "log.csv").write_text("item_id,user_id\n1,195\n2,196,too,long\n", encoding="utf-8")
    with gzip.open(data / "log.csv.gz", "wt", encoding="utf-8") as file:
        file.write('\ufeffuser_id,query\n"196",a\n')
    pd.DataFrame({"user_id": [196], "item_id": [1]}).to_parquet(data / "log.parquet")
    pd.DataFrame({"user_id": ["195"], "item_id": ["196"]}).to_parquet(data / "other.parquet")
    capsys.readouterr()
    assert forget(tmp_path, "196") == 0
    lines = capsys.readouterr().out.splitlines()
    named = [line.split(": ")[1].split(" (")[0] for line in lines if line.startswith("left alone")]
    assert named == [f"{data}/{name}" for name in ("log.csv", "log.csv.gz", "log.parquet")]
    assert lines.count(SHORT) == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [(["x", "--data", "absent"], "absent: no such folder"), ([" "], "no user is named"), (["x"], "user 'x' stands in")],
)
def test_bad_input_is_one_line(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").mkdir()
    assert main(["forget", *arguments]) == 2
    errors = capsys.readouterr().err.strip().splitlines()
    assert len(errors) == 1
    assert errors[0].startswith("run.py forget: ")
    assert message in errors[0]


@pytest.mark.slow
def test_a_version_whose_run_is_gone_is_named(project: Path, user: str, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.rmtree(project / "data" / "runs" / "saw")
    assert forget(project, user) == 0
    text = capsys.readouterr().out
    assert (
        f"exported by a run that is not here, so nobody knows whether it saw this user: {project}/saved_models/" in text
    )
    assert text.count("exported by a run that is not here") == 1


DYING = """
import os, signal, sys
from pathlib import Path
from recsys_tf import forgetting, publishing
def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)
root, user, moment = sys.argv[1:]
real = publishing._exchanged
match moment:
    case "marked":
        forgetting.forget_in_prepared = die
    case "prepared":
        forgetting.forget_in_log = die
    case "exchanged":
        publishing._exchanged = lambda *names: real(*names) and die()
forgetting.forget_user(user, None, Path(root) / "data", Path(root) / "saved_models")
"""


@pytest.mark.slow
@pytest.mark.parametrize("moment", ["marked", "prepared", "exchanged"])
def test_killed_at_any_moment_the_same_command_takes_up_what_is_left(project: Path, user: str, moment: str) -> None:
    data = project / "data"
    done = subprocess.run([sys.executable, "-c", DYING, str(project), user, moment], cwd=ROOT, check=False)
    assert done.returncode == -signal.SIGKILL
    for folder in (data / "ready" / "prepared", data / "runs" / "saw" / "prepared"):
        facts = open_prepared(folder).facts
        assert facts["counts"]["users"] == sum(
            1 for shard in open_prepared(folder).shards for _ in read_shard(Path(shard))
        )
    for folder in (data / "mine", data / "runs" / "saw" / "clean"):
        account = json.loads((folder / "quality.json").read_text(encoding="utf-8"))["account"]
        assert account["kept"] == len(read_clean_log(folder)[0]) + account["forgotten"]
    assert forget(project, user) == 0
    assert holding(data, user) == {LOG}
    assert not list(data.rglob(".*"))
    for run in ("saw", "shared"):
        assert main(["export", "--run", str(data / "runs" / run), "--output", str(project / "again")]) == 2


def test_the_configuration_holds_the_path_of_the_key_and_survives_the_file() -> None:
    from recsys_tf.config import CleaningConfig
    from recsys_tf.config_json import from_json

    config = TrainConfig(cleaning=CleaningConfig(user_key_file=Path("keys/users.key")))
    assert from_json(TrainConfig, json.loads(json.dumps(to_json(config)))) == config
