"""Dirt that is easily lost or counted twice: stray quotes, text that is none, rows that make two events."""

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
from recsys_tf.events.reading import read_raw_file
from recsys_tf.events.tables import read_clean_log, write_tables

HEADER = "user_id,item_id,behavior,timestamp,query,device\n"


def imported(folder: Path, layout: str, config: CleaningConfig | None = None, **files: str) -> CleanLog:
    paths = []
    for name, text in files.items():
        path = folder / name.replace("_dot_", ".")
        path.write_text(text, encoding="utf-8", newline="")
        paths.append(path)
    return import_log(layout, paths, columns={}, behaviors={}, config=config or CleaningConfig())


def test_two_stray_quotes_do_not_swallow_the_lines_between_them(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    path.write_text('a,b,c\n1,"x,2\n3,y,4\n5,z,6\n7,"w,8\n9,v,0\n', encoding="utf-8")
    file = read_raw_file(path)
    assert sorted(file.line.tolist()) == [3, 4, 6]
    assert file.rejects[["line", "reason"]].to_numpy().tolist() == [
        [2, "a quote is not closed"],
        [5, "a quote is not closed"],
    ]


@settings(deadline=None)
@given(st.lists(st.sampled_from(["1,2,3", '1,"2,3', '4,"5",6', '"4,5",6,7', '1,2"3,4', "1,2", '"8,"9,0']), min_size=1))
def test_without_line_breaks_in_fields_every_line_is_a_row_or_a_reject(
    tmp_path_factory: pytest.TempPathFactory, lines: list[str]
) -> None:
    path = tmp_path_factory.mktemp("quotes") / "log.csv"
    path.write_text("a,b,c\n" + "\n".join(lines) + "\n", encoding="utf-8", newline="")
    file = read_raw_file(path)
    inside = sum(int(file.rows[name].astype("str").str.count("\n").sum()) for name in file.rows)
    assert file.read + inside == len(lines)


def test_half_a_surrogate_pair_in_json_is_a_reject(tmp_path: Path) -> None:
    (tmp_path / "log.jsonl").write_text('{"a": "\\ud800"}\n{"a": "b"}\n{"a": "\\u4e2d"}\n', encoding="utf-8")
    file = read_raw_file(tmp_path / "log.jsonl")
    assert file.rows["a"].tolist() == ["b", "中"]
    assert file.rejects[["line", "reason"]].to_numpy().tolist() == [[1, "not UTF-8"]]


def test_parquet_columns_that_are_no_text_are_named(tmp_path: Path) -> None:
    pd.DataFrame({"a": [b"\xff"], "b": ["x"]}).to_parquet(tmp_path / "log.parquet")
    with pytest.raises(InputError, match="column a"):
        read_raw_file(tmp_path / "log.parquet")
    pd.DataFrame({"a": [["y"]], "b": ["x"]}).to_parquet(tmp_path / "log.parquet")
    assert list(read_raw_file(tmp_path / "log.parquet").rows) == ["b"]


ITEM_VECTORS = {
    "csv": "item_id,vector\na,0.5 -1\nb,\nc,1 2 3\nd,1 x\ne,1e99 2\nf,3 4\n",
    "jsonl": '{"item_id": "a", "vector": [0.5, -1]}\n{"item_id": "b", "vector": null}\n'
    '{"item_id": "c", "vector": [1, 2, 3]}\n{"item_id": "d", "vector": [1, "x"]}\n'
    '{"item_id": "e", "vector": [1, Infinity]}\n{"item_id": "f", "vector": [3, 4]}\n',
    "parquet": [[0.5, -1.0], None, [1.0, 2.0, 3.0], [None, 2.0], [np.inf, 2.0], [3.0, 4.0]],
}


@pytest.mark.parametrize("kind", ITEM_VECTORS)
def test_vectors_of_items_are_kept_and_those_that_are_none_rejected(tmp_path: Path, kind: str) -> None:
    log, items, given = tmp_path / "log.csv", tmp_path / f"items.{kind}", ITEM_VECTORS[kind]
    log.write_text("user_id,item_id,behavior,position\nu,a,view,0\nu,z,view,1\n", encoding="utf-8")
    if isinstance(given, str):
        items.write_text(given, encoding="utf-8")
    else:
        pd.DataFrame({"item_id": list("abcdef"), "vector": given}).to_parquet(items)
    clean = import_log("generic", [log, items], columns={}, behaviors={}, config=CleaningConfig())
    kept = clean.items.set_index("item_id")["vector"]
    assert {name: None if vector is None else vector.tolist() for name, vector in kept.items()} == {
        "a": [0.5, -1.0], "b": None, "f": [3.0, 4.0], "z": None,
    }  # fmt: skip
    assert clean.item_account.reasons == {"unparseable vector": 2, "vector of another length than most": 1}
    assert set(clean.rejects["column"]) == {"vector"}
    write_tables(clean.events, clean.items, tmp_path)
    again = read_clean_log(tmp_path)[1].set_index("item_id")["vector"]
    assert again["f"].tolist() == [3.0, 4.0]
    assert again["z"] is None


def test_a_table_none_of_whose_items_has_a_vector_has_no_such_column(tmp_path: Path) -> None:
    log = imported(
        tmp_path, "generic", log_dot_csv=HEADER + "u1,i1,view,1700000000000,,\n",
        items_dot_csv="item_id,vector\ni1,\ni2,not a vector\n",
    )  # fmt: skip
    assert "vector" not in log.items


@pytest.mark.parametrize("bad", [[1.0], [1.0, np.nan]])
def test_a_clean_item_table_with_an_odd_vector_is_refused(tmp_path: Path, bad: list[float]) -> None:
    log = imported(tmp_path, "generic", log_dot_csv=HEADER + "u1,i1,view,1700000000000,,\nu1,i2,view,1700000009000,,\n")
    write_tables(log.events, log.items.assign(vector=[np.array([1.0, 2.0]), np.array(bad)]), tmp_path)
    with pytest.raises(InputError, match=r"items\.parquet, row 1, column vector"):
        read_clean_log(tmp_path)


def test_a_malformed_row_of_an_item_file_counts_among_the_items(tmp_path: Path) -> None:
    log = imported(
        tmp_path,
        "generic",
        log_dot_csv=HEADER + "u1,i1,view,1700000000000,,\n",
        items_dot_csv="item_id,category_id,price,title\ni1,c,1,One\ni2,c\n",
    )
    assert (log.account.read, log.account.kept) == (1, 1)
    assert (log.item_account.read, log.item_account.kept) == (2, 1)
    assert log.item_account.reasons == {"wrong number of fields": 1}
    assert log.rejects[["file", "line"]].to_numpy().tolist() == [["items.csv", 3]]


def test_a_row_of_two_events_is_counted_once(tmp_path: Path) -> None:
    times = "2011-08-11 03:59:04,2011-08-11 04:00:1"
    log = imported(
        tmp_path,
        "bestbuy",
        clicks_dot_csv="user_id,item_id,category,query,query_time,click_time\n"
        f"u,1,c,halo,{times}7.021\nu,2,c,halo,{times}9\nv,2,c,halo,junk,2011-08-11 04:00:19\nu,1,c,halo,{times}7.021\n",
    )
    # The second row's search is the first row's; its click keeps it. The third has no time for its search, the last is
    # a copy as a whole.
    assert (log.account.read, log.account.kept) == (4, 2)
    assert log.account.reasons == {"unparseable timestamp": 1, "exact duplicate": 1}
    assert log.rejects["line"].tolist() == [4, 5]
    assert log.events["behavior"].tolist() == ["search", "click", "click"]
    assert log.facts["events made of the rows"] == 8


def test_what_a_search_or_a_click_does_not_have_plays_no_part_in_repetitions(tmp_path: Path) -> None:
    searches = "u,i1,search,1700000000000,w,\nu,i2,search,1700000000000,w,\n"
    clicks = "u,i,click,1700000009000,w,\nu,i,click,1700000009000,z,\n"
    log = imported(tmp_path, "generic", log_dot_csv=HEADER + searches + clicks)
    assert log.account.reasons == {"exact duplicate": 2}
    assert log.items["item_id"].tolist() == ["i"]


def test_an_order_only_log_loses_exact_copies_and_nothing_else(tmp_path: Path) -> None:
    log = imported(tmp_path, "sequences", log_dot_csv="user_id,position,item_id\nu,0,a\nu,0,a\nu,1,a\nu,2,b\n")
    assert log.events["item_id"].tolist() == ["a", "a", "b"]
    assert log.account.reasons == {"exact duplicate": 1}


def test_an_interpolated_time_decides_which_price_came_first(tmp_path: Path) -> None:
    rows = "u,a,view,1700000000000,\nu,i,view,,9\nu,b,view,1700000100000,\nv,i,view,1700000001000,5\n"
    text = "user_id,item_id,behavior,timestamp,price\n" + rows
    log = imported(tmp_path, "generic", CleaningConfig(missing_timestamp="interpolate"), log_dot_csv=text)
    assert log.items.set_index("item_id")["price"]["i"] == 5


def test_a_price_that_is_no_number_is_a_reason(tmp_path: Path) -> None:
    text = "user_id,item_id,behavior,timestamp,price\nu,i1,view,1700000000000,abc\nu,i2,view,1700000000000,2\n"
    assert imported(tmp_path, "generic", log_dot_csv=text).account.reasons == {"unparseable price": 1}


def test_a_file_that_no_layout_knows_is_refused(tmp_path: Path) -> None:
    log = "timestamp,visitorid,event,itemid,transactionid\n1430622120563,1,view,2,\n"
    assert (
        imported(tmp_path, "retailrocket", a_dot_csv=log, tree_dot_csv="categoryid,parentid\n1,2\n").account.kept == 1
    )
    with pytest.raises(InputError, match=r"other.csv.*no part of the layout"):
        imported(tmp_path, "retailrocket", a_dot_csv=log, other_dot_csv="x,y\n1,2\n")


@pytest.mark.parametrize(
    ("layout", "files", "moment"),
    [
        ("online-retail", {"a_dot_csv": "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,"
          "UnitPrice,CustomerID,Country\n"
          "489434,85048,X,12,12/1/2009 7:45,6.95,13085.0,UK\n"}, 1_259_653_500_000),
        ("movielens", {"ratings_dot_dat": "1::1193::5::978300760\n",
          "movies_dot_dat": "1193::Cuckoo's Nest (1975)::Drama|War\n"},
         978_300_760_000),
        ("movielens", {"ratings_dot_csv": "userId,movieId,rating,timestamp\n1,1193,5.0,978300760\n"}, 978_300_760_000),
    ],
)  # fmt: skip
def test_files_as_their_publishers_write_them(tmp_path: Path, layout: str, files: dict[str, str], moment: int) -> None:
    log = imported(tmp_path, layout, **files)
    assert log.events["timestamp"].tolist() == [moment]
    assert log.account.rejected == log.item_account.rejected == 0
