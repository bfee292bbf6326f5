"""How good predictions are, for one trial or a stack: the numbers of scikit-learn.

Leading axes ``*t`` are trials. Each metric is a number of every example and what is made of those
of all, so that a model scores part of the examples at a time. Sums are in float64 on the CPU: a
trial has the same bits alone and in any stack.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from fcsweep.kernels.arithmetic import total


@dataclass(frozen=True)
class Metric:
    """A number of each example, and what is made of them."""

    of_each: Callable[[Tensor, Tensor], Tensor]
    """``(scores (*t, n, c), y (n,)) -> (*t, n)``, on the device of the scores."""
    of_all: Callable[[Tensor, Tensor, int], Tensor]
    """``(numbers (*t, n), y (n,), c) -> (*t,)`` float64, all on the CPU."""

    def times(self, factor: float) -> Metric:
        """The same in another unit."""
        return Metric(self.of_each, lambda *given: self.of_all(*given) * factor)


def balanced_accuracy(predicted: Tensor, y: Tensor, num_classes: int) -> Tensor:
    """Mean over the classes among the labels of the fraction that is predicted right.

    Args:
        predicted: classes ``(*t, n)``.
        y: labels ``(n,)``, in ``[0, num_classes)``.
        num_classes: how many classes there are.

    Returns:
        ``(*t,)`` float64, as scikit-learn's ``balanced_accuracy_score``.
    """
    right, _ = _counts(predicted, y, num_classes)
    there = torch.bincount(y, minlength=num_classes)
    known = there > 0
    return total(right[..., known].double() / there[known], -1) / int(known.sum())


def f1_macro(predicted: Tensor, y: Tensor, num_classes: int) -> Tensor:
    """Mean of F1, ``2 right / (predicted + there)``, over the classes that either has.

    Arguments and result as those of `balanced_accuracy`; as scikit-learn's ``f1_score`` with
    ``average="macro"``.
    """
    right, given = _counts(predicted, y, num_classes)
    either = given + torch.bincount(y, minlength=num_classes)
    f1 = 2 * right.double() / either.clamp(min=1)
    return total(f1, -1) / (either > 0).sum(-1)


def mean(numbers: Tensor, y: Tensor, num_classes: int) -> Tensor:
    """Over the examples: of ``(*t, n)`` the ``(*t,)``, in float64."""
    return total(numbers.double(), -1) / len(y)


def root_mean(squares: Tensor, y: Tensor, num_classes: int) -> Tensor:
    """The root of the mean over the examples, ``(*t,)``: of squared errors the RMSE."""
    return mean(squares, y, num_classes).sqrt()


def r2(squares: Tensor, y: Tensor, num_classes: int) -> Tensor:
    """One less the part of the variation of ``y`` that squared errors ``(*t, n)`` leave.

    As scikit-learn's ``r2_score``: where ``y`` does not vary, 1 without any error and else 0.
    """
    errors, numbers = total(squares.double(), -1), y.double()
    spread = total((numbers - numbers.mean()).square(), -1)
    constant = torch.where(errors > 0, 0.0, 1.0).double()
    return torch.where(spread > 0, 1 - errors / spread.clamp(min=1e-300), constant)


def error(scores: Tensor, y: Tensor) -> Tensor:
    """``|s - y|`` of the only score of each example, ``(*t, n)`` float64."""
    return (scores.squeeze(-1).double() - y).abs()


def squared_error(scores: Tensor, y: Tensor) -> Tensor:
    """``(s - y)^2`` of the only score of each example, ``(*t, n)`` float64."""
    return error(scores, y).square()


def top_class(scores: Tensor, y: Tensor) -> Tensor:
    """The class with the highest score, ``(*t, n)``."""
    return scores.max(-1).indices  # argmax takes five times as long


def negative_log_likelihood(scores: Tensor, y: Tensor) -> Tensor:
    """``-log p_y`` of each example in nats, ``(*t, n)``, where ``p`` is the softmax of its scores.

    Its mean is scikit-learn's ``log_loss``.
    """
    label = y.expand(scores.shape[:-1]).unsqueeze(-2)
    return -scores.mT.log_softmax(-2).gather(-2, label).squeeze(-2)


METRICS = {
    "balanced_accuracy": Metric(top_class, balanced_accuracy),
    "f1_macro": Metric(top_class, f1_macro),
    "log_loss": Metric(negative_log_likelihood, mean),
    "rmse": Metric(squared_error, root_mean),
    "mae": Metric(error, mean),
    "r2": Metric(squared_error, r2),
}
"""By the name of the objective."""
IN_UNITS = ("rmse", "mae")
"""Those that have the unit of the target."""


def _counts(predicted: Tensor, y: Tensor, num_classes: int) -> tuple[Tensor, Tensor]:
    """How often each class is predicted right, and at all: ``(*t, num_classes)``, whole numbers."""
    *trials, n = predicted.shape
    flat = predicted.reshape(-1, n)
    own = flat + num_classes * torch.arange(len(flat)).unsqueeze(-1)  # classes of each trial
    size = num_classes * len(flat)
    each = own[flat == y], own.flatten()
    right, given = (torch.bincount(one, minlength=size) for one in each)
    return right.reshape(*trials, num_classes), given.reshape(*trials, num_classes)
