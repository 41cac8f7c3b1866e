"""TensorFlow reports a full disk by errors of its own; everybody else's are OSError."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import tensorflow as tf


@contextmanager
def as_os_errors(place: Path) -> Iterator[None]:
    """Turn what TensorFlow raises while it writes to `place` into OSError, as Python's own writing does."""
    try:
        yield
    except tf.errors.ResourceExhaustedError as error:
        raise OSError(errno.ENOSPC, "no space left on the disk", str(place)) from error
    except tf.errors.OpError as error:
        raise OSError(errno.EIO, f"cannot be written ({error.message})", str(place)) from error
