"""Learning-rate schedules: the rate of an epoch, relative to that of the epoch before.

``"constant"``
    keeps the rate.
``"step"``
    multiplies it by ``lr_decay`` after every ``decay_every`` epochs: with 1, by the courses'
    ``lr_decay``; with ``lr_decay`` 1 it is constant.
``"cosine"``
    lets it fall along half a cosine, to 0 after the last epoch (Loshchilov and Hutter, 2017).

With ``warmup``, each starts with so many epochs in which the rate rises linearly (Goyal et al.,
2017): ``1 / (warmup + 1)`` of it, ``2 / (warmup + 1)`` and so on.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from fcsweep.kernels.arrays import plain, tensor, whole
from fcsweep.kernels.parameters import PerTrial
from fcsweep.kernels.python_numbers import numbers

SCHEDULES = ("constant", "step", "cosine")


@dataclass(frozen=True)
class Schedule:
    """The schedule of one trial."""

    name: str
    lr_decay: float
    decay_every: int
    warmup: int
    num_epochs: int

    def factor(self, epoch: int) -> float:
        """The rate of an epoch over that of the one before; of epoch 1, over the given rate."""
        decays = self.name == "step" and epoch > 1 and (epoch - 1) % self.decay_every == 0
        before, now = self._share(epoch - 1), self._share(epoch)
        return (self.lr_decay if decays else 1.0) * (now / before if before else 1.0)

    def _share(self, epoch: int) -> float:
        """What warm-up and cosine leave of the rate in an epoch."""
        if epoch == 0:
            return 1.0
        if epoch <= self.warmup:
            return epoch / (self.warmup + 1)
        if self.name != "cosine":
            return 1.0
        past, length = epoch - 1 - self.warmup, self.num_epochs - self.warmup
        return (1 + math.cos(math.pi * past / length)) / 2 if past < length else 0.0


class Schedules:
    """The schedules of the trials of a stack.

    Args:
        schedule: ``"constant"``, ``"step"`` or ``"cosine"``; these may each have one value a trial.
        lr_decay: factor of ``"step"``.
        decay_every: epochs from one decay to the next, >= 1.
        warmup: epochs in which the rate rises, >= 0.
        num_epochs: of the training.

    Raises:
        ValueError: a value out of its range.
        TypeError: a value of another type.
    """

    def __init__(
        self,
        schedule: str | Sequence[str],
        lr_decay: PerTrial,
        decay_every: int | Sequence[int],
        warmup: int | Sequence[int],
        num_epochs: int,
    ) -> None:
        given = schedule, tensor(lr_decay, "lr_decay"), decay_every, warmup
        columns = [_column(value) for value in given]
        lengths = {len(column) for column in columns if len(column) > 1}
        if len(lengths) > 1:
            raise ValueError(f"schedules for {sorted(lengths)} trials; expected one number of them")
        count = max(lengths, default=1)
        rows = zip(*(one * (count if len(one) == 1 else 1) for one in columns), strict=True)
        self._trials = [_of_trial(row, num_epochs) for row in rows]

    def factor(self, epoch: int) -> Tensor:
        """``Schedule.factor`` of each trial, ``(*t,)``; ``()`` where there is one schedule."""
        factors = [one.factor(epoch) for one in self._trials]
        return torch.tensor(factors, dtype=torch.float64).squeeze()

    def keep(self, trials: list[int]) -> None:
        """Let the other trials of a stack go; positions count from 0."""
        if len(self._trials) > 1:
            self._trials = [self._trials[k] for k in trials]


def _column(value: Any) -> list[Any]:
    """One value a trial, or one for all."""
    given: Any = numbers(value) if isinstance(value, Tensor) else plain(value)
    return [given] if isinstance(given, str) or not isinstance(given, Sequence) else [*given]


def _of_trial(row: tuple[Any, ...], num_epochs: int) -> Schedule:
    name, lr_decay, decay_every, warmup = row
    if name not in SCHEDULES:
        raise ValueError(f"schedule is {name!r}; expected one of {[*SCHEDULES]}")
    every, warm = whole(decay_every, "decay_every", least=1), whole(warmup, "warmup", least=0)
    return Schedule(name, float(lr_decay), every, warm, num_epochs)
