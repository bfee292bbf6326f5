"""How many trials of a grid train together: a guess first, then what took least CPU time.

The guess is a rule about caches (`grouping.limits`), and no rule fits every processor. A grid finds
out, because the bits of a trial do not depend on its stack. A search does not learn: what a pruner
knows when it decides depends on which trials have reported before.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Mapping, Sequence

from fcsweep.config import RunConfig
from fcsweep.launchers.grouping import common_values, largest, limits

FEWEST = 4
"""Trials to begin with, where that many fit: no fewer were faster in any measurement."""

MULTIPLES = (1, 2, 4)
"""Of the first size: what is compared."""

GAIN = 0.9
"""The CPU time of a size that is preferred to a smaller one, as a share of the smaller one's."""


class Learning:
    """The stack size of one kind of trial.

    Args:
        sizes: to compare, the smallest first. Its first stack does not count: it loads what all
            others find loaded.
    """

    def __init__(self, sizes: Sequence[int]) -> None:
        self.sizes = sizes
        self._untried = [sizes[0], *sizes] if len(sizes) > 1 else []
        self._seconds: dict[int, float] = {}

    @property
    def best(self) -> int:
        """The size that has taken least CPU time, or the first."""
        best = self.sizes[0]
        for size in self.sizes[1:]:
            if size in self._seconds and self._seconds[size] < GAIN * self._seconds[best]:
                best = size
        return best

    def next(self, left: int) -> int:
        """Trials of the next stack: a size that is still to be compared, while that can pay.

        Args:
            left: trials that are not trained yet; >= 1.
        """
        if self._untried and left >= 2 * self._untried[0]:
            return self._untried[0]
        self._untried.clear()
        stacks = -(-left // self.best)
        return left // stacks

    def add(self, trials: int, seconds: float) -> None:
        """What a stack of so many trials took, in CPU seconds a trial and epoch."""
        if self._untried and trials == self._untried[0]:
            self._seconds[self._untried.pop(0)] = seconds  # the second stack replaces the first


class StackSizes:
    """Trials in a stack, for each kind of trial of a sweep.

    Args:
        given: ``hydra.launcher.max_trials``; None for as many as are fastest.

    Attributes:
        given: as above.
    """

    def __init__(self, given: int | None) -> None:
        self.given = given
        self._kinds: dict[Hashable, Learning] = {}

    def most(self, config: RunConfig) -> int:
        """Trials of a stack of those launched at once; what a plan has formed, it leaves whole."""
        planned = self._kinds.get(common_values(config))
        return planned.sizes[-1] if planned else self.given or largest(config)

    def learn(self, config: RunConfig, share: int) -> Learning:
        """The size for trials like this one, from what their stacks take; a share is the most."""
        kind = common_values(config)
        if kind not in self._kinds:
            self._kinds[kind] = Learning(self._sizes(config, share))
        return self._kinds[kind]

    def add(self, config: RunConfig, trials: int, seconds: float) -> None:
        """What a stack of such trials took, in CPU seconds a trial and epoch."""
        if kind := self._kinds.get(common_values(config)):
            kind.add(trials, seconds)

    def _sizes(self, config: RunConfig, share: int) -> list[int]:
        if self.given is not None:
            return [min(self.given, share)]
        guess, most = limits(config)
        most = min(most, share)
        first = min(max(guess, FEWEST), most)
        return [first * multiple for multiple in MULTIPLES if first * multiple <= most]


class Plan:
    """Which jobs of a grid train together next.

    Args:
        configs: of the jobs, by number.
        sizes: of the stacks.
        workers: processes that share the jobs: there is a stack for each, if there are as many
            jobs.
    """

    def __init__(self, configs: Mapping[int, RunConfig], sizes: StackSizes, workers: int) -> None:
        self._kinds = {number: common_values(config) for number, config in configs.items()}
        alike = Counter(self._kinds.values())
        one_of = {self._kinds[number]: config for number, config in configs.items()}
        self._sizes = {
            kind: sizes.learn(config, -(-alike[kind] // workers)) for kind, config in one_of.items()
        }

    def __call__(self, free: Sequence[int]) -> list[int]:
        """Numbers of jobs to train together, of those that nobody has; none if there are none."""
        if not free:
            return []
        kind = self._kinds[free[0]]
        alike = [number for number in free if self._kinds[number] == kind]
        return alike[: self._sizes[kind].next(len(alike))]
