"""How many examples a model classifies correctly, at which loss, and its best epoch so far."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from fcsweep.kernels.arrays import whole
from fcsweep.kernels.parameters import NamedTensors, Parameters, PerTrial, limits
from fcsweep.kernels.random_streams import generator
from fcsweep.losses import Arithmetic, mean_loss

EVALUATION_ROWS = 500
"""Examples scored at once; for one trial as for a stack, so that the bits are the same."""

GPU_SHARE = 16
"""Of a GPU's memory, the part that the outputs of an evaluation may fill."""


class Classifier(Protocol):
    """A model that scores examples."""

    trials: torch.Size
    """``()`` for one trial, ``(k,)`` for a stack."""

    @property
    def arithmetic(self) -> Arithmetic | None:
        """Of its loss without the L2 term; None where that is not known."""
        ...

    def scores(self, X: Tensor) -> Tensor:
        """Scores ``(*t, n, num_classes)`` in test mode."""
        ...


@dataclass(frozen=True)
class Evaluation:
    """A model, or each of a stack, on the same examples; all on the CPU."""

    rows: int
    """How many examples there are."""
    correct: Tensor
    """``(*t,)`` float64: how many have their highest score at the label."""
    finite: Tensor
    """``(*t,)`` bool: whether all scores are."""
    loss: Tensor | None
    """``(*t,)`` float64: the mean without the L2 term; None if not asked for, or not known."""

    @property
    def accuracy(self) -> Tensor:
        """Fractions, ``(*t,)`` float64."""
        return self.correct / self.rows


@torch.inference_mode()
def evaluate_on(
    X: Tensor, y: Tensor, model: Classifier, rows: int = EVALUATION_ROWS, *, with_loss: bool = False
) -> Evaluation:
    """Score examples in test mode.

    Args:
        X: ``(n, ...)``, on the model's device.
        y: ``(n,)``.
        model: one trial, or a stack that shares the examples.
        rows: examples scored at once.
        with_loss: whether to compute the loss, too, from the same scores.
    """
    correct = torch.zeros(model.trials, dtype=torch.float64, device=X.device)
    finite = torch.ones(model.trials, dtype=torch.bool, device=X.device)
    arithmetic = model.arithmetic if with_loss else None
    losses = torch.zeros(model.trials, dtype=torch.float64, device=X.device)
    for examples, labels in zip(torch.split(X, rows), torch.split(y, rows), strict=True):
        scores = model.scores(examples.reshape(*[1] * len(model.trials), *examples.shape))
        best = scores.max(-1).indices  # argmax takes five times as long
        correct += (best == labels).sum(-1)
        finite &= (scores - scores).sum((-2, -1)).isfinite()  # in half the passes of isfinite
        if arithmetic is not None:
            losses += mean_loss(arithmetic, scores, labels).double() * len(labels)
    correct, is_finite, sums = torch.stack([correct, finite, losses]).cpu()  # one wait for a GPU
    return Evaluation(len(y), correct, is_finite.bool(), sums / len(y) if arithmetic else None)


def rows_at_once(params: NamedTensors) -> int:
    """Examples to score at once: more on a GPU, where few rows of small nets leave it idle.

    By the size of its memory, not by what is free of it: the bits of a loss depend on the number.

    Args:
        params: of the model; those of a net tell how many outputs an example has.
    """
    if params.device.type != "cuda" or not isinstance(params, Parameters):
        return EVALUATION_ROWS
    memory = torch.cuda.get_device_properties(params.device).total_memory
    example = 3 * params.trials.numel() * sum(params.dims[1:]) * params.dtype.itemsize
    return max(EVALUATION_ROWS, memory // GPU_SHARE // example)


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
        patience: evaluations without a better one after which none is the best any more; may be one
            a trial. None: without end.
        every: epochs from one evaluation to the next.

    Attributes:
        params: of the best epoch, a copy.
        epoch: its number, ``(*t,)``; 0 before the first evaluation.
        accuracies: the highest of each, ``(*t,)``, whatever its epoch; -1 before the first.
    """

    def __init__(
        self,
        params: NamedTensors,
        objective: str,
        patience: PerTrial | None = None,
        every: int = 1,
    ) -> None:
        never = torch.full(params.trials, -1.0, dtype=torch.float64)
        self.accuracies = {"train_accuracy": never, "val_accuracy": never.clone()}
        if objective not in self.accuracies:
            raise ValueError(f"objective is {objective!r}; expected val_accuracy or train_accuracy")
        self.params, self._objective = params.clone(), objective
        self.epoch = torch.zeros(params.trials, dtype=torch.long)
        self._patience, self._every = limits(patience, "patience").expand(params.trials), every

    def update(
        self, epoch: int, accuracies: Mapping[str, Tensor], finite: Tensor, params: NamedTensors
    ) -> None:
        """Update with an evaluated epoch, for the trials that are ``finite (*t,)``."""
        counted = finite & (self._waited(epoch) <= self._patience)
        better = counted & (accuracies[self._objective] > self.accuracies[self._objective])
        for name, accuracy in accuracies.items():
            highest = torch.maximum(self.accuracies[name], accuracy)
            self.accuracies[name] = torch.where(counted, highest, self.accuracies[name])
        self.epoch[better] = epoch
        if better.any():
            trials = better.reshape(-1, 1).to(params.device)
            for best, p in zip(self.params.all_blocks, params.all_blocks, strict=True):
                torch.where(trials, p, best, out=best)

    def stalled(self, epoch: int) -> Tensor:
        """Whether ``patience`` has ended with an epoch that has been evaluated, ``(*t,)``."""
        return self._waited(epoch) >= self._patience

    def _waited(self, epoch: int) -> Tensor:
        """Evaluations after the best one up to an epoch, ``(*t,)``."""
        return epoch // self._every - self.epoch // self._every

    def keep(self, trials: list[int]) -> None:
        """Drop all other trials of a stack."""
        self.params, self.epoch = self.params.select(trials), self.epoch[trials]
        self.accuracies = {name: best[trials] for name, best in self.accuracies.items()}
        self._patience = self._patience[trials]
