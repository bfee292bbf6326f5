"""Files that are written as a whole, and what is said of a disk that does not take them.

A disk that is full, read-only, broken or over its quota is no fault of a run: what cannot be
written is named in one line, nothing half-written stays, and the same command goes on once there is
room.
"""

from __future__ import annotations

import ctypes
import errno
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import BinaryIO

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO}
"""What a system says of a disk that takes no more."""

AT_FDCWD, RENAME_EXCHANGE = -100, 2
"""Of Linux, for ``renameat2``."""


class RecordError(Exception):
    """A file that cannot be written; one line with path and cause."""


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file that is there as a whole or not at all.

    Raises:
        RecordError: it cannot be written; what was there before is unchanged.
    """
    with _beside(path) as new:
        new.write_bytes(content)
        new.replace(path)


def rewrite_atomically(path: Path, content: bytes) -> None:
    """As `write_atomically`, for a file that is written again and again.

    What was there before stays beside it, and is written over the next time, unless `bounded` is
    just reading it: a file system takes ten times as long to find room for a new file. `settle`
    removes it.
    """
    if _renameat2() is None:
        return write_atomically(path, content)
    with _beside(path) as other:
        with open(os.open(other, os.O_WRONLY | os.O_CREAT, 0o666), "wb") as file:
            ours = _locked(file)
            if ours:
                file.write(content)
                file.truncate()
        if not ours:
            other.unlink()
            other.write_bytes(content)
        if not _exchange(other, path):
            other.replace(path)


def settle(path: Path) -> None:
    """Remove what `rewrite_atomically` has left beside a file."""
    with _beside(path) as other:
        other.unlink(missing_ok=True)


@contextmanager
def _beside(path: Path) -> Iterator[Path]:
    """A name for what will be the file; nothing is left there if the block fails."""
    beside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        yield beside
    except BaseException as error:  # also what a signal raises
        with suppress(OSError):
            beside.unlink(missing_ok=True)
        if not isinstance(error, OSError):
            raise
        raise RecordError(f"{path} cannot be written: {error.strerror or error}") from error


def _locked(file: BinaryIO) -> bool:
    """Whether nobody reads a file, nor can before it is closed."""
    assert fcntl is not None  # it is there on Linux
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _exchange(one: Path, other: Path) -> bool:
    """Let two files change names at once; False if that cannot be, or one of them is not there."""
    rename = _renameat2()
    return rename is not None and not rename(
        AT_FDCWD, os.fsencode(one), AT_FDCWD, os.fsencode(other), RENAME_EXCHANGE
    )


@cache
def _renameat2() -> Callable[..., int] | None:
    """Of Linux; Python has no name for it."""
    return getattr(ctypes.CDLL(None), "renameat2", None) if sys.platform == "linux" else None


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
