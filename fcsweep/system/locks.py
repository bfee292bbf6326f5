"""Locks on folders, which the operating system drops with the process."""

from __future__ import annotations

import os
from pathlib import Path


def is_held(folder: Path) -> bool:
    """Whether a process uses a folder, as far as the file system can tell."""
    lock = locked(folder)
    if lock is not None and lock is not NO_LOCK:
        os.close(lock)
    return lock is None or lock is NO_LOCK


NO_LOCK = -1


def locked(folder: Path) -> int | None:
    """A locked descriptor of the folder; None if it is taken, NO_LOCK where there are no locks.

    The lock is on the folder itself: it leaves no file, and the system drops it with the process,
    however that ends.
    """
    try:
        import fcntl
    except ImportError:  # Windows
        return NO_LOCK
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError:  # not readable; whoever looks into it will say so
        return NO_LOCK
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    except OSError:  # a file system without locks
        os.close(descriptor)
        return NO_LOCK
    return descriptor
