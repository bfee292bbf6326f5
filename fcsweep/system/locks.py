"""Locks on files and folders (``flock``), which the operating system drops with the process.

Where there are none (Windows, some network file systems), nothing keeps two processes apart.
"""

from __future__ import annotations

import os
import time
from contextlib import suppress
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

NO_LOCK = -1


def lock(path: Path, wait: bool = False, together: bool = False) -> int | None:
    """Lock a folder or a file; it leaves nothing behind.

    Args:
        path: of the folder or the file, which is there.
        wait: until the lock is free.
        together: take a shared lock.

    Returns:
        What `unlock` takes; None if another has it, NO_LOCK where there are no locks.
    """
    opening = os.O_RDONLY if path.is_dir() else os.O_RDWR  # as NFS wants it
    try:
        descriptor = os.open(path, opening)
    except OSError:  # its next use will report the error
        return NO_LOCK
    return lock_open(descriptor, wait, together)


def lock_open(descriptor: int, wait: bool = False, together: bool = False) -> int | None:
    """As `lock`, for an open descriptor; closes it if it is not locked."""
    try:
        if fcntl is not None:
            how = fcntl.LOCK_SH if together else fcntl.LOCK_EX
            fcntl.flock(descriptor, how | (0 if wait else fcntl.LOCK_NB))
            return descriptor
    except BlockingIOError:
        os.close(descriptor)
        return None
    except OSError:  # a file system without locks
        pass
    os.close(descriptor)
    return NO_LOCK


def unlock(locked: int) -> None:
    """Release what `lock` returned."""
    if locked != NO_LOCK:
        os.close(locked)


def wait_until_free(path: Path, seconds: float) -> None:
    """Wait until a folder or a file is not locked, at most ``seconds``."""
    until = time.monotonic() + seconds
    while (locked := lock(path)) is None and time.monotonic() < until:
        time.sleep(0.05)
    if locked is not None:
        unlock(locked)


def holder(path: Path) -> int | None:
    """The process that has locked a folder or a file; None if the system does not tell.

    Linux tells it of every process of the same user on this machine.
    """
    for opened in Path("/proc").glob("[0-9]*/fd/*"):
        with suppress(OSError):  # it has ended, or belongs to somebody else
            locks = opened.parent.with_name("fdinfo") / opened.name
            if os.path.samefile(opened, path) and "lock:" in locks.read_text():
                return int(opened.parts[2])
    return None


def is_held(folder: Path) -> bool:
    """Whether a process uses a folder, as far as the file system can tell."""
    locked = lock(folder)
    if locked is None or locked == NO_LOCK:
        return True
    unlock(locked)
    return False
