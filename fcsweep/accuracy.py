"""How many examples a model classifies correctly, and its best epoch so far."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import torch
from torch import Tensor

from fcsweep.kernels.arrays import whole
from fcsweep.kernels.parameters import NamedTensors
from fcsweep.kernels.random_streams import generator

EVALUATION_ROWS = 500
"""Examples scored at once; for one trial as for a stack, so that the bits are the same."""


class Classifier(Protocol):
    """A model that scores examples."""

    trials: torch.Size
    """``()`` for one trial, ``(k,)`` for a stack."""

    def scores(self, X: Tensor) -> Tensor:
        """Scores ``(*t, n, num_classes)`` in test mode."""
        ...


@torch.inference_mode()
def count_correct(
    model: Classifier, X: Tensor, y: Tensor, rows: int = EVALUATION_ROWS
) -> tuple[Tensor, Tensor]:
    """How many examples have their highest score at the label, and whether all scores are finite.

    Args:
        model: one trial, or a stack that shares the examples.
        X: ``(n, ...)``, on the model's device.
        y: ``(n,)``.
        rows: examples scored at once.

    Returns:
        ``(*t,)`` float64, and ``(*t,)`` bool, both on the CPU.
    """
    correct = torch.zeros(model.trials, dtype=torch.long, device=X.device)
    finite = torch.ones(model.trials, dtype=torch.bool, device=X.device)
    for examples, labels in zip(torch.split(X, rows), torch.split(y, rows), strict=True):
        scores = model.scores(examples.reshape(*[1] * len(model.trials), *examples.shape))
        best = scores.max(-1).indices  # argmax takes five times as long
        correct += (best == labels).sum(-1)
        finite &= (scores - scores).sum((-2, -1)).isfinite()  # in half the passes of isfinite
    return correct.cpu().double(), finite.cpu()


def fixed_sample(X: Tensor, y: Tensor, count: int | None) -> tuple[Tensor, Tensor]:
    """The same random rows whatever the seed of a run, so that runs are compared on equal ones."""
    if count is None or whole(count, "the number of samples", least=1) >= len(y):
        return X, y
    rows = torch.randperm(len(y), generator=generator(0, "sample"))[:count].to(X.device)
    return X.index_select(0, rows), y.index_select(0, rows)


class Best:
    """The best epoch of each trial so far, and its parameters.

    Args:
        params: the initial ones, which are the best until the first evaluation.
        objective: ``"val_accuracy"`` or ``"train_accuracy"``: what makes an epoch the best.

    Attributes:
        params: of the best epoch, a copy.
        epoch: its number, ``(*t,)``; 0 before the first evaluation.
        accuracies: the highest of each, ``(*t,)``, whatever its epoch; -1 before the first.
    """

    def __init__(self, params: NamedTensors, objective: str) -> None:
        never = torch.full(params.trials, -1.0, dtype=torch.float64)
        self.accuracies = {"train_accuracy": never, "val_accuracy": never.clone()}
        if objective not in self.accuracies:
            raise ValueError(f"objective is {objective!r}; expected val_accuracy or train_accuracy")
        self.params, self._objective = params.clone(), objective
        self.epoch = torch.zeros(params.trials, dtype=torch.long)

    def update(
        self, epoch: int, accuracies: Mapping[str, Tensor], finite: Tensor, params: NamedTensors
    ) -> None:
        """Update with an evaluated epoch, for the trials that are ``finite (*t,)``."""
        better = finite & (accuracies[self._objective] > self.accuracies[self._objective])
        for name, accuracy in accuracies.items():
            highest = torch.maximum(self.accuracies[name], accuracy)
            self.accuracies[name] = torch.where(finite, highest, self.accuracies[name])
        self.epoch[better] = epoch
        if better.any():
            trials = better.reshape(-1, 1).to(params.device)
            for best, p in zip(self.params.blocks, params.blocks, strict=True):
                torch.where(trials, p, best, out=best)

    def keep(self, trials: list[int]) -> None:
        """Drop all other trials of a stack."""
        self.params, self.epoch = self.params.select(trials), self.epoch[trials]
        self.accuracies = {name: best[trials] for name, best in self.accuracies.items()}
