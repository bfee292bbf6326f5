"""How the C library deals with the memory of tensors, and Python with what can be thrown away."""

from __future__ import annotations

import ctypes
import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
"""Of ``malloc.h``."""

KEPT = 256 << 20
"""Bytes of freed memory that the process keeps at most."""

LARGE = 32 << 20
"""Bytes from which a tensor gets memory of its own, which is given back at once."""


@cache
def keep_freed() -> None:
    """Let what is freed be used again by this process (GNU C library; elsewhere nothing).

    By default it goes back to the system, which gives it out anew page by page, all zero: for the
    tensors of an evaluation that takes as long as to compute them. For a program, not for a
    library: it cannot be taken back.
    """
    set_option = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if set_option is not None:
        set_option(M_TRIM_THRESHOLD, KEPT)
        set_option(M_MMAP_THRESHOLD, LARGE)


@cache
def keep_loaded() -> None:
    """Let Python seek no garbage any more among what is there now: modules, which all stay.

    With those of torch, scikit-learn and pandas there are half a million objects to look through.
    For a program that has imported what it needs, not for a library.
    """
    gc.freeze()


@contextmanager
def nothing_collected() -> Iterator[None]:
    """While the block makes much that stays, let Python seek no garbage."""
    before = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if before:
            gc.enable()
