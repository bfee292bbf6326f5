"""Atomic replacement that reuses disk space: a file and its spare swap names on every write.

A file system takes ten times as long to allocate a new file as to overwrite an existing one. So the
replaced file is kept as a spare and overwritten the next time, unless a process still has it open
or mapped. Linux can tell (write leases) and can swap two names (``renameat2``); elsewhere every
write makes a new file.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import signal
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import BinaryIO

from fcsweep.system.atomic import beside, write_atomically

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

AT_FDCWD, RENAME_EXCHANGE = -100, 2
"""Of Linux, for ``renameat2``."""


def rewrite_atomically(path: Path, content: bytes, spare: Path | None = None) -> None:
    """As `write_atomically`; the previous content stays in the folder as ``spare``.

    Args:
        path: of the file.
        content: all of it.
        spare: in the same folder, for this file or for several; by default `spare_of` the file.

    Raises:
        RecordError: it cannot be written; what was there before is unchanged.
    """
    if _renameat2() is None:
        return write_atomically(path, content)
    with beside(path, spare) as other:
        if not _write_over(other, content):
            other.unlink(missing_ok=True)
            other.write_bytes(content)
        if not _exchange(other, path):
            other.replace(path)


def settle(spare: Path) -> None:
    """Remove the spare that `rewrite_atomically` left.

    Raises:
        RecordError: it cannot be removed.
    """
    with beside(spare, spare):
        spare.unlink(missing_ok=True)


def _write_over(path: Path, content: bytes) -> bool:
    """Overwrite a file; False if it does not exist, or a process has it open or mapped.

    A process that opens it during the write waits until it is complete.
    """
    try:
        descriptor = os.open(path, os.O_WRONLY)
    except FileNotFoundError:
        return False
    with open(descriptor, "wb") as file:
        ours = _has_lease(file) and _tells_of_mapped(os.fstat(descriptor).st_dev, path)
        if ours:
            file.write(content)
            file.truncate()
    return ours


def _has_lease(file: BinaryIO) -> bool:
    """Take a write lease: False if another process has the file open; later opens wait.

    Closing the file ends the lease (Linux, ``fcntl(2)``).
    """
    assert fcntl is not None  # it is there on Linux
    try:
        fcntl.fcntl(
            file, fcntl.F_SETSIG, signal.SIGURG
        )  # when another opens it; ignored by default
        fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_WRLCK)
    except OSError:
        return False
    return True


_TELLS: dict[int, bool] = {}
"""By device."""


def _tells_of_mapped(device: int, path: Path) -> bool:
    """Whether a lease is refused for a file that is closed but still mapped, which is tried out."""
    if device not in _TELLS:
        with beside(path.with_name("probe")) as probe:
            probe.write_bytes(b"mapped")
            with probe.open("rb") as file:
                mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
            with mapped, probe.open("r+b") as file:
                _TELLS[device] = not _has_lease(file)
            probe.unlink()
    return _TELLS[device]


def _exchange(one: Path, other: Path) -> bool:
    """Let two files change names at once; False if that cannot be, or one of them is not there."""
    rename = _renameat2()
    assert rename is not None
    return not rename(AT_FDCWD, os.fsencode(one), AT_FDCWD, os.fsencode(other), RENAME_EXCHANGE)


@cache
def _renameat2() -> Callable[..., int] | None:
    """Python has no name for it."""
    return getattr(ctypes.CDLL(None), "renameat2", None) if sys.platform == "linux" else None
