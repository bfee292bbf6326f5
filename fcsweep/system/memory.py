"""Memory of the process: ``malloc`` options for tensors, and Python's garbage collector."""

from __future__ import annotations

import ctypes
import gc
import sys
from collections.abc import Generator
from contextlib import contextmanager
from functools import cache

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
"""Of ``malloc.h``."""

KEPT = 256 << 20
"""Bytes of freed memory that the process keeps, at most."""

LARGE = 32 << 20
"""Bytes from which an allocation is a mapping of its own, returned to the system when freed."""


@cache
def keep_freed() -> None:
    """Reuse freed memory instead of returning it to the system (GNU C library; else a no-op).

    By default freed memory goes back to the system, and the page faults of the next allocation
    take as long as an evaluation computes. For a program, not for a library: the option cannot be
    undone.
    """
    set_option = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if set_option is not None:
        set_option(M_TRIM_THRESHOLD, KEPT)
        set_option(M_MMAP_THRESHOLD, LARGE)


@cache
def keep_loaded() -> None:
    """Exclude all objects allocated so far from garbage collection (``gc.freeze``).

    The modules of torch, scikit-learn and pandas hold half a million objects, and all of them stay.
    For a program that has imported what it needs, not for a library.
    """
    gc.freeze()


@contextmanager
def without_collection() -> Generator[None]:
    """Disable garbage collection for a block that allocates many objects that stay."""
    before = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if before:
            gc.enable()
