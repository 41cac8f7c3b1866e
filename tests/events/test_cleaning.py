"""Every row is kept or rejected for the first reason that applies, and the kept ones are what the contract says."""

import dataclasses
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys_tf.config import CleaningConfig
from recsys_tf.errors import InputError
from recsys_tf.events.cleaning import CleanLog
from recsys_tf.events.importers import import_log
from recsys_tf.events.schema import BEHAVIORS, EVENTS, ITEMS

COLUMNS = ["user_id", "item_id", "behavior", "timestamp", "query", "device"]
GOOD = ["u1", "i1", "view", "1700000000000", "", "app"]


def clean_rows(
    folder: Path, rows: list[list[str]], config: CleaningConfig | None = None, columns: list[str] | None = None
) -> CleanLog:
    path = folder / "log.csv"
    pd.DataFrame(rows, columns=columns or COLUMNS).to_csv(path, index=False, quoting=1, lineterminator="\n")
    return import_log("generic", [path], columns={}, behaviors={}, config=config or CleaningConfig())


def changed(**fields: str) -> list[str]:
    return [fields.get(name, value) for name, value in zip(COLUMNS, GOOD, strict=True)]


@pytest.mark.parametrize(
    ("row", "column", "reason"),
    [
        (changed(user_id=""), "user_id", "missing user_id"),
        (changed(user_id="  "), "user_id", "missing user_id"),
        (changed(item_id=""), "item_id", "missing item_id"),
        (changed(behavior=""), "behavior", "missing behavior"),
        (changed(behavior="hover"), "behavior", "unknown behavior"),
        (changed(behavior="search", item_id="", query=" "), "query", "search without words"),
        (changed(timestamp=""), "timestamp", "missing timestamp"),
        (changed(timestamp="yesterday"), "timestamp", "unparseable timestamp"),
        (changed(timestamp="41903"), "timestamp", "impossible timestamp"),
        (changed(timestamp="-1"), "timestamp", "impossible timestamp"),
        (changed(timestamp="7258118400000"), "timestamp", "impossible timestamp"),
        (changed(user_id="", behavior="hover"), "user_id", "missing user_id"),
        (GOOD, "timestamp", "exact duplicate"),
        (changed(timestamp="1700000000800"), "timestamp", "near-simultaneous duplicate"),
    ],
)
def test_each_rule_names_its_row_and_column(tmp_path: Path, row: list[str], column: str, reason: str) -> None:
    log = clean_rows(tmp_path, [GOOD, changed(user_id="u2"), row])
    assert len(log.events) == 2
    assert log.rejects[["file", "line", "column", "reason"]].to_numpy().tolist() == [["log.csv", 4, column, reason]]
    assert log.account.reasons == {reason: 1}


@pytest.mark.parametrize("alias", ["pv", "View", " VIEW ", "pageview"])
def test_behaviours_have_many_names(tmp_path: Path, alias: str) -> None:
    assert clean_rows(tmp_path, [changed(behavior=alias)]).events["behavior"].tolist() == ["view"]


def test_a_logs_own_columns_and_behaviours(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text("who,what,did,ts\nu1,i1,ordered,2021-01-01\n", encoding="utf-8")
    columns = {"user_id": "who", "item_id": "what", "behavior": "did", "timestamp": "ts"}
    files = [tmp_path / "log.csv"]
    log = import_log("generic", files, columns=columns, behaviors={"Ordered": "purchase"}, config=CleaningConfig())
    assert log.events[["user_id", "item_id", "behavior"]].to_numpy().tolist() == [["u1", "i1", "purchase"]]
    assert log.events["timestamp"].tolist() == [1_609_459_200_000]
    with pytest.raises(InputError, match="'whom'"):
        import_log("generic", files, columns={"user_id": "whom"}, behaviors={}, config=CleaningConfig())
    with pytest.raises(InputError, match="column behavior"):
        import_log("generic", files, columns={"user_id": "who"}, behaviors={}, config=CleaningConfig())
    with pytest.raises(InputError, match=r"'bought' is none of .*; write theirs=ours, such as glanced=view$"):
        import_log("generic", files, columns=columns, behaviors={"ordered": "bought"}, config=CleaningConfig())
    with pytest.raises(
        InputError, match=r"'did' is none of our columns: .*; write ours=theirs, such as behavior=behaviour$"
    ):
        import_log("generic", files, columns={"did": "behavior"}, behaviors={}, config=CleaningConfig())


def test_events_stand_in_order_of_user_and_time_with_positions_of_their_own(tmp_path: Path) -> None:
    rows = [
        changed(user_id="u2", timestamp="1700000009000"),
        changed(user_id="u1", timestamp="1700000005000"),
        changed(user_id="u1", timestamp="1700000001000", behavior="cart"),
    ]
    events = clean_rows(tmp_path, rows).events
    assert events["user_id"].tolist() == ["u1", "u1", "u2"]
    assert events["behavior"].tolist() == ["cart", "view", "view"]
    assert events["position"].tolist() == [0, 1, 0]


def test_the_duplicate_window_is_a_setting(tmp_path: Path) -> None:
    rows = [GOOD, changed(timestamp="1700000000800")]
    assert len(clean_rows(tmp_path, rows, CleaningConfig(duplicate_window_ms=0)).events) == 2
    assert len(clean_rows(tmp_path, rows, CleaningConfig(duplicate_window_ms=799)).events) == 2
    assert len(clean_rows(tmp_path, rows, CleaningConfig(duplicate_window_ms=800)).events) == 1
    assert len(clean_rows(tmp_path, [GOOD, changed(timestamp="1700000000800", behavior="cart")]).events) == 2


def test_missing_times_are_deleted_or_interpolated_as_configured(tmp_path: Path) -> None:
    rows = [GOOD, changed(item_id="i2", timestamp=""), changed(item_id="i3", timestamp="1700000020000")]
    assert clean_rows(tmp_path, rows).account.reasons == {"missing timestamp": 1}
    log = clean_rows(tmp_path, rows, CleaningConfig(missing_timestamp="interpolate"))
    assert log.events["timestamp"].tolist() == [1700000000000, 1700000010000, 1700000020000]
    assert log.facts["times filled in by interpolation"] == 1


def test_missing_devices_are_kept_or_deleted_as_configured(tmp_path: Path) -> None:
    rows = [GOOD, changed(item_id="i2", device="")]
    assert clean_rows(tmp_path, rows).events["device"].tolist() == ["app", ""]
    log = clean_rows(tmp_path, rows, CleaningConfig(missing_device="delete"))
    assert log.account.reasons == {"missing device": 1}


def test_the_order_of_simultaneous_events_can_be_made_to_say_nothing(tmp_path: Path) -> None:
    rows = [changed(item_id=f"i{n:03d}") for n in range(60)]
    in_file_order = clean_rows(tmp_path, rows).events["item_id"].tolist()
    hashed = clean_rows(tmp_path, rows, CleaningConfig(simultaneous_order="hash")).events["item_id"].tolist()
    backwards = clean_rows(tmp_path, rows[::-1], CleaningConfig(simultaneous_order="hash")).events["item_id"].tolist()
    assert in_file_order == sorted(in_file_order) == sorted(hashed) != hashed
    assert hashed == backwards
    # No trend is left of the file's order.
    ranks = np.array([int(item[1:]) for item in hashed])
    assert abs(np.corrcoef(ranks, np.arange(60))[0, 1]) < 0.4


def test_items_take_their_first_known_value_in_time(tmp_path: Path) -> None:
    columns = [*COLUMNS, "price", "category_id"]
    rows = [
        [*changed(timestamp="1700000009000"), "9.5", "shoes"],
        [*changed(timestamp="1700000001000"), "", "boots"],
        [*changed(timestamp="1700000005000"), "7.5", ""],
        [*changed(item_id="i2"), "-1", "hats"],
    ]
    log = clean_rows(tmp_path, rows, columns=columns)
    assert log.items[["item_id", "category_id", "price"]].to_numpy().tolist() == [["i1", "boots", 7.5]]
    assert log.account.reasons == {"price below zero": 1}


def test_item_files_are_cleaned_too(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text(
        "user_id,item_id,behavior,timestamp\nu,i1,view,2021-01-01\nu,i9,view,2021-01-02\n"
    )
    (tmp_path / "items.csv").write_text(
        "item_id,category_id,price,title\ni1,c1,3,One\ni1,c2,4,Again\n,c1,1,Nobody\ni2,c1,-1,Less\ni3,c3,,Untouched\ni4,c,x,Y\n"
    )
    files = [tmp_path / "log.csv", tmp_path / "items.csv"]
    log = import_log("generic", files, columns={}, behaviors={}, config=CleaningConfig())
    assert log.items["item_id"].tolist() == ["i1", "i3", "i9"]
    assert log.items["title"].tolist() == ["One", "Untouched", ""]
    assert log.item_account.read == 6
    assert log.item_account.rejected == 4
    assert set(log.rejects["file"]) == {"items.csv"}


def test_a_log_of_positions_has_no_times_and_none_are_invented(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text("user_id,item_id,behavior,position\nu,i2,view,1\nu,i1,view,0\nu,i3,view,x\n")
    log = import_log("generic", [tmp_path / "log.csv"], columns={}, behaviors={}, config=CleaningConfig())
    assert "timestamp" not in log.events
    assert log.events["item_id"].tolist() == ["i1", "i2"]
    assert log.account.reasons == {"missing or unparseable position": 1}


def test_a_log_without_a_usable_row_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no usable row: 2 read, 2 rejected, most often: unknown behavior"):
        clean_rows(tmp_path, [changed(behavior="hover"), changed(behavior="stare")])


def test_unknown_behaviours_are_named_most_frequent_first(tmp_path: Path) -> None:
    kinds = ["tapped"] * 2 + ["glanced"] * 3 + ["ordered"] * 2 + ["d", "e", "f"]
    rows = [changed(user_id=f"u{n}", behavior=kind) for n, kind in enumerate(kinds)]
    wanted = r"behavior \('glanced', 'ordered', 'tapped', 'd', 'e'; say what they mean by --behaviors glanced=view,…\)$"
    with pytest.raises(InputError, match=wanted):
        clean_rows(tmp_path, rows)
    # What the option cannot carry is no command to copy, and a whole page is no name.
    with pytest.raises(InputError, match=r"\('a=b,c'; say what they mean by --behaviors theirs=view,…\)$"):
        clean_rows(tmp_path, [changed(behavior="a=b,c")])
    with pytest.raises(InputError, match=rf"\('{'x' * 39}…'; "):
        clean_rows(tmp_path, [changed(behavior="x" * 500)])
    with pytest.raises(InputError, match=r"most often: missing item_id$"):
        clean_rows(tmp_path, [changed(item_id=""), changed(item_id="", user_id="u2"), changed(behavior="glanced")])


def test_the_dirt_of_the_simulated_log_is_found_row_by_row(raw_folder: Path, clean_log: CleanLog) -> None:
    dirt = pd.read_csv(raw_folder / "truth" / "dirt.csv.gz")
    assert sorted(clean_log.rejects["line"]) == sorted(dirt["line"])
    assert clean_log.account.rejected == len(dirt) > 50


field = st.sampled_from(["", " ", "u1", "u2", "i1", "view", "search", "hover", "buy", "1700000000000", "1700000000500",
                         "1e3", "2021-01-01", "x,y", 'q"', "é\n", "中文", "NaN", "-5"])  # fmt: skip


@settings(max_examples=80, deadline=None)
@given(
    rows=st.lists(st.lists(field, min_size=6, max_size=6), min_size=1, max_size=25),
    order=st.sampled_from(["log", "hash"]),
    missing=st.sampled_from(["delete", "interpolate"]),
)
def test_read_is_kept_plus_rejected_and_cleaning_again_changes_nothing(
    tmp_path_factory: pytest.TempPathFactory, rows: list[list[str]], order: str, missing: str
) -> None:
    folder = tmp_path_factory.mktemp("frames")
    config = dataclasses.replace(CleaningConfig(), simultaneous_order=order, missing_timestamp=missing)
    rows = [["u9", "i9", "view", "1700000000000", "", "app"], *rows]
    log = clean_rows(folder, rows, config)
    assert log.account.read == len(rows) == len(log.events) + len(log.rejects)
    EVENTS.validate(log.events)
    ITEMS.validate(log.items)
    assert set(log.events["behavior"]) <= set(BEHAVIORS)
    for _, events in log.events.groupby("user_id"):
        assert events["timestamp"].is_monotonic_increasing
        assert events["position"].tolist() == list(range(len(events)))
    log.events.astype({"timestamp": "str"}).to_csv(folder / "again.csv", index=False, quoting=1, lineterminator="\n")
    again = import_log("generic", [folder / "again.csv"], columns={}, behaviors={}, config=config)
    pd.testing.assert_frame_equal(again.events, log.events)
    assert again.account.rejected == 0
