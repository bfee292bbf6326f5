"""What is told of trials while they train, and to whom."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from fcsweep.records.formats import HistoryRow, Result


@dataclass(frozen=True)
class Report:
    """What a hook is told of a trial after an epoch."""

    trial: int
    """Its position in the ``configs`` of ``run_many``."""
    row: HistoryRow
    result: Result
    """So far; it goes on to change."""


OnEpoch = Callable[[Sequence[Report]], Collection[int]]
"""Told of all trials that are still training, at once; returns the positions of those to prune."""
