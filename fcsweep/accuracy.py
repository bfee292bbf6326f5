"""How many examples a model classifies correctly, at which loss, and its best epoch so far."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol, cast

import torch
from torch import Tensor

from fcsweep.kernels.arrays import whole
from fcsweep.kernels.parameters import NamedTensors, Parameters, PerTrial, limits
from fcsweep.kernels.random_streams import generator
from fcsweep.losses import Arithmetic, mean_loss
from fcsweep.metrics import IN_UNITS, METRICS, Metric
from fcsweep.objectives import OBJECTIVES

EVALUATION_ROWS = 500
"""Examples scored at once; for one trial as for a stack, so that the bits are the same."""

GPU_SHARE = 16
"""Of a GPU's memory, the part that the outputs of an evaluation may fill."""


class Classifier(Protocol):
    """A model that scores examples."""

    trials: torch.Size
    """``()`` for one trial, ``(k,)`` for a stack."""

    num_classes: int
    """Scores an example gets."""
    regresses: bool
    """Whether its only score is a number, not that of a class."""

    @property
    def params(self) -> Any:
        """All parameters: ``NamedTensors``."""
        ...

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
    """``(*t,)`` float64: how many have their highest score at the label; of no use for numbers."""
    finite: Tensor
    """``(*t,)`` bool: whether all scores are."""
    loss: Tensor | None
    """``(*t,)`` float64: the mean without the L2 term; None if not asked for, or not known."""
    measured: Tensor | None = None
    """``(*t,)`` float64: the metric, if one was asked for."""

    of_numbers: bool = False
    """Whether the model regresses: then there is no accuracy."""

    @property
    def accuracy(self) -> Tensor | None:
        """Fractions, ``(*t,)`` float64; None of regression."""
        return None if self.of_numbers else self.correct / self.rows


@torch.inference_mode()
def evaluate_on(
    X: Tensor,
    y: Tensor,
    model: Classifier,
    rows: int = EVALUATION_ROWS,
    *,
    with_loss: bool = False,
    metric: Metric | None = None,
) -> Evaluation:
    """Score examples in test mode.

    Args:
        X: ``(n, ...)``, on the model's device.
        y: ``(n,)``.
        model: one trial, or a stack that shares the examples.
        rows: examples scored at once.
        with_loss: whether to compute the loss, too, from the same scores.
        metric: what else to compute of them.
    """
    correct = torch.zeros(model.trials, dtype=torch.float64, device=X.device)
    finite = torch.ones(model.trials, dtype=torch.bool, device=X.device)
    arithmetic = model.arithmetic if with_loss else None
    losses = torch.zeros(model.trials, dtype=torch.float64, device=X.device)
    found = list[Tensor]()
    for examples, labels in zip(torch.split(X, rows), torch.split(y, rows), strict=True):
        scores = model.scores(examples.reshape(*[1] * len(model.trials), *examples.shape))
        best = scores.max(-1).indices  # argmax takes five times as long
        correct += (best == labels).sum(-1)
        finite &= (scores - scores).sum((-2, -1)).isfinite()  # in half the passes of isfinite
        if arithmetic is not None:
            losses += mean_loss(arithmetic, scores, labels).double() * len(labels)
        if metric is not None:
            found.append(metric.of_each(scores, labels))
    measured = metric and metric.of_all(torch.cat(found, -1).cpu(), y.cpu(), model.num_classes)
    correct, is_finite, sums = torch.stack([correct, finite, losses]).cpu()  # one wait for a GPU
    loss = sums / len(y) if arithmetic else None
    of_numbers = y.is_floating_point()
    return Evaluation(len(y), correct, is_finite.bool(), loss, measured, of_numbers)


def rows_at_once(params: NamedTensors) -> int:
    """Examples to score at once: more on a GPU, where few rows of small nets leave it idle.

    By the size of its memory, not by what is free of it: the bits of a loss depend on the number.

    Args:
        params: of the model; those of a net tell how many outputs an example has.
    """
    if params.device.type != "cuda" or not isinstance(params, Parameters):
        return EVALUATION_ROWS
    cuda = cast("Any", torch.cuda)  # it has no types
    memory: int = cuda.get_device_properties(params.device).total_memory
    example = 3 * params.trials.numel() * sum(params.dims[1:]) * params.dtype.itemsize
    return max(EVALUATION_ROWS, memory // GPU_SHARE // example)


def fixed_sample(X: Tensor, y: Tensor, count: int | None) -> tuple[Tensor, Tensor]:
    """The same random rows whatever the seed of a run, so that runs are compared on equal ones."""
    if count is None or whole(count, "the number of samples", least=1) >= len(y):
        return X, y
    rows = torch.randperm(len(y), generator=generator(0, "sample"))[:count].to(X.device)
    return X.index_select(0, rows), y.index_select(0, rows)


def classes_of(model: Classifier) -> int | None:
    """How many classes a model tells apart; None where it regresses."""
    return None if model.regresses else model.num_classes


def objective_of(model: Classifier, name: str | None) -> str:
    """The objective by which a model is judged: that of the name, or the usual one.

    Raises:
        ValueError: no such one, one of the other task, or a loss that is not known.
    """
    name = name or ("val_loss" if model.regresses else "val_accuracy")
    task = "regression" if model.regresses else "classification"
    fitting = [one.name for one in OBJECTIVES.values() if one.task in (task, None)]
    if name not in fitting:
        raise ValueError(f"objective is {name!r}; expected one of {fitting}")
    if name == "val_loss" and model.arithmetic is None:
        raise ValueError(f"objective is {name!r}; the loss of this model is its own")
    return name


class Best:
    """The best epoch of each trial so far, and its parameters.

    Args:
        model: its parameters are the best until the first evaluation.
        objective: what makes an epoch the best; see `objective_of`.
        patience: evaluations without a better one after which none is the best any more; may be one
            a trial. None: without end.
        every: epochs from one evaluation to the next.
        target_scale: by which a metric in the unit of the target is multiplied.

    Attributes:
        metric: to be evaluated, too; None where the objective is an accuracy or the loss.
        params: of the best epoch, a copy.
        epoch: its number, ``(*t,)``; 0 before the first evaluation.
        values: the best of each accuracy, and of another objective, ``(*t,)``, whatever its epoch;
            before the first -1, or the worst there is.
    """

    def __init__(
        self,
        model: Classifier,
        objective: str | None,
        patience: PerTrial | None = None,
        every: int = 1,
        target_scale: float = 1.0,
    ) -> None:
        objective, params = objective_of(model, objective), model.params
        never = torch.full(params.trials, -1.0, dtype=torch.float64)
        self.values = {"train_accuracy": never, "val_accuracy": never.clone()}
        if objective not in self.values:
            self.values[objective] = never * OBJECTIVES[objective].sign * torch.inf
        self.params, self._objective = params.clone(), objective
        known = METRICS.get(objective)
        self.metric = known.times(target_scale) if known and objective in IN_UNITS else known
        self.epoch = torch.zeros(params.trials, dtype=torch.long)
        self._patience, self._every = limits(patience, "patience").expand(params.trials), every

    def update(
        self,
        epoch: int,
        train: Evaluation,
        val: Evaluation,
        finite: Tensor,
        params: NamedTensors,
    ) -> None:
        """Update with an evaluated epoch, for the trials that are ``finite (*t,)``."""
        values = {"train_accuracy": train.accuracy, "val_accuracy": val.accuracy}
        other = val.loss if self.metric is None else val.measured
        values = values if other is None else {self._objective: other, **values}
        values = {name: one for name, one in values.items() if one is not None}
        value, sign = values[self._objective], OBJECTIVES[self._objective].sign
        counted = finite & value.isfinite() & (self._waited(epoch) <= self._patience)
        better = counted & (sign * value > sign * self.values[self._objective])
        for name, best in [(name, self.values[name]) for name in values if name in self.values]:
            of_both = torch.minimum if OBJECTIVES[name].low else torch.maximum
            self.values[name] = torch.where(counted, of_both(best, values[name]), best)
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
        self.values = {name: best[trials] for name, best in self.values.items()}
        self._patience = self._patience[trials]
