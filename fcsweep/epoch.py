"""What the Solver knows after an epoch."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from fcsweep.kernels.python_numbers import OneOrEach, each, numbers


@dataclass(frozen=True)
class Epoch:
    """What is known after an epoch; numbers are floats for one trial, lists for a stack."""

    number: int
    """From 1."""
    step: int
    """Updates since the start of training."""
    losses: Tensor
    """``(steps, *t)`` on the CPU: the loss of each minibatch of this epoch, with the L2 term."""
    learning_rate: OneOrEach[float]
    """Used in this epoch."""
    train_accuracy: OneOrEach[float] | None
    """Fractions; None where not evaluated."""
    val_accuracy: OneOrEach[float] | None
    val_loss: OneOrEach[float] | None
    """Mean over the validation rows, without L2 term, smoothing or class weights; None also if not
    known."""
    diverged_at: OneOrEach[int | None]
    """Step (from 1) of the first loss that is not finite, or the last step where a score is not."""
    train_value: OneOrEach[float] | None = None
    """The objective, where it is neither an accuracy nor the loss; None as the accuracies."""
    val_value: OneOrEach[float] | None = None
    stalled: OneOrEach[bool] = False
    """Whether the Solver's ``patience`` has ended: training is over, though not all epochs are."""

    @property
    def loss(self) -> OneOrEach[float]:
        """Mean over the steps of the epoch."""
        columns = self.losses.double().movedim(0, -1).contiguous()
        means = [column.numpy().mean() for column in columns.reshape(-1, columns.shape[-1])]
        return numbers(torch.tensor(means, dtype=torch.float64).reshape(columns.shape[:-1]))

    def lines(self, num_epochs: int, steps: int, every: int, acc_every: int) -> Iterator[str]:
        """What the courses' Solvers print, of that many epochs and steps in all."""
        for step, loss in enumerate(numbers(self.losses), start=self.step - len(self.losses)):
            if step % every == 0:
                yield f"(Step {step + 1} / {steps}) loss: {loss}"
        if self.evaluated and self.number % acc_every == 0:
            told = f"train acc: {self.train_accuracy}; val acc: {self.val_accuracy}"
            told = told if self.val_accuracy is not None else f"val loss: {self.val_loss}"
            yield f"(Epoch {self.number} / {num_epochs}) {told}"

    @property
    def evaluated(self) -> bool:
        """Whether the epoch was evaluated."""
        return self.val_accuracy is not None or self.val_loss is not None

    @property
    def all_ended(self) -> bool:
        """Whether each trial has diverged or stalled."""
        ends = zip(each(self.diverged_at), each(self.stalled), strict=True)
        return all(step is not None or stalled for step, stalled in ends)


def none_for_zero(steps: Tensor) -> OneOrEach[int | None]:
    """Steps ``(*t,)`` as numbers, None where there is 0."""
    flat = [step or None for step in each(numbers(steps))]
    return flat if steps.ndim else flat[0]


def none_or_numbers(values: Tensor | None) -> Any:
    """A number, or a list with one a trial; None of what was not evaluated."""
    return None if values is None else numbers(values)
