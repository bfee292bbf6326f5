"""Events of training, and who receives them.

Two roles: an `Observer` only listens (displays, trackers); one function, `OnEpoch`, decides which
trials are pruned.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from fcsweep.config import RunConfig
from fcsweep.records.formats import HistoryRow, Result


@dataclass(frozen=True)
class Report:
    """A trial after an epoch."""

    trial: int
    """Its position in the ``configs`` of ``run_many``."""
    row: HistoryRow
    result: Result
    """So far; training changes it further."""


OnEpoch = Callable[[Sequence[Report]], Collection[int]]
"""Gets one report for each trial still training; returns the positions of those to prune."""


class Observer:
    """Receives the events of training; a subclass overrides those it needs.

    ``run_many`` enters it before the first event and leaves it however training ends.
    """

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        """Release what the observer holds, such as the terminal."""

    def started(self, configs: Sequence[RunConfig], folders: Sequence[Path]) -> None:
        """Training starts."""

    def epoch(self, reports: Sequence[Report]) -> None:
        """All trials still training have trained and recorded an epoch.

        Epochs that are retrained after running out of memory are reported again.
        """

    def ended(self, results: Sequence[Result]) -> None:
        """Training has finished; not called after a signal or after an error of a lone run."""
