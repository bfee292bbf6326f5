"""Files that are written as a whole, and what is said of a disk that does not take them.

A disk that is full, read-only, broken or over its quota is no fault of a run: what cannot be
written is named in one line, nothing half-written stays, and the same command goes on once there is
room.
"""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from fcsweep.messages.errors import RecordError

FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO}
"""What a system says of a disk that takes no more."""


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file that is there as a whole or not at all.

    Raises:
        RecordError: it cannot be written; what was there before is unchanged.
    """
    with beside(path) as new:
        new.write_bytes(content)
        new.replace(path)


def spare_of(path: Path) -> Path:
    """The name of what is not the file yet, or not any more; it has the number of the process."""
    return path.with_name(f".{path.name}.{os.getpid()}.tmp")


@contextmanager
def beside(path: Path, spare: Path | None = None) -> Iterator[Path]:
    """A name for what will be the file; nothing is left there if the block fails.

    Args:
        path: of the file.
        spare: the name, in the same folder; by default `spare_of` the file.

    Raises:
        RecordError: in place of an error of the disk.
    """
    spare = spare or spare_of(path)
    try:
        yield spare
    except BaseException as error:  # also what a signal raises
        with suppress(OSError):
            spare.unlink(missing_ok=True)
        if not isinstance(error, OSError):
            raise
        raise RecordError(f"{path} cannot be written: {error.strerror or error}") from error


@contextmanager
def writing(what: object) -> Iterator[None]:
    """In the block others write; of a disk that is full they may tell neither file nor folder.

    Args:
        what: is written, where the error does not name a file.

    Raises:
        RecordError: in place of the error of a disk that takes no more.
    """
    try:
        yield
    except (OSError, ValueError) as error:
        # logging says only that it is unable to configure a handler.
        told = error if isinstance(error, OSError) else error.__cause__
        if not isinstance(told, OSError) or told.errno not in FULL:
            raise
        raise RecordError(f"{told.filename or what} cannot be written: {told.strerror}") from error


@contextmanager
def giving_way() -> Iterator[None]:
    """For what is written at the end: where an error is on its way already, that one is told."""
    on_its_way = sys.exc_info()[1]
    try:
        yield
    except RecordError:
        if on_its_way is None:
            raise
