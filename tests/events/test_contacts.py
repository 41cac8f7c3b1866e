"""A team's own contacts: read as they are, or refused with file, row and column."""

from pathlib import Path

import pytest

from recsys_tf.errors import InputError
from recsys_tf.events.contacts import read_contacts


def test_contacts_are_read_as_they_stand(tmp_path: Path) -> None:
    path = tmp_path / "contacts.csv"
    path.write_text(
        "words,reason,user_id,timestamp,agent\n"
        '"where, please",late,u2,2024-01-02T00:00:00Z,a\n'
        ",return,u1,1704067200000,b\n"
        "hello,late,007,1704067200,\n",
        encoding="utf-8",
    )
    table = read_contacts(path)
    assert list(table.columns) == ["user_id", "timestamp", "reason", "words"]
    assert table["user_id"].tolist() == ["u2", "u1", "007"]
    assert table["timestamp"].tolist() == [1704153600000, 1704067200000, 1704067200000]
    assert table["words"].tolist() == ["where, please", "", "hello"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("user_id,timestamp,words\nu1,1704067200000,hi\n", "row 1, column reason: this column is missing"),
        ("user_id,timestamp,reason,words\nu1,1704067200000,late,\n,1704067200000,late,\n", "row 3, column user_id"),
        ("user_id,timestamp,reason,words\nu1,yesterday,late,\n", "row 2, column timestamp: no time: 'yesterday'"),
        ("user_id,timestamp,reason,words\nu1,,late,\n", "row 2, column timestamp"),
        ("user_id,timestamp,reason,words\nu1,1704067200000, ,hi\n", "row 2, column reason: missing reason"),
        # The first bad row is the one that is named, whatever is wrong with later ones.
        ("user_id,timestamp,reason,words\nu1,1704067200000,,hi\n,x,late,\n", "row 2, column reason"),
        ("user_id,timestamp,reason,words\nu1,1704067200000,late\n", "row 2: 3 fields instead of 4"),
        ("user_id,timestamp,reason,words\n", "a header and no rows"),
        ("", "the file is empty"),
    ],
)
def test_a_row_that_cannot_be_used_is_named(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "contacts.csv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=message) as error:
        read_contacts(path)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        read_contacts(tmp_path / "contacts.csv")
