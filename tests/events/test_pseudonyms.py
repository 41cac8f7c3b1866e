"""Users go by keyed hashes, nothing that is written holds an id as the log has it, and nothing else changes."""

import gzip
import hashlib
import hmac
import io
import json
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys_tf.cli import main
from recsys_tf.config import CleaningConfig
from recsys_tf.errors import InputError
from recsys_tf.events.cleaning import CleanLog
from recsys_tf.events.importers import import_log
from recsys_tf.events.pseudonyms import WITHHELD, pseudonym, read_user_key
from recsys_tf.events.report import write_clean_log
from recsys_tf.holding import files_holding

KEY, OTHER_KEY = b"sixteen bytes, and some more", b"another sixteen bytes"
HEADER = "user_id,item_id,behavior,timestamp,query,device"
# Rows of every kind of rejection, with the id of a user in whatever column the accident put it.
DIRTY = [
    "customer-0001,i1,view,1700000000000,,app",
    " customer-0001 ,i2,cart,1700000009000,,app",
    "customer-0002,i1,view,1700000000000,,web",
    "customer-0002,i1,view,1700000000000,,web",
    "customer-0002,i1,view,1700000000500,,web",
    "customer-0003,i1,hover,1700000000000,,app",
    "customer-0003,i1,customer-0003,1700000000000,,app",
    "i1,customer-0004,view,customer-0004,,app",
    "   ,i1,view,1700000000000,,app",
    "customer-0005,i1,view",
    'customer-0006,i1,view,1700000000000,"never closed,app',
    "customer-0007,i3,view,1700000000000,,\xff",
]


def write_log(folder: Path, name: str = "log.csv") -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_bytes("\n".join([HEADER, *DIRTY, ""]).encode("latin-1"))
    return path


def key_file(folder: Path, key: bytes = KEY) -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / "users.key"
    path.write_bytes(key)
    return path


def imported(path: Path, key: Path | None, order: str = "log") -> CleanLog:
    config = CleaningConfig(user_key_file=key, simultaneous_order=order)  # type: ignore[arg-type]
    return import_log("generic", [path], columns={}, behaviors={}, config=config)


def test_the_name_is_hmac_sha_256_as_anybody_computes_it() -> None:
    assert pseudonym("customer-0001", KEY) == hmac.new(KEY, b"customer-0001", hashlib.sha256).hexdigest()[:32]
    # RFC 4231, test case 2.
    assert pseudonym("what do ya want for nothing?", b"Jefe") == "5bdcc146bf60754e6a042426089575c7"
    assert pseudonym("", KEY) == ""


@given(st.sets(st.text(st.characters(codec="utf-8"), min_size=1), min_size=2, max_size=50))
def test_different_users_have_different_names_and_other_ones_under_another_key(users: set[str]) -> None:
    names = {user: pseudonym(user, KEY) for user in users}
    assert len(set(names.values())) == len(users)
    assert all(len(name) == 32 and set(name) <= set("0123456789abcdef") for name in names.values())
    assert {user: pseudonym(user, KEY) for user in users} == names
    assert not set(names.values()) & {pseudonym(user, OTHER_KEY) for user in users}


def test_no_file_holds_an_id_and_rejected_rows_still_name_their_place(tmp_path: Path) -> None:
    path, out = write_log(tmp_path / "log"), tmp_path / "out"
    raw, plain = imported(path, None), tmp_path / "plain"
    hashed = imported(path, key_file(tmp_path / "keys"))
    for log, target in ((raw, plain), (hashed, out)):
        target.mkdir()
        write_clean_log(log, target)
    users = [f"customer-000{n}" for n in range(1, 8)]
    assert {one.name for one in files_holding(plain, users)} >= {"events.parquet", "rejects.csv", "quality.html"}
    for file in out.iterdir():
        content = file.read_bytes()
        for text in (b"customer-", KEY, b"sixteen bytes"):
            assert text not in content, file
    assert files_holding(out, users) == []
    assert (raw.account, raw.item_account, raw.facts) == (hashed.account, hashed.item_account, hashed.facts)
    assert hashed.account.read == hashed.account.kept + hashed.account.rejected == len(DIRTY)
    place = ["file", "line", "column", "reason"]
    pd.testing.assert_frame_equal(raw.rejects[place], hashed.rejects[place])
    assert raw.rejects["value"].str.contains("customer-").any()
    assert set(hashed.rejects["value"]) == {"", WITHHELD}


def test_the_tables_are_the_same_up_to_the_names(raw_folder: Path, clean_log: CleanLog, tmp_path: Path) -> None:
    key = key_file(tmp_path / "keys")
    files = [raw_folder / "user_behavior_data.csv", raw_folder / "items.csv"]
    log = import_log("generic", files, columns={}, behaviors={}, config=CleaningConfig(user_key_file=key))
    assert log.account == clean_log.account
    pd.testing.assert_frame_equal(log.items, clean_log.items)
    named = clean_log.events.assign(user_id=clean_log.events["user_id"].map(lambda user: pseudonym(user, KEY)))
    named = named.astype({"user_id": "str"}).sort_values("user_id", kind="stable", ignore_index=True)
    pd.testing.assert_frame_equal(log.events, named)
    assert log.events["user_id"].nunique() == clean_log.events["user_id"].nunique()
    other = key_file(tmp_path / "other", OTHER_KEY)
    again = import_log("generic", files, columns={}, behaviors={}, config=CleaningConfig(user_key_file=other))
    assert not set(again.events["user_id"]) & set(log.events["user_id"])


def test_an_order_by_hash_does_not_tell_of_the_id(tmp_path: Path) -> None:
    """Whoever guesses an id could hash it, and see whether the order of one receipt's lines agrees."""
    rows = [f"customer-0001,i{n:03d},view,1700000000000,," for n in range(40)]
    path = tmp_path / "log" / "log.csv"
    path.parent.mkdir()
    path.write_text("\n".join([HEADER, *rows, ""]), encoding="utf-8")
    orders = [
        imported(path, key, "hash").events["item_id"].tolist()
        for key in (None, key_file(tmp_path / "a"), key_file(tmp_path / "b", OTHER_KEY))
    ]
    assert sorted(orders[0]) == sorted(orders[1]) == sorted(orders[2])
    assert orders[0] != orders[1] != orders[2] != orders[0]


def test_ids_of_numbers_and_of_float_columns_are_hashed_as_text(tmp_path: Path) -> None:
    key = key_file(tmp_path / "keys")
    (tmp_path / "log").mkdir()
    rows = pd.DataFrame({"user_id": [12346.0, 7.0], "item_id": ["i1", "i2"], "behavior": "view", "timestamp": 1.7e12})
    rows.to_parquet(tmp_path / "log" / "log.parquet")
    users = imported(tmp_path / "log" / "log.parquet", key).events["user_id"]
    assert sorted(users) == sorted(pseudonym(user, KEY) for user in ("12346", "7"))


def test_a_line_break_behind_the_key_makes_no_other_key(tmp_path: Path) -> None:
    assert read_user_key(key_file(tmp_path / "a", KEY + b"\r\n")) == read_user_key(key_file(tmp_path / "b", KEY)) == KEY


@pytest.mark.parametrize(
    ("key", "message"), [(b"", "has 0 bytes"), (b" \n", "has 0 bytes"), (b"fifteen bytes..\n", "has 15 bytes")]
)
def test_short_keys_are_refused(tmp_path: Path, key: bytes, message: str) -> None:
    with pytest.raises(InputError, match=message):
        imported(write_log(tmp_path / "log"), key_file(tmp_path / "keys", key))


def test_a_key_inside_of_the_data_is_refused_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, out, held = write_log(tmp_path / "log"), tmp_path / "out", tmp_path / "held"
    (tmp_path / "link.key").symlink_to(key_file(tmp_path / "log"))
    key_file(held)
    for place, target, message in (
        (tmp_path / "log" / "users.key", out, "is inside"),
        (tmp_path / "link.key", out, "is inside"),
        (held / "users.key", held, "is inside"),
        (tmp_path / "none.key", out, "no such key file"),
    ):
        arguments = ["import", "generic", str(path), "--output", str(target), "--user-key-file", str(place)]
        assert main(arguments) == 2
        lines = capsys.readouterr().err.strip().splitlines()
        assert len(lines) == 1
        assert lines[0].startswith(f"run.py import: {place}: ")
        assert message in lines[0]
        assert "sixteen" not in lines[0]
    assert not out.exists()
    assert [one.name for one in held.iterdir()] == ["users.key"]


def test_prepare_on_a_raw_log_hashes_too_and_never_writes_the_key(
    raw_folder: Path, clean_log: CleanLog, tmp_path: Path
) -> None:
    key = key_file(tmp_path / "keys")
    out = tmp_path / "ready"
    command = ["prepare", "--data", str(raw_folder), "--output", str(out), "--features.max-length", "8"]
    assert main([*command, "--user-key-file", str(key)]) == 0
    users = [user for user in clean_log.events["user_id"].unique() if len(user) >= 6]
    assert len(users) > 100
    assert files_holding(raw_folder, users[:1]) != []
    assert files_holding(out, users) == []
    for file in out.rglob("*"):
        if file.is_file():
            content = file.read_bytes()
            inflated = gzip.GzipFile(fileobj=io.BytesIO(content)).read() if file.name.endswith(".gz") else b""
            assert KEY not in content + inflated, file


def test_a_key_for_a_folder_that_was_imported_already_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    key, log = key_file(tmp_path / "keys"), tmp_path / "log"
    path = write_log(log)
    assert main(["import", "generic", str(path), "--output", str(tmp_path / "clean")]) == 0
    command = ["prepare", "--data", str(tmp_path / "clean"), "--output", str(tmp_path / "ready")]
    assert main([*command, "--user-key-file", str(key)]) == 2
    assert "--user-key-file is for a raw log" in capsys.readouterr().err
    assert not (tmp_path / "ready").exists()


def test_no_message_holds_a_value_of_a_log_with_a_key(tmp_path: Path) -> None:
    path = tmp_path / "log" / "log.csv"
    path.parent.mkdir()
    path.write_text("user_id,item_id,behavior,timestamp\nview,i1,customer-0001,1700000000000\n")
    with pytest.raises(InputError, match="customer-0001"):
        imported(path, None)
    with pytest.raises(InputError, match=r"behavior \(say what they mean by --behaviors theirs=view,…\)$"):
        imported(path, key_file(tmp_path / "keys"))


def test_json_lines_that_are_no_json_are_withheld(tmp_path: Path) -> None:
    (tmp_path / "log").mkdir()
    good = json.dumps({"user_id": "customer-0001", "item_id": "i1", "behavior": "view", "timestamp": 1_700_000_000_000})
    path = tmp_path / "log" / "log.jsonl"
    path.write_text(f'{good}\n{{"user_id": "customer-0002", \n["customer-0003"]\n', encoding="utf-8")
    log = imported(path, key_file(tmp_path / "keys"))
    assert log.rejects["line"].tolist() == [2, 3]
    assert log.rejects["value"].tolist() == [WITHHELD, WITHHELD]
    assert "customer" not in log.rejects.to_csv()
