"""Files that are written again and again, at a fraction of what a new file costs each time.

A file system takes ten times as long to allocate a new file as to write to one that is there.

`rewrite_atomically` replaces a file: the replaced one is kept as a spare and overwritten the next
time, unless a process still has it open or mapped. Linux can tell (write leases) and can swap two
names (``renameat2``); elsewhere every write makes a new file. `Growing` appends to a file.
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

from fcsweep.system.atomic import beside, unwritable, write_atomically

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


class Growing:
    """A file whose content only gets longer: what is new is appended, in one write.

    Nobody else writes to it. If it is not as this object left it (gone, replaced, cut, or longer),
    it is written whole, atomically, as it is the first time: a process that has lost its folder to
    another appends nothing to the other's file.

    Args:
        path: of the file.
    """

    def __init__(self, path: Path) -> None:
        self._path, self._more = path, b""
        self._left: tuple[int, int, int, int] | None = None

    def add(self, more: bytes) -> None:
        """Have the content end with these bytes from the next `flush` on."""
        self._more += more

    def flush(self, whole: Callable[[], bytes], head: bytes = b"") -> None:
        """Write what was added since the last time.

        Args:
            whole: the content, with what was added.
            head: its first bytes, if they change with its length; written last, in place.

        Raises:
            RecordError: it cannot be written; what was there before is unchanged.
        """
        try:
            appended = self._append(head)
        except OSError as error:
            raise unwritable(self._path, error) from error
        if not appended:
            with beside(self._path) as new:
                new.write_bytes(whole())
                left = _identity(os.stat(new))
                new.replace(self._path)
            self._left, self._more = left, b""

    def _append(self, head: bytes) -> bool:
        left, self._left = self._left, None  # a signal may raise in between
        if left is None:
            return False
        try:
            descriptor = os.open(self._path, _WRITING)
        except FileNotFoundError:
            return False
        try:
            if _identity(os.fstat(descriptor)) != left:
                return False
            try:
                _put(descriptor, self._more, os.SEEK_END)
                _put(descriptor, head)
            except OSError:
                os.ftruncate(descriptor, left[-1])
                self._left = _identity(os.fstat(descriptor))
                raise
            self._left, self._more = _identity(os.fstat(descriptor)), b""
        finally:
            os.close(descriptor)
        return True


_WRITING = os.O_WRONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_NOFOLLOW", 0)


def _identity(file: os.stat_result) -> tuple[int, int, int, int]:
    """Which file it is, as who wrote to it last; the number of one that is gone is used again."""
    return file.st_dev, file.st_ino, file.st_mtime_ns, file.st_size


def _put(descriptor: int, content: bytes, since: int = os.SEEK_SET) -> None:
    os.lseek(descriptor, 0, since)
    while content:  # a disk that fills up takes a part
        content = content[os.write(descriptor, content) :]


def _write_over(path: Path, content: bytes) -> bool:
    """Overwrite a file; False if it does not exist, or a process has it open or mapped.

    A process that opens it during the write waits until it is complete.
    """
    try:
        descriptor = os.open(path, _WRITING)
    except FileNotFoundError:
        return False
    try:
        ours = _has_lease(descriptor) and _tells_of_mapped(os.fstat(descriptor).st_dev, path)
        if ours:
            _put(descriptor, content)
            os.ftruncate(descriptor, len(content))
    finally:
        os.close(descriptor)
    return ours


def _has_lease(file: int) -> bool:
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
                _TELLS[device] = not _has_lease(file.fileno())
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
