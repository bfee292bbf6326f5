"""What looks on while trials train, and may prune them: functions called after each epoch."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

from fcsweep.records import HistoryRow, Result


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

Prune = Callable[[Mapping[int, float], int], Collection[int]]
"""Told of the objectives so far, by job number, and of the epoch; returns the numbers to prune."""


def all_of(*hooks: OnEpoch) -> OnEpoch:
    """One hook of several: each is told, and what any of them prunes is pruned."""

    def hook(reports: Sequence[Report]) -> Collection[int]:
        return {trial for each in hooks for trial in each(reports)}

    return hook


def pruned_by(prune: Prune, numbers: Sequence[int]) -> OnEpoch:
    """The hook by which a search decides, after each evaluation, which trials go on.

    Args:
        prune: hears of every trial of the stack that has a value before it decides on any.
        numbers: the job number of each position.
    """

    def hook(reports: Sequence[Report]) -> Collection[int]:
        values = {
            numbers[report.trial]: report.result.value
            for report in reports
            if report.row.val_accuracy is not None and report.result.value is not None
        }
        if not values:  # not evaluated after this epoch, or all have diverged
            return ()
        pruned = set(prune(values, reports[0].row.epoch))
        return [report.trial for report in reports if numbers[report.trial] in pruned]

    return hook
