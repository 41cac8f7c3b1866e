"""A forgotten user is gone from the tables, the rejected rows and the report; whatever is left stays as it was."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys_tf.config import CleaningConfig
from recsys_tf.errors import InputError
from recsys_tf.events.cleaning import CleanLog
from recsys_tf.events.forget_in_log import FORGOTTEN, events_of, forget_in_log, is_clean_log, rejects_naming
from recsys_tf.events.importers import import_log
from recsys_tf.events.report import write_clean_log
from recsys_tf.events.tables import read_clean_log
from recsys_tf.holding import files_holding
from recsys_tf.publishing import rewritten_directory

ROOT = Path(__file__).resolve().parent.parent.parent
LINES = [
    "user_id,item_id,behavior,timestamp",
    "customer-1,i1,view,1600000000000",  # the first event of the log
    "customer-1,i9,view,1700000000000",  # an item that nobody else touched
    "customer-2,i1,view,1700000000000",
    "customer-2,i2,cart,1700000060000",
    "customer-10,i2,view,1700000000000",
    "customer-1,i1",
    "customer-1,i1,customer-1,1700000000000",
    "customer-10,i1",
    "customer-2,i1,hover,1700000000000",
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "log.csv"
    path.write_text("\n".join([*LINES, ""]), encoding="utf-8")
    log = import_log("generic", [path], columns={}, behaviors={}, config=CleaningConfig())
    target = tmp_path / "clean"
    target.mkdir()
    write_clean_log(log, target)
    return target


def forget(folder: Path, *users: str) -> None:
    with rewritten_directory(folder, ".again-") as target:
        forget_in_log(folder, users, target)


def test_the_user_goes_and_the_others_stay(folder: Path) -> None:
    events, items = read_clean_log(folder)
    rejects = pd.read_csv(folder / "rejects.csv", keep_default_na=False)
    (folder / "notes.txt").write_text("mine", encoding="utf-8")
    assert (events_of(folder, ["customer-1"]), rejects_naming(folder, ["customer-1"])) == (2, 2)
    assert {one.name for one in files_holding(folder, ["customer-1"])} >= {"events.parquet", "rejects.csv"}
    forget(folder, "customer-1")
    assert files_holding(folder, ["customer-1"]) == []
    for path in folder.iterdir():
        assert b"customer-1," not in path.read_bytes()
    left, items_left = read_clean_log(folder)
    others = events[events["user_id"] != "customer-1"].reset_index(drop=True)
    pd.testing.assert_frame_equal(left, others)
    pd.testing.assert_frame_equal(items_left, items)
    rejects_left = pd.read_csv(folder / "rejects.csv", keep_default_na=False)
    place = ["file", "line", "column", "reason"]
    pd.testing.assert_frame_equal(rejects_left[place], rejects[place])
    assert rejects_left["value"].tolist() == [FORGOTTEN, FORGOTTEN, "customer-10,i1", "hover"]
    assert (folder / "notes.txt").read_text(encoding="utf-8") == "mine"
    assert is_clean_log(folder)


def test_the_account_says_how_much_was_forgotten_and_the_facts_are_counted_again(folder: Path) -> None:
    before = json.loads((folder / "quality.json").read_text(encoding="utf-8"))
    assert before["account"] == {"read": 9, "kept": 5, "rejected": 4, "forgotten": 0}
    assert before["facts"]["first event"].startswith("2020-09-13")
    assert "taken out since" not in (folder / "quality.html").read_text(encoding="utf-8")
    forget(folder, "customer-1")
    after = json.loads((folder / "quality.json").read_text(encoding="utf-8"))
    assert after["account"] == {"read": 9, "kept": 5, "rejected": 4, "forgotten": 2}
    assert after["account"]["kept"] == len(read_clean_log(folder)[0]) + after["account"]["forgotten"]
    # Neither the day the user came first nor the events of the user are told any more.
    assert after["facts"]["first event"].startswith("2023-11-14")
    assert after["facts"]["users"] == before["facts"]["users"] - 1
    assert sum(after["behaviors"].values()) == 3
    page = (folder / "quality.html").read_text(encoding="utf-8")
    assert "2 events taken out since" in page
    forget(folder, "customer-10")
    assert json.loads((folder / "quality.json").read_text(encoding="utf-8"))["account"]["forgotten"] == 3


def test_rows_that_make_two_events_are_accounted_for_in_events(tmp_path: Path) -> None:
    path = tmp_path / "clicks.csv"
    header = "user_id,item_id,category,query,query_time,click_time"
    rows = [
        f"customer-{user},i{user},c,red lamp,2020-01-0{user} 10:00:00,2020-01-0{user} 10:00:09" for user in (1, 2, 3)
    ]
    path.write_text("\n".join([header, *rows, ""]), encoding="utf-8")
    log = import_log("bestbuy", [path], columns={}, behaviors={}, config=CleaningConfig())
    assert (log.account.kept, len(log.events)) == (3, 6)
    folder = tmp_path / "clean"
    folder.mkdir()
    write_clean_log(log, folder)
    forget(folder, "customer-2")
    account = json.loads((folder / "quality.json").read_text(encoding="utf-8"))["account"]
    assert account == {"read": 3, "kept": 3, "rejected": 0, "forgotten": 2}


def test_the_last_user_and_damaged_reports_are_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="nobody else is in this log"):
        forget(folder, "customer-1", "customer-2", "customer-10")
    assert events_of(folder, ["customer-1"]) == 2
    (folder / "quality.json").write_text("{}", encoding="utf-8")
    with pytest.raises(InputError, match=r"quality\.json"):
        forget(folder, "customer-1")
    (folder / "rejects.csv").write_text("x\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"rejects\.csv"):
        rejects_naming(folder, ["customer-1"])
    (folder / "events.parquet").write_bytes(b"PAR1")
    with pytest.raises(InputError, match=r"events\.parquet"):
        events_of(folder, ["customer-1"])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["clean", "log.csv"]


def test_tables_without_our_report_are_not_ours(folder: Path) -> None:
    assert is_clean_log(folder)
    (folder / "quality.json").unlink()
    assert not is_clean_log(folder)


_odd = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=8)


@settings(deadline=None, max_examples=40)
@given(_odd.filter(lambda text: text.strip() == text), st.lists(_odd, max_size=5))
def test_rejected_rows_survive_whatever_they_hold(
    tmp_path_factory: pytest.TempPathFactory, user: str, values: list[str]
) -> None:
    folder = tmp_path_factory.mktemp("rejects")
    texts = [*values, f"x,{user},y", user]
    rejects = pd.DataFrame({"file": "log.csv", "line": range(len(texts)), "column": "", "value": texts, "reason": "r"})
    rejects.to_csv(folder / "rejects.csv", index=False, lineterminator="\n")
    assert rejects_naming(folder, [user]) >= 2
    assert rejects_naming(folder, [f"{user}0", f"0{user}"]) <= len(values)


DYING = """
import os, signal, sys
from pathlib import Path
from recsys_tf import publishing
from recsys_tf.events import forget_in_log, report
def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)
real = publishing._exchanged
match sys.argv[2]:
    case "in the middle of writing":
        report.write_report = die
    case "before the exchange":
        publishing._exchanged = die
    case "after the exchange":
        publishing._exchanged = lambda *names: real(*names) and die()
folder = Path(sys.argv[1])
with publishing.rewritten_directory(folder, ".again-") as target:
    forget_in_log.forget_in_log(folder, ["customer-1"], target)
"""


@pytest.mark.parametrize("moment", ["in the middle of writing", "before the exchange", "after the exchange"])
def test_a_kill_leaves_the_old_folder_or_the_new_one(folder: Path, moment: str) -> None:
    old = {path.name: path.read_bytes() for path in folder.iterdir()}
    done = subprocess.run([sys.executable, "-c", DYING, str(folder), moment], cwd=ROOT, check=False)
    assert done.returncode == -signal.SIGKILL
    left = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert set(left) == set(old)
    if moment == "after the exchange":
        assert events_of(folder, ["customer-1"]) == rejects_naming(folder, ["customer-1"]) == 0
        assert json.loads(left["quality.json"])["account"]["forgotten"] == 2
    else:
        assert left == old


def test_a_whole_log_without_one_user_is_the_log_imported_without_that_user(
    clean_log: CleanLog, raw_folder: Path, tmp_path: Path
) -> None:
    user = str(clean_log.events["user_id"].iloc[-1])
    folder = tmp_path / "clean"
    folder.mkdir()
    write_clean_log(clean_log, folder)
    forget(folder, user)
    rows = (raw_folder / "user_behavior_data.csv").read_text(encoding="utf-8").splitlines(keepends=True)
    (tmp_path / "log.csv").write_text("".join(row for row in rows if user not in row), encoding="utf-8")
    files = [tmp_path / "log.csv", raw_folder / "items.csv"]
    without = import_log("generic", files, columns={}, behaviors={}, config=CleaningConfig())
    events, items = read_clean_log(folder)
    pd.testing.assert_frame_equal(events, without.events)
    pd.testing.assert_frame_equal(items, without.items)
    facts = json.loads((folder / "quality.json").read_text(encoding="utf-8"))["facts"]
    assert facts == without.facts
