"""Whoever looks sees the old whole or the new whole, never a half."""

import sys
from pathlib import Path

import pytest

from recsys_tf import publishing
from recsys_tf.errors import InputError
from recsys_tf.publishing import check_replaceable, published_directory, published_file, rewritten_directory


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


@pytest.mark.parametrize("exchange", [True, False])
def test_what_is_not_written_again_is_taken_over(
    tmp_path: Path, exchange: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not exchange:
        monkeypatch.setattr(publishing, "_exchanged", lambda *_: False)
    target = tmp_path / "folder"
    (target / "deep").mkdir(parents=True)
    for name in ("changed", "kept", "deep/kept"):
        (target / name).write_text("old")
    (target / "link").symlink_to("kept")
    (tmp_path / "outside").hardlink_to(target / "changed")
    with rewritten_directory(target, ".again-") as temporary:
        assert temporary.name.startswith(".again-folder.")
        (temporary / "changed").write_text("new")
    found = {path.relative_to(target).as_posix(): path.read_text() for path in target.rglob("*") if path.is_file()}
    assert found == {"changed": "new", "kept": "old", "deep/kept": "old", "link": "old"}
    assert (target / "link").is_symlink()
    assert (tmp_path / "outside").read_text() == "old"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["folder", "outside"]


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux lets two names change places")
def test_the_old_one_is_never_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A kill leaves what a failure at that very moment leaves: the name is taken before and after the one step."""
    target = tmp_path / "folder"
    target.mkdir()
    (target / "file").write_text("old")
    renamed = []
    monkeypatch.setattr(Path, "rename", lambda *paths: renamed.append(paths))
    with published_directory(target) as temporary:
        (temporary / "file").write_text("new")
    assert (target / "file").read_text() == "new"
    assert renamed == []


def test_a_folder_that_holds_other_things_is_not_replaced(tmp_path: Path) -> None:
    check_replaceable(tmp_path / "new", ())
    for name in ("table.csv", "picture.png"):
        (tmp_path / name).write_text("own")
    check_replaceable(tmp_path, ("table.csv", "page.html"))
    for name in ("a", "b", "c", "d"):
        (tmp_path / name).mkdir()
    with pytest.raises(InputError, match=r"holds other things \(a, b, c, …\); name a new one"):
        check_replaceable(tmp_path, ("table.csv",))
