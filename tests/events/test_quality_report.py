"""The quality report says what the account says, and its page stands on its own."""

import json
from pathlib import Path

import pandas as pd
import pytest

from recsys_tf.errors import InputError
from recsys_tf.events.cleaning import CleanLog
from recsys_tf.events.report import write_clean_log
from recsys_tf.events.tables import read_clean_log

PICTURES = ["behaviors.png", "days.png", "hours.png", "lengths.png", "popularity.png", "reasons.png"]


@pytest.fixture(scope="module")
def folder(clean_log: CleanLog, tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("quality")
    write_clean_log(clean_log, directory)
    return directory


def test_the_numbers_are_the_accounts(folder: Path, clean_log: CleanLog) -> None:
    numbers = json.loads((folder / "quality.json").read_text(encoding="utf-8"))
    account = numbers["account"]
    assert account["read"] == account["kept"] + account["rejected"] == clean_log.account.read
    assert sum(numbers["reasons"].values()) == account["rejected"] == len(pd.read_csv(folder / "rejects.csv"))
    assert sum(numbers["behaviors"].values()) == account["kept"]


def test_the_page_shows_every_reason_and_picture_and_needs_no_network(folder: Path, clean_log: CleanLog) -> None:
    page = (folder / "quality.html").read_text(encoding="utf-8")
    for name in PICTURES:
        assert f'src="{name}"' in page
        assert (folder / name).stat().st_size > 5000
    for reason, count in clean_log.account.reasons.items():
        assert reason in page
        assert f"{count:,}" in page
    assert "http" not in page


def test_the_tables_come_back_as_they_were(folder: Path, clean_log: CleanLog) -> None:
    events, items = read_clean_log(folder)
    pd.testing.assert_frame_equal(events, clean_log.events)
    pd.testing.assert_frame_equal(items, clean_log.items)


def test_damaged_tables_are_named(folder: Path, clean_log: CleanLog, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"events\.parquet"):
        read_clean_log(tmp_path)
    (tmp_path / "events.parquet").write_bytes((folder / "events.parquet").read_bytes()[:1000])
    with pytest.raises(InputError, match="no readable Parquet"):
        read_clean_log(tmp_path)
    clean_log.events.assign(position=-1).to_parquet(tmp_path / "events.parquet")
    with pytest.raises(InputError, match=r"row 0, column position: '-1' fails"):
        read_clean_log(tmp_path)
    clean_log.events.to_parquet(tmp_path / "events.parquet")
    clean_log.items.iloc[1:].to_parquet(tmp_path / "items.parquet")
    with pytest.raises(InputError, match=r"is not in items\.parquet"):
        read_clean_log(tmp_path)
