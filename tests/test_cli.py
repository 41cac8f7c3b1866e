"""The command line as its users meet it: whole processes, exit codes, one line for what is wrong."""

import gzip
import os
import signal
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from recsys_tf.cli import main

ROOT = Path(__file__).resolve().parent.parent
HEADER = "user_id,item_id,behavior,timestamp\n"


def log_of(users: int, items: int, events: int, behavior: str = "view") -> str:
    rows = [f"u{n % users},i{n * 7 % items},{behavior},{1_700_000_000_000 + n * 60_000}" for n in range(events)]
    return HEADER + "\n".join(rows) + "\n"


def refused(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    assert main(arguments) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1 or all("rows/s" in line or "/s," in line for line in lines[:-1])
    assert "Traceback" not in lines[-1]
    return lines[-1]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "no such file"),
        (b"", "the file is empty"),
        (HEADER.encode(), "a header and no rows"),
        (b"name,age\nx,1\n", "column user_id"),
        (log_of(3, 3, 9).encode("utf-16"), "UTF-16"),
        (HEADER.encode() + b"u,i,hover,1700000000000\n", "no usable row: 1 read, 1 rejected"),
    ],
)
def test_bad_logs_are_one_line_and_leave_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: bytes | None, message: str
) -> None:
    path = tmp_path / "log.csv"
    if content is not None:
        path.write_bytes(content)
    line = refused(["import", "generic", str(path), "--output", str(tmp_path / "out")], capsys)
    assert line.startswith(f"run.py import: {tmp_path if 'usable' not in message else 'log.csv'}")
    assert message in line
    assert not (tmp_path / "out").exists()
    assert [name.name for name in tmp_path.iterdir() if name.name.startswith(".")] == []


def test_a_truncated_gzip_and_a_wrong_layout(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "log.csv.gz"
    path.write_bytes(gzip.compress(log_of(9, 9, 999).encode())[:200])
    assert "truncated" in refused(["import", "generic", str(path), "--output", str(tmp_path / "out")], capsys)
    path.write_bytes(gzip.compress(log_of(9, 9, 99).encode()))
    line = refused(["import", "bestbuy", str(path), "--output", str(tmp_path / "out")], capsys)
    assert "no file has the columns of searches with clicks" in line


def test_import_says_what_was_lost_and_why(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "logs").mkdir()
    log, items, out = tmp_path / "logs" / "log.csv", tmp_path / "logs" / "items.csv", tmp_path / "out"
    lost = "".join(f"u{n},i1,{kind},1700000000000,app,5\n" for n, kind in enumerate("211"))
    log.write_text(
        f"{HEADER.strip()},devcie,rating\nu,i1,view,1700000000000,app,5\n,i1,view,1700000000000,app,5\n{lost}"
    )
    items.write_text("item_id,price\ni1,2\ni2,3\ni3,-1\ni4,dear\n")
    key = tmp_path / "keys" / "users.key"
    key.parent.mkdir()
    key.write_bytes(b"sixteen bytes or more")
    for options, unknown in (([], "'1', '2'; see --behaviors"), (["--user-key-file", str(key)], "see --behaviors")):
        assert main(["import", "generic", str(log), str(items), "--output", str(out), *options]) == 0
        assert capsys.readouterr().out.splitlines()[:4] == [
            "  5 rows read = 1 kept + 4 rejected",
            f"  rejected: 3 unknown behavior ({unknown}), 1 missing user_id; each in {out}/rejects.csv",
            "  4 item rows read = 2 kept + 2 rejected",
            "not read: devcie, rating (log.csv)",
        ]


def test_import_of_a_clean_log_says_no_more_than_that(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "log.csv").write_text(log_of(3, 3, 9))
    assert main(["import", "generic", str(tmp_path / "log.csv"), "--output", str(tmp_path / "out")]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "  9 rows read = 9 kept + 0 rejected"
    assert lines[1].startswith("written to")


@pytest.mark.parametrize(
    ("option", "form"),
    [("--columns", "--columns wants ours=theirs,…"), ("--behaviors", "--behaviors wants theirs=ours,…")],
)
def test_import_says_which_name_stands_on_which_side(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], option: str, form: str
) -> None:
    (tmp_path / "log.csv").write_text(log_of(3, 3, 9))
    command = ["import", "generic", str(tmp_path / "log.csv"), "--output", str(tmp_path / "out"), option, "behaviour"]
    assert form in refused(command, capsys)


def test_a_log_in_the_folder_to_write_is_not_lost(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "log.csv"
    path.write_text(log_of(9, 9, 99))
    for verb in (["import", "generic", str(path), "--output"], ["prepare", "--data", str(tmp_path), "--output"]):
        line = refused([*verb, str(tmp_path)], capsys)
        assert "the folder would be replaced, and holds other things (log.csv)" in line
    line = refused(["train", "--data", str(tmp_path), "--run", str(tmp_path)], capsys)
    assert "holds other things (log.csv)" in line
    assert path.read_text() == log_of(9, 9, 99)


@pytest.mark.parametrize(
    ("log", "options", "message"),
    [
        (log_of(1, 9, 60), [], "the log has 1 user"),
        (log_of(9, 1, 60), [], "the log has 1 item"),
        (log_of(9, 9, 200), ["--model", "classifier", "--classifier.target", "next_behavior"], ""),
        (log_of(9, 9, 200), [], "target next_category has 0 class"),
        (log_of(9, 9, 200), ["--split.test-share", "1.5"], "leave nothing to train on"),
        (log_of(9, 9, 200), ["--run", "RUN", "--config", "absent.json"], "absent.json"),
        (log_of(9, 9, 200), ["--preset", "best"], "unknown preset 'best'"),
    ],
)
def test_logs_with_nothing_to_learn_are_refused_before_training(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], log: str, options: list[str], message: str
) -> None:
    (tmp_path / "user_behavior_data.csv").write_text(log)
    options = [str(tmp_path / "run") if option == "RUN" else option for option in options]
    arguments = ["train", "--data", str(tmp_path), "--run", str(tmp_path / "run"), "--fit.epochs", "1"]
    arguments += ["--classifier.lstm-units", "8", "8", *options, "--export.output", str(tmp_path / "saved")]
    if not message:
        # One behaviour only: six classes by the schema, a single one in the data; it trains, and says how it does.
        assert main([*arguments, "--evaluate.bootstrap-samples", "10"]) == 0
        assert "Accuracy: 1.0000" in capsys.readouterr().out
        return
    assert message in refused(arguments, capsys)
    assert not (tmp_path / "run").exists()
    assert not (tmp_path / "saved").exists()


def test_from_a_raw_log_to_an_answer(
    raw_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    quick = ["--preset", "quick", "--fit.epochs", "1", "--two-tower-fit.epochs", "1", "--features.max-length", "10"]
    assert main(["train", "--data", str(raw_folder), *quick]) == 0
    lines = capsys.readouterr().out.strip().splitlines()
    assert lines[-4].startswith("two-tower: NDCG@10 0.")
    assert lines[-3].startswith("Accuracy: 0.")
    assert lines[-2].startswith("Recall: 0.")
    served = "classifier=saved_models/classifier two_tower=saved_models/two_tower"
    assert lines[-1] == f"next: python run.py serve --model {served}"
    run = Path("data/runs/all")
    for name in ("config.json", "run.json", "report.html", "report.json", "learning_curves.png", "clean/rejects.csv"):
        assert (run / name).is_file()
    rejects = pd.read_csv(run / "clean" / "rejects.csv")
    read = sum(1 for _ in (raw_folder / "user_behavior_data.csv").open(encoding="utf-8")) - 1
    assert len(rejects) + len(pd.read_parquet(run / "clean" / "events.parquet")) == read

    assert main(["evaluate", "--online", "--max-queries", "100"]) == 0
    output = capsys.readouterr().out
    assert "first-order Markov" in output
    assert "to the ceiling" in output
    assert "Simulated clicks" in (run / "report.html").read_text(encoding="utf-8")
    assert main(["export"]) == 0
    assert Path("saved_models/classifier/2/saved_model.pb").is_file()
    assert Path("saved_models/two_tower/2/saved_model.pb").is_file()
    capsys.readouterr()
    asked = ["recommend", "--history", "i00001,i00002", "--behaviors", "view,cart", "--k", "3"]
    assert main(asked) == 0
    assert len(capsys.readouterr().out.splitlines()) == 4
    assert main([*asked, "--model", "saved_models/classifier"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 8


@pytest.mark.slow
def test_the_same_settings_again_give_the_same_figures(
    raw_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    quick = ["--preset", "quick", "--fit.epochs", "1", "--two-tower-fit.epochs", "1", "--features.max-length", "10"]
    assert main(["train", "--data", str(raw_folder), *quick]) == 0
    lines = capsys.readouterr().out.strip().splitlines()
    assert main(["train", "--config", "data/runs/all/config.json", "--run", "again"]) == 0
    again = capsys.readouterr().out.strip().splitlines()
    assert again[-4:-1] == lines[-4:-1]


def test_prepare_then_train(
    raw_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    files = [str(raw_folder / name) for name in ("user_behavior_data.csv", "items.csv")]
    assert main(["import", "generic", *files, "--output", "clean"]) == 0
    assert Path("clean/quality.html").is_file()
    assert main(["prepare", "--data", "clean", "--output", "ready", "--features.max-length", "8"]) == 0
    assert "next: python run.py train --data ready" in capsys.readouterr().out
    assert refused(["prepare", "--data", "ready", "--output", "twice"], capsys).endswith("this is prepared already")


def test_the_help_lists_every_verb(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    assert main(["bake"]) == 2
    output = capsys.readouterr()
    for verb in ("simulate", "import", "prepare", "train", "evaluate", "export", "serve", "recommend", "benchmark"):
        assert verb in output.out
        assert verb in output.err


def test_missing_runs_and_models_are_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert "no finished run" in refused(["evaluate"], capsys)
    assert "elsewhere" in refused(["export", "--run", "elsewhere"], capsys)
    assert "no exported version" in refused(["recommend", "--history", "i1"], capsys)
    assert "k is 0" in refused(["recommend", "--k", "0"], capsys)
    assert "neither a raw log" in refused(["train", "--data", str(tmp_path)], capsys)


@pytest.mark.slow
def test_ctrl_c_in_the_middle_of_training_leaves_nothing(raw_folder: Path, tmp_path: Path) -> None:
    command = [sys.executable, str(ROOT / "run.py"), "train", "--data", str(raw_folder), "--run", str(tmp_path / "run")]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=tmp_path)
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("epoch"):
            break
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 2
    assert errors.strip().splitlines()[-1] == ("run.py train: stopped by Ctrl-C; nothing half-written is left behind")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_a_full_disk_is_one_line(raw_folder: Path, tmp_path: Path) -> None:
    """A file-size limit stands in for the full disk: writing past it fails as writing to a full disk does."""
    limited = "import resource, runpy, signal, sys; signal.signal(signal.SIGXFSZ, signal.SIG_IGN); "
    limited += "resource.setrlimit(resource.RLIMIT_FSIZE, (20000, 20000)); "
    limited += f"sys.argv = ['run.py', 'import', 'generic', {str(raw_folder / 'user_behavior_data.csv')!r}, "
    limited += f"'--output', {str(tmp_path / 'out')!r}]; runpy.run_path({str(ROOT / 'run.py')!r}, run_name='__main__')"
    done = subprocess.run([sys.executable, "-c", limited], capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 2, done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_a_killed_training_leaves_the_old_run_as_it_was(raw_folder: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    (run / "run.json").write_text("{}")
    command = [sys.executable, str(ROOT / "run.py"), "train", "--data", str(raw_folder), "--run", str(run)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, cwd=tmp_path)
    assert process.stdout is not None
    next(line for line in process.stdout if line.startswith("epoch"))
    os.kill(process.pid, signal.SIGKILL)
    process.wait(timeout=30)
    assert (run / "run.json").read_text() == "{}"
    assert not (tmp_path / "saved_models").exists()
