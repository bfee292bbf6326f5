"""Which worker trained which runs, and when: the time line of a sweep.

A stack, or a run that trained alone, is one stretch of time: the runs that one process started at
the same moment. The times are those of each machine's clock. Of a resumed run the last worker
counts, and only the time that it took.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import groupby
from typing import TYPE_CHECKING, Any

from fcsweep.analysis.findings import Row, missing, rows_of
from fcsweep.records.formats import Training, training_of

if TYPE_CHECKING:
    import pandas as pd


UNITS = (1.0, "s"), (60.0, "min"), (3600.0, "h"), (86400.0, "d")
MOST_OF_A_UNIT = 200


@dataclass(frozen=True)
class Stack:
    """Runs that trained together; times in seconds since the sweep's first start."""

    start: float
    end: float
    """Of its last run."""
    runs: Sequence[int]
    """Places of its runs in their table."""


@dataclass(frozen=True)
class Worker:
    """A process that trained runs of a sweep."""

    host: str
    process: int
    stacks: Sequence[Stack]
    """By start; at least one."""

    @property
    def start(self) -> float:
        """Of its first stack."""
        return self.stacks[0].start

    @property
    def end(self) -> float:
        """When the last of its stacks ended."""
        return max(stack.end for stack in self.stacks)

    @property
    def idle(self) -> float:
        """The part of its time, from `start` to `end`, in which it trained nothing."""
        trained, until = 0.0, self.start
        for stack in self.stacks:
            trained += max(0.0, stack.end - max(until, stack.start))
            until = max(until, stack.end)
        return 1 - trained / (self.end - self.start) if self.end > self.start else 0.0


@dataclass(frozen=True)
class TimeLine:
    """The workers of a sweep, in the order in which they began."""

    since: datetime
    """The first start of all."""
    workers: Sequence[Worker]

    @property
    def unit(self) -> tuple[float, str]:
        """In which its length, from the first start to the last end, is read: seconds, name."""
        length = max(worker.end for worker in self.workers)
        return next((one for one in UNITS if length < MOST_OF_A_UNIT * one[0]), UNITS[-1])


def time_line(runs: pd.DataFrame | Sequence[Row], now: datetime | None = None) -> TimeLine | None:
    """The time line of the runs of a sweep; None if no record tells who trained it and when.

    Args:
        runs: as `fcsweep.records.load_runs` reads them. Damaged ones are left out.
        now: until when a run that has not ended can have trained; the present if absent.
    """
    until = now or datetime.now(UTC)
    known: list[tuple[Training, datetime, int]] = []
    for place, run in enumerate(rows_of(runs)):
        training = None if run["status"] == "damaged" else training_of(run, "provenance.")
        if training is not None:
            known.append((training, _end(training, run, until), place))
    if not known:
        return None
    since = min(training.started for training, _, _ in known)
    known.sort(key=lambda one: (_who(one[0]), one[0].started, one[2]))
    workers = [
        Worker(*who, _stacks([*own], since))
        for who, own in groupby(known, lambda one: _who(one[0]))
    ]
    return TimeLine(since, sorted(workers, key=lambda worker: worker.start))


def _who(training: Training) -> tuple[str, int]:
    return training.host, training.process


def _end(training: Training, run: Row, until: datetime) -> datetime:
    """When a run ended; of one that has not, or was killed, when it was last heard of."""
    seconds: Any = run.get("seconds")
    if training.ended is not None:
        return max(training.started, training.ended)
    left = max(0.0, (until - training.started).total_seconds())
    return training.started + timedelta(seconds=0 if missing(seconds) else min(left, seconds))


def _stacks(own: Sequence[tuple[Training, datetime, int]], since: datetime) -> Sequence[Stack]:
    found: list[Stack] = []
    for started, some in groupby(own, lambda one: one[0].started):
        ends, places = zip(*((end, place) for _, end, place in some), strict=True)
        start, end = ((time - since).total_seconds() for time in (started, max(ends)))
        found.append(Stack(start, end, places))
    return found
