"""What is known of a sweep at one moment."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

OPEN = ("running", "interrupted", "waiting", "missing")
"""Statuses of what has not ended."""


@dataclass(frozen=True)
class Trial:
    """A trial of a search, or a job of a grid, that has begun."""

    number: int
    status: str
    """As recorded; also one whose process was killed is ``running`` there."""
    value: float | None = None
    """Its objective; the best so far of one that runs; None without one that counts."""
    params: Mapping[str, Any] = field(default_factory=dict[str, Any])
    start: float | None = None
    end: float | None = None
    """In seconds since 1970; None where that is not known, or not yet."""
    epoch: int | None = None
    """Epochs trained, or the last step that was reported."""
    epochs: int | None = None
    """Of how many; None where nothing says so."""
    objective: str | None = None
    """What it is judged by, as its record names it."""
    recorded: float | None = None
    """When its record was last written, in seconds since 1970."""

    @property
    def is_open(self) -> bool:
        """Whether it has not ended."""
        return self.status in OPEN

    @property
    def share(self) -> float:
        """How much of it is done, in [0, 1]; 0 where that is not known."""
        return min((self.epoch or 0) / self.epochs, 1.0) if self.epochs else 0.0


@dataclass(frozen=True)
class Worker:
    """A process that works on a sweep."""

    number: int
    """From 1, by the start of their processes."""
    host: str
    pid: int
    state: str
    """``alive``; ``stopped`` by a signal; ``silent`` for longer than the lease; ``elsewhere``: on
    another machine, from which nothing is heard but its records."""
    seen: float | None
    """Seconds since its last sign of life; None where none is known."""
    work: Sequence[int]
    """Numbers of the trials that it works on and that have not ended."""


@dataclass(frozen=True)
class Standing:
    """Where a sweep stands."""

    name: str
    kind: str
    """``search``, ``grid`` or ``run``."""
    folder: Path | None
    """None where it is not known, or on another machine."""
    total: int | None
    """How many trials there are to be; None where nothing says so."""
    trials: Sequence[Trial]
    """Those that have begun, by number."""
    workers: Sequence[Worker]
    now: float
    """When it was read, in seconds since 1970."""
    best: Trial | None = None
    target: float | None = None
    """Value at which the search stops."""
    over: bool = False
    """Whether nothing more will be asked, though there are fewer trials than there were to be."""
    digits: str = ".4g"
    """How a value is shown: a format."""
    remarks: Sequence[str] = ()
    """What could not be read."""

    @property
    def done(self) -> Sequence[Trial]:
        """The trials that have ended."""
        return [one for one in self.trials if not one.is_open]

    @property
    def running(self) -> Sequence[Trial]:
        """The trials that a living worker works on."""
        work = {number for worker in self.workers for number in worker.work}
        return [one for one in self.trials if one.is_open and one.number in work]

    @property
    def left(self) -> int:
        """Trials that have begun, and that no worker works on now."""
        return len(self.trials) - len(self.done) - len(self.running)

    @property
    def to_go(self) -> int | None:
        """Trials that have not begun; None where nothing says how many."""
        if self.over:
            return 0
        return None if self.total is None else max(self.total - len(self.trials), 0)

    @property
    def counts(self) -> Mapping[str, int]:
        """The trials that have ended, by status."""
        return Counter(one.status for one in self.done)

    @property
    def state(self) -> str:
        """``running``, ``ended`` or ``stopped`` before its end."""
        if any(worker.state != "silent" for worker in self.workers):
            return "running"
        ended = not self.left and (self.over or (self.trials and not self.to_go))
        return "ended" if ended else "stopped"

    @property
    def code(self) -> int:
        """The exit code that tells it: see ``python -m fcsweep.status --help``."""
        if self.state == "ended":
            return 5 if self.counts.get("failed") or self.counts.get("damaged") else 0
        return 3 if self.state == "running" else 4
