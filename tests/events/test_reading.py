"""Files become rows of text with their lines, or one clear error; no row is lost."""

import gzip
import json
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys_tf.errors import InputError
from recsys_tf.events.reading import read_raw_file


def write(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def test_malformed_rows_are_set_aside_with_their_lines(tmp_path: Path) -> None:
    data = b'a,b,c\n1,2,3\n\n4,5\n"x\ny",2,3\n7,8,9,10\n1,"q""z",\xff\n5,"open,6\n7,8,9\n1,2\n"k",2,3\n'
    file = read_raw_file(write(tmp_path / "log.csv", data))
    assert file.rows["a"].astype("str").tolist() == ["1", "", "x\ny", "7", "k"]
    assert file.line.tolist() == [2, 3, 5, 10, 12]
    assert list(zip(file.rejects["line"], file.rejects["reason"], strict=True)) == [
        (4, "2 fields instead of 3"),
        (7, "4 fields instead of 3"),
        (8, "not UTF-8"),
        (9, "a quote is not closed"),
        (11, "2 fields instead of 3"),
    ]
    assert file.rejects.loc[2, "column"] == "c"
    assert file.read == 10


def test_a_byte_order_mark_and_windows_line_ends_are_no_part_of_the_data(tmp_path: Path) -> None:
    file = read_raw_file(write(tmp_path / "log.csv", b"\xef\xbb\xbfuser_id,item_id\r\nu1,i1\r\n"))
    assert list(file.rows) == ["user_id", "item_id"]
    assert file.rows.astype("str").to_numpy().tolist() == [["u1", "i1"]]


@pytest.mark.parametrize("name", ["log.csv.gz", "log.parquet", "log.jsonl", "log.jsonl.gz"])
def test_every_format_gives_the_same_rows(tmp_path: Path, name: str) -> None:
    table = pd.DataFrame({"user_id": ["u1", "007"], "timestamp": ["1700000000000", ""]})
    path = tmp_path / name
    lines = "".join(json.dumps(row) + "\n" for row in table.to_dict("records")).encode()
    match name:
        case "log.csv.gz":
            path.write_bytes(gzip.compress(table.to_csv(index=False).encode()))
        case "log.parquet":
            table.to_parquet(path)
        case "log.jsonl":
            path.write_bytes(lines)
        case "log.jsonl.gz":
            path.write_bytes(gzip.compress(lines))
    assert read_raw_file(path).rows.astype("str").to_numpy().tolist() == table.to_numpy().tolist()


def test_numbers_in_parquet_and_json_keep_their_digits(tmp_path: Path) -> None:
    pd.DataFrame({"id": [12346.0, None], "n": [2**60 + 1, 5]}).to_parquet(tmp_path / "log.parquet")
    assert read_raw_file(tmp_path / "log.parquet").rows.to_numpy().tolist() == [["12346", str(2**60 + 1)], ["", "5"]]
    file = read_raw_file(write(tmp_path / "log.jsonl", b'{"id": 12345678901234567890}\nnot json\n[1]\n'))
    assert file.rows["id"].tolist() == ["12345678901234567890"]
    assert file.rejects["line"].tolist() == [2, 3]


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("log.csv", b"", "the file is empty"),
        ("log.csv", b"\n \n", "the file is empty"),
        ("log.csv", b"a,b\n", "a header and no rows"),
        ("log.csv", "a,b\n1,2\n".encode("utf-16"), "UTF-16"),
        ("log.csv", b"\x00\x01\x02\x03", "not a text file"),
        ("log.csv", b"a,a\n1,2\n", "stands twice"),
        ("log.csv.gz", gzip.compress(b"a,b\n" + b"1,2\n" * 9999, mtime=0)[:60], "truncated gzip"),
        ("log.csv.gz", b"a,b\n1,2\n", "gzip"),
        ("log.parquet", b"PAR1", "no readable Parquet"),
    ],
)
def test_a_file_that_cannot_be_read_is_one_line_that_names_it(
    tmp_path: Path, name: str, data: bytes, message: str
) -> None:
    path = write(tmp_path / name, data)
    with pytest.raises(InputError, match=message) as error:
        read_raw_file(path)
    assert str(error.value).startswith(str(path))
    assert "\n" not in str(error.value)


def test_a_missing_file_and_a_folder_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        read_raw_file(tmp_path / "absent.csv")
    with pytest.raises(InputError, match="not a file"):
        read_raw_file(tmp_path)


@given(st.lists(st.lists(st.text(max_size=6), min_size=2, max_size=2), min_size=1, max_size=12))
def test_whatever_a_csv_writer_wrote_is_read_back_with_its_lines(
    tmp_path_factory: pytest.TempPathFactory, rows: list[list[str]]
) -> None:
    rows = [[text.replace("\0", "").replace("\r", "") for text in row] for row in rows]
    table = pd.DataFrame(rows, columns=["a", "b"])
    path = tmp_path_factory.mktemp("csv") / "log.csv"
    text = table.to_csv(index=False, quoting=1, lineterminator="\n")
    path.write_text(text, encoding="utf-8", newline="\n")
    file = read_raw_file(path)
    assert file.rows.astype("str").to_numpy().tolist() == rows
    breaks = [sum(field.count("\n") for field in row) for row in rows]
    assert file.line.tolist() == [2 + at + sum(breaks[:at]) for at in range(len(rows))]


@given(st.binary(min_size=1, max_size=300))
def test_random_bytes_give_rows_rejects_or_one_line(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    path = tmp_path_factory.mktemp("bytes") / "log.csv"
    path.write_bytes(b"user_id,item_id\n" + data)
    try:
        file = read_raw_file(path)
    except InputError as error:
        assert "\n" not in str(error)
    else:
        assert file.read == len(file.rows) + len(file.rejects) > 0
