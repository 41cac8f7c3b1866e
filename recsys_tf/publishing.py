"""Write to a temporary neighbour, then rename: nobody ever sees half a file or half a folder."""

import ctypes
import os
import shutil
import sys
import tempfile
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from recsys_tf.errors import InputError

_HERE: Final = -100  # AT_FDCWD of fcntl.h
_EXCHANGE: Final = 2  # RENAME_EXCHANGE of linux/fs.h
_SHOWN: Final = 3  # names of files in a message


@contextmanager
def published_directory(target: Path, prefix: str = ".") -> Iterator[Path]:
    """Yield an empty temporary folder that becomes `target` when the block ends without an error.

    An existing `target` is replaced as a whole; on any error, Ctrl-C included, it stays as it was. On Linux not even
    kill -9 leaves it missing. prefix: of the temporary folder's name, which stands beside `target`.
    Raises OSError when the disk is full or the place cannot be written.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=f"{prefix}{target.name}.", dir=target.parent))
    try:
        temporary.chmod(0o755)
        yield temporary
        if target.exists() and _exchanged(temporary, target):
            return
        if target.exists():
            # rename(2) cannot replace a folder that has files in it, so the old one steps aside first.
            retired = Path(tempfile.mkdtemp(prefix=f"{prefix}{target.name}.old.", dir=target.parent))
            target.rename(retired / "was")
            temporary.rename(target)
            shutil.rmtree(retired)
        else:
            temporary.rename(target)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def check_replaceable(target: Path, own: Collection[str]) -> None:
    """Raise InputError when a folder that is about to be replaced holds what the same command did not write.

    own: names that the command writes; its pictures (*.png) need not be named.
    """
    if not target.is_dir():
        return
    foreign = sorted(path.name for path in target.iterdir() if path.name not in own and path.suffix != ".png")
    if foreign:
        shown = ", ".join(foreign[:_SHOWN]) + (", …" if len(foreign) > _SHOWN else "")
        raise InputError(f"the folder would be replaced, and holds other things ({shown}); name a new one", file=target)


@contextmanager
def rewritten_directory(target: Path, prefix: str) -> Iterator[Path]:
    """Do as `published_directory`, and take over from the old `target` whatever the block has not written."""
    with published_directory(target, prefix) as temporary:
        yield temporary
        _take_over(target, temporary)


def _take_over(old: Path, new: Path) -> None:
    for path in old.iterdir():
        place = new / path.name
        if path.is_symlink():
            place.symlink_to(path.readlink())
        elif path.is_dir():
            place.mkdir(exist_ok=True)
            _take_over(path, place)
        elif not place.exists():
            try:
                place.hardlink_to(path)
            except OSError:
                # Some file systems have no second names.
                shutil.copy2(path, place)


def _exchanged(one: Path, other: Path) -> bool:
    """Let two folders swap names in a single step; False, with nothing done, where the system cannot."""
    if not sys.platform.startswith("linux"):
        return False
    rename = getattr(ctypes.CDLL(None), "renameat2", None)
    return rename is not None and rename(_HERE, os.fsencode(one), _HERE, os.fsencode(other), _EXCHANGE) == 0


@contextmanager
def published_file(target: Path) -> Iterator[Path]:
    """Yield a temporary path beside `target` that replaces it when the block ends without an error."""
    target.parent.mkdir(parents=True, exist_ok=True)
    # The suffixes stay at the end: writers choose the format by them.
    handle, name = tempfile.mkstemp(prefix=".partial.", suffix=f".{target.name}", dir=target.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        temporary.chmod(0o644)
        yield temporary
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)
