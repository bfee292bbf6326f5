"""Repeats of a trial: jobs that differ in seed or fold alone, and their values as one.

With ``count`` repeats, trial ``n`` has the jobs ``n * count`` to ``n * count + count - 1``. With
``folds`` folds, its repeat ``k`` has the fold ``k % folds``, and the seed of the config plus
``k // folds``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, median

AGGREGATES = ("mean", "median", "worst")
"""How the values of repeats become that of their trial."""

FOLD = "data.fold"
"""The key of the fold that validates."""
HIDDEN = "repeats."
"""What the names of user attributes begin with that hold what concerns repeats alone."""
REACHED, VALUES = f"{HIDDEN}reached", f"{HIDDEN}values"
"""What each repeat has reached at a step; the values of all."""


@dataclass(frozen=True)
class Repeats:
    """How often each trial is trained, with which seeds, and on which folds of the rows."""

    count: int = 1
    """Jobs of a trial."""
    kind: str = "mean"
    """One of `AGGREGATES`."""
    key: str = "seed"
    """Of the seed, as an override has it: ``+seed`` where it was added."""
    seed: int = 0
    """Of the first repeat."""
    folds: int = 1
    """Of the rows; `count` is a multiple."""

    def jobs(self, trial: int) -> range:
        """The numbers of the jobs of a trial."""
        return range(trial * self.count, (trial + 1) * self.count)

    def trial(self, job: int) -> int:
        """The number of the trial of a job."""
        return job // self.count

    def overrides(self, lines: Sequence[str], job: int) -> list[str]:
        """The overrides of a job, from those of its trial."""
        if self.count == 1:
            return list(lines)
        place = job % self.count
        values = {self.key: self.seed + place // self.folds, FOLD: place % self.folds}
        own = {key: values[key] for key in self.keys}
        others = [line for line in lines if line.partition("=")[0] not in own]
        return [*others, *(f"{key}={value}" for key, value in own.items())]

    @property
    def keys(self) -> list[str]:
        """Of what repeats differ in, as overrides have them."""
        seeds = [self.key] if self.count > self.folds else []
        return seeds + ([FOLD] if self.folds > 1 else [])

    def note(self, name: str, job: int) -> str:
        """What the user attribute of a trial is called that holds a note of one job."""
        place = job % self.count
        return f"{HIDDEN}{name}.{place}" if place else name

    def value(self, values: Sequence[float], sign: int) -> float:
        """The value of a trial, from those of its repeats; ``sign`` is 1 where it is to be high."""
        worst = min if sign > 0 else max
        return {"mean": fmean, "median": median, "worst": worst}[self.kind](values)


ONCE = Repeats()
"""No repeats: a trial is a job."""
