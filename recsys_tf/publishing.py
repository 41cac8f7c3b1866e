"""Write to a temporary neighbour, then rename: nobody ever sees half a file or half a folder."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def published_directory(target: Path) -> Iterator[Path]:
    """Yield an empty temporary folder that becomes `target` when the block ends without an error.

    An existing `target` is replaced as a whole; on any error, Ctrl-C included, it stays as it was.
    Raises OSError when the disk is full or the place cannot be written.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    try:
        temporary.chmod(0o755)
        yield temporary
        if target.exists():
            # rename(2) cannot replace a folder that has files in it, so the old one steps aside first.
            retired = Path(tempfile.mkdtemp(prefix=f".{target.name}.old.", dir=target.parent))
            target.rename(retired / "was")
            temporary.rename(target)
            shutil.rmtree(retired)
        else:
            temporary.rename(target)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


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
