"""What is told of trials while they train, and to whom.

Two roles: an `Observer` is told and answers nothing (displays, trackers); one function, `OnEpoch`,
decides which trials are pruned.
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
"""Told of all trials that are still training, at once; returns the positions of those to prune."""


class Observer:
    """Is told how trials get on; a subclass overrides what it wants to hear.

    ``run_many`` enters it before the first event and leaves it however training ends.
    """

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        """Release what the observer holds, such as the terminal."""

    def started(self, configs: Sequence[RunConfig], folders: Sequence[Path]) -> None:
        """Training starts."""

    def epoch(self, reports: Sequence[Report]) -> None:
        """An epoch was trained and recorded, of all trials that were still training.

        After a lack of memory the epochs that are trained again are told again.
        """

    def ended(self, results: Sequence[Result]) -> None:
        """Training came to its end: not after a signal, nor after an error of a lone run."""
