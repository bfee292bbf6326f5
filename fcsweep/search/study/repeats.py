"""Repeats of a trial: jobs that differ in their seed alone, and their values as one.

With ``count`` repeats, trial ``n`` has the jobs ``n * count`` to ``n * count + count - 1``, and the
seed of its repeat ``k`` is that of the config plus ``k``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, median

AGGREGATES = ("mean", "median", "worst")
"""How the values of repeats become that of their trial."""

HIDDEN = "repeats."
"""What the names of user attributes begin with that hold what concerns repeats alone."""
REACHED, VALUES = f"{HIDDEN}reached", f"{HIDDEN}values"
"""What each repeat has reached at a step; the values of all."""


@dataclass(frozen=True)
class Repeats:
    """How often each trial is trained, and with which seeds."""

    count: int = 1
    """Jobs of a trial."""
    kind: str = "mean"
    """One of `AGGREGATES`."""
    key: str = "seed"
    """Of the seed, as an override has it: ``+seed`` where it was added."""
    seed: int = 0
    """Of the first repeat."""

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
        others = [line for line in lines if line.partition("=")[0] != self.key]
        return [*others, f"{self.key}={self.seed + job % self.count}"]

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
