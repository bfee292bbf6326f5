"""A grid that other processes train, shown by the records of its jobs."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from fcsweep.records.filenames import FINISHED, jobs_of
from fcsweep.records.formats import accuracy_text
from fcsweep.status.jobs import job
from fcsweep.status.standing import Trial

PAUSE = 0.2
"""Seconds between two looks."""


def watch(working: Callable[[], bool], folder: Path, total: int) -> None:
    """Show the jobs of all workers, on a terminal in place, else a line as each ends.

    Args:
        working: whether any worker is there.
        folder: of the grid.
        total: how many jobs it has.
    """
    jobs = Jobs(folder)
    jobs.look()  # what had ended before is not said again
    with _view(jobs, total) if sys.stdout.isatty() else nullcontext() as view:
        while True:
            still = working()  # before the last look
            for one in jobs.look():
                if view is None:
                    print(f"job {one.number}: {one.status} {accuracy_text(one.value)}", flush=True)
            if not still:
                return
            time.sleep(PAUSE)


class Jobs:
    """The jobs of a grid, as their records say.

    Args:
        folder: of the grid.
    """

    def __init__(self, folder: Path) -> None:
        self._folder, self._began = folder, time.time()
        self._ended: dict[int, Trial] = {}
        self._open: dict[int, Trial] = {}

    def look(self) -> list[Trial]:
        """Those that have ended since the last look."""
        found = [(int(path.name), path) for path in jobs_of(self._folder)]
        read = [job(path, number) for number, path in found if number not in self._ended]
        news = [one for one in read if self._has_ended(one)]
        self._ended |= {one.number: one for one in news}
        self._open = {one.number: one for one in read if one.number not in self._ended}
        return news

    def statuses(self) -> list[str]:
        """Of those that have begun."""
        ended = [one.status for one in self._ended.values()]
        return ended + ["running"] * sum(one.status == "running" for one in self._open.values())

    def _has_ended(self, one: Trial) -> bool:
        """Whether it is not trained again: what failed before is."""
        again = one.recorded is None or one.recorded < self._began
        return one.status in FINISHED or not (one.is_open or again)


def _view(jobs: Jobs, total: int) -> Any:
    from fcsweep.terminal.grid_view import GridView

    return GridView(total, jobs.statuses)
