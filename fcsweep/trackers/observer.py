"""Report trials to trackers as they train. A tracker that fails costs one line, never a trial."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

from fcsweep.config import RunConfig
from fcsweep.messages.wording import one_line
from fcsweep.records.events import Observer, Report
from fcsweep.records.formats import Result
from fcsweep.records.reader import look
from fcsweep.system.signals import end_if_asked
from fcsweep.trackers.contents import Row, Tracked, end_of, metrics, rows_of, run_in
from fcsweep.trackers.tracker import Tracker, open_tracker

SECONDS = 1.0
"""Between two reports to trackers: an epoch may take a hundredth of it."""

_FAILED: set[tuple[str, Path]] = set()
"""Trackers that have failed in this process, each with the folder of the sweep."""


class _TrackedTrial:
    """A trial, and what has been reported of it."""

    def __init__(self, run: Tracked) -> None:
        self.run = run
        self.epochs, self.rows = 0, list[Row]()
        self.result: Result | None = None

    def add(self, report: Report) -> None:
        """Add an epoch once; for a resumed run, also the epochs before it."""
        if report.row.epoch <= self.epochs:
            return
        before = rows_of(self.run.folder)[: report.row.epoch - 1] if not self.epochs else ()
        rows, objective = (*before, report.row), report.result.objective
        self.rows += [metrics(row, objective) for row in rows]
        self.epochs, self.result = report.row.epoch, report.result

    @property
    def ended(self) -> bool:
        return self.result is not None and self.result.status != "running"


class Tracking(Observer):
    """Tells trackers of every trial: its parameters, each epoch, how it ended.

    Args:
        names: of the trackers.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self._names = names
        self._trackers: dict[str, Tracker] = {}
        self._trials: dict[int, _TrackedTrial] = {}
        self._last = time.monotonic()

    def started(self, configs: Sequence[RunConfig], folders: Sequence[Path]) -> None:
        """Open the trackers, and begin a run for each trial."""
        self._sweep = folders[0].parent
        each = enumerate(zip(configs, folders, strict=True))
        self._trials = {
            place: _TrackedTrial(run_in(folder, asdict(c))) for place, (c, folder) in each
        }
        for name in self._names:
            if (name, self._sweep) not in _FAILED:
                self._attempt(name, lambda name=name: self._open(name))

    def _open(self, name: str) -> None:
        self._trackers[name] = open_tracker(name)
        for trial in self._trials.values():
            self._trackers[name].start(trial.run)

    def epoch(self, reports: Sequence[Report]) -> None:
        """Note an epoch; once a second, tell it."""
        for report in reports if self._trackers else ():
            self._trials[report.trial].add(report)
        if time.monotonic() - self._last >= SECONDS:
            self._tell()
            self._last = time.monotonic()

    def __exit__(self, *error: object) -> None:
        """Tell what is left, and end every run as its record says."""
        self._tell(all_ended=True)

    def _tell(self, all_ended: bool = False) -> None:
        ended = [place for place, trial in self._trials.items() if trial.ended or all_ended]
        for name in list(self._trackers):
            self._attempt(name, lambda name=name: self._tell_one(self._trackers[name], ended))
        for trial in self._trials.values():
            trial.rows = []
        for place in ended:
            del self._trials[place]

    def _tell_one(self, tracker: Tracker, ended: Sequence[int]) -> None:
        for place, trial in self._trials.items():
            if trial.rows:
                tracker.log(trial.run, trial.rows)
            if place in ended:
                tracker.end(trial.run, end_of(look(trial.run.folder).result))

    def _attempt(self, name: str, call: Callable[[], None]) -> None:
        """Call a tracker; one that fails prints one line and is disabled for this sweep."""
        try:
            call()
        except Exception as error:
            end_if_asked()  # what a signal raised may have become another error
            self._trackers.pop(name, None)
            _FAILED.add((name, self._sweep))
            what = f"warning: {name} is disabled for this sweep: {one_line(error)}"
            print(f"{what} (python -m fcsweep.export_to {name} does it later)", file=sys.stderr)


def observers_of(config: RunConfig) -> list[Observer]:
    """The observers of a run, in addition to its display."""
    return [Tracking(config.tracker)] if config.tracker else []
