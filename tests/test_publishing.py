"""Whoever looks sees the old whole or the new whole, never a half."""

from pathlib import Path

import pytest

from recsys_tf.publishing import published_directory, published_file


def test_a_folder_appears_when_it_is_whole_and_replaces_the_old_one(tmp_path: Path) -> None:
    target = tmp_path / "deep" / "folder"
    for text in ("one", "two"):
        with published_directory(target) as temporary:
            assert not (temporary / "file").exists()
            (temporary / "file").write_text(text)
            assert not target.exists() or (target / "file").read_text() == "one"
        assert (target / "file").read_text() == text
    assert [path.name for path in target.parent.iterdir()] == ["folder"]


@pytest.mark.parametrize("error", [OSError, KeyboardInterrupt, ValueError])
def test_on_any_error_the_old_one_stays_and_nothing_is_left_behind(tmp_path: Path, error: type[BaseException]) -> None:
    target, single = tmp_path / "folder", tmp_path / "file.txt"
    target.mkdir()
    (target / "file").write_text("old")
    single.write_text("old")
    with pytest.raises(error), published_directory(target) as temporary:
        (temporary / "file").write_text("new")
        raise error
    with pytest.raises(error), published_file(single) as partial:
        partial.write_text("new")
        raise error
    assert (target / "file").read_text() == single.read_text() == "old"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file.txt", "folder"]


def test_the_temporary_file_keeps_its_suffix(tmp_path: Path) -> None:
    with published_file(tmp_path / "table.csv.gz") as partial:
        assert partial.name.endswith("table.csv.gz")
        partial.write_bytes(b"x")
    assert (tmp_path / "table.csv.gz").read_bytes() == b"x"
