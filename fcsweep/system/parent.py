"""A job in a process of its own ends when the process of its sweep has ended, however that ended.

joblib's workers would train on until their job ends. They are children of the sweep's process: when
it is gone, they get another parent.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress
from functools import cache
from types import FrameType

SWEEP = "FCSWEEP_SWEEP_PID"
"""Environment variable that hands the process id of a sweep on to its workers."""
EVERY = 0.5
"""Seconds between two looks."""
GRACE = 10.0
"""Seconds that a job has to end by itself."""


@contextmanager
def sweeping() -> Generator[None]:
    """Workers that are started in the block, as children of this process, find its process id."""
    before = os.environ.get(SWEEP)
    os.environ[SWEEP] = str(os.getpid())
    try:
        yield
    finally:
        os.environ.pop(SWEEP, None)
        if before is not None:
            os.environ[SWEEP] = before


def end_with_sweep() -> None:
    """From now on this process ends with that of its sweep, if it is a worker of one.

    It gets a SIGTERM, which ends a training after the step in progress and elsewhere raises
    SystemExit, so that records are written. It is ended at once if it has not obeyed after `GRACE`.
    Called at the start of every job, in any process.
    """
    sweep = _sweep()
    if sweep in (None, os.getpid()):
        return
    if os.getppid() != sweep:  # it has ended before the job began
        os._exit(128 + signal.SIGTERM)
    _watch()


@cache
def _sweep() -> int | None:
    """The process id of the sweep; processes that the job starts do not inherit it."""
    sweep = os.environ.pop(SWEEP, None)
    return None if sweep is None else int(sweep)


@cache
def _watch() -> None:
    with suppress(ValueError):  # not the main thread
        if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
            signal.signal(signal.SIGTERM, _end)
    threading.Thread(target=_end_later, args=(os.getppid(),), daemon=True).start()


def _end(number: int, frame: FrameType | None) -> None:
    raise SystemExit(128 + number)


def _end_later(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(EVERY)
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(GRACE)
    os._exit(128 + signal.SIGTERM)
