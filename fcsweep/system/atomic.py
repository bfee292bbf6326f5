"""Atomic writes, and errors that name what a full disk refused.

A disk that is full, read-only, broken or over its quota is no fault of a run: the error names the
file in one line, no partial file stays, and the same command resumes once there is room.
"""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path

from fcsweep.messages.errors import RecordError

FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO}
"""Errors of a disk that accepts no more data."""


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file atomically: readers see the old content or the new, never a part.

    Raises:
        RecordError: it cannot be written; what was there before is unchanged.
    """
    with beside(path) as new:
        new.write_bytes(content)
        new.replace(path)


def spare_of(path: Path) -> Path:
    """The temporary name of a file that is being written; it holds the process id."""
    return path.with_name(f".{path.name}.{os.getpid()}.tmp")


@contextmanager
def beside(path: Path, spare: Path | None = None) -> Generator[Path]:
    """Yield a temporary name for a file to be written; remove it if the block fails.

    Args:
        path: of the file.
        spare: the name, in the same folder; by default `spare_of` the file.

    Raises:
        RecordError: in place of an OSError.
    """
    spare = spare or spare_of(path)
    try:
        yield spare
    except BaseException as error:  # also what a signal raises
        with suppress(OSError):
            spare.unlink(missing_ok=True)
        if not isinstance(error, OSError):
            raise
        raise unwritable(path, error) from error


def unwritable(path: Path, error: OSError) -> RecordError:
    """That a file cannot be written, and why."""
    return RecordError(f"{path} cannot be written: {error.strerror or error}")


@contextmanager
def writing(what: object) -> Generator[None]:
    """Turn the error of a full disk in the block into a `RecordError` that names a file.

    Args:
        what: is being written, where the error does not name a file.

    Raises:
        RecordError: in place of the error of a full disk.
    """
    try:
        yield
    except (OSError, ValueError) as error:
        # logging says only that it is unable to configure a handler.
        cause = error if isinstance(error, OSError) else error.__cause__
        if not isinstance(cause, OSError) or cause.errno not in FULL:
            raise
        raise RecordError(
            f"{cause.filename or what} cannot be written: {cause.strerror}"
        ) from error


@contextmanager
def giving_way() -> Generator[None]:
    """Suppress a `RecordError` while another exception propagates: that one is reported."""
    propagating = sys.exc_info()[1]
    try:
        yield
    except RecordError:
        if propagating is None:
            raise
