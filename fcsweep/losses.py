"""Losses by hand: ``(scores, y) -> (loss, dscores)``, means over the examples.

Leading axes ``*t`` are trials. Scores are ``(*t, n, c)``; labels ``y`` are ``(n,)``, or ``(*t, n)``
with trial axes of length 1 where the stack shares them, of any integer type, in ``[0, c)``; any
other is a ``ValueError``. The loss is ``(*t,)``, ``dscores`` has the shape of the scores. Nothing
handed in is modified. After Stanford CS231n, "Linear classification".

``SoftmaxLoss`` and ``SvmLoss`` are the same, prepared once for scores and labels that stay where
they are in memory: each call computes ``dscores`` and returns the loss of what they hold then.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
from torch import Tensor

from fcsweep.kernels.arithmetic import empty, total


class Loss(ABC):
    """A loss, prepared for ``scores (*t, n, c)`` and their labels, of type int64.

    Inside, classes come before examples, ``(*t, c, n)``, as ``Product`` lays them in memory.

    Attributes:
        dscores: gradient at the scores, ``(*t, n, c)``, of the last call.
    """

    def __init__(self, scores: Tensor, y: Tensor) -> None:
        *trials, self._n, c = scores.shape
        if y.shape[-1:] != (self._n,) or y.dtype != torch.int64:
            raise ValueError(
                f"labels of shape {tuple(y.shape)} and type {y.dtype} for scores of shape "
                f"{tuple(scores.shape)}: expected one integer for each of the {self._n} examples"
            )
        self._label = y.unsqueeze(-2).expand(*trials, 1, self._n)
        self._scores = scores.mT
        self._dscores = empty(scores[..., 0, 0].numel(), c, self._n, scores).view(*trials, c, -1)
        self.dscores = self._dscores.mT

    @abstractmethod
    def __call__(self) -> Tensor:
        """Compute ``dscores``; returns the loss ``(*t,)``."""


class SoftmaxLoss(Loss):
    """Prepared ``softmax_loss``."""

    def __call__(self) -> Tensor:
        """Compute ``dscores``; returns the loss ``(*t,)``, in nats."""
        log_p = self._scores.log_softmax(-2)
        log_p_y = log_p.gather(-2, self._label)
        loss = total(log_p_y, -1).squeeze(-1).div_(-self._n)

        p = log_p.exp_()
        p_minus_1_at_y = p.scatter_(-2, self._label, log_p_y.expm1_())
        torch.div(p_minus_1_at_y, self._n, out=self._dscores)
        return loss


class SvmLoss(Loss):
    """Prepared ``svm_loss``."""

    def __call__(self) -> Tensor:
        """Compute ``dscores``; returns the loss ``(*t,)``."""
        margins = self._scores - self._scores.gather(-2, self._label)
        margins.add_(1).relu_().scatter_(-2, self._label, 0.0)
        loss = total(total(margins, -2), -1).div_(self._n)

        violated = margins.sign_()
        count = total(violated, -2).unsqueeze(-2)
        torch.div(violated.scatter_(-2, self._label, -count), self._n, out=self._dscores)
        return loss


def softmax_loss(scores: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Cross-entropy of the softmax, ``-log p_y``, in nats; stable for scores of any size.

    With ``p = softmax(scores)``, the gradient is ``p`` less 1 at the label, over ``n``.
    """
    return _computed(SoftmaxLoss, scores, y)


def svm_loss(scores: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Multiclass hinge loss with margin 1 (Weston and Watkins), derivative 0 at a tie."""
    return _computed(SvmLoss, scores, y)


def _computed(loss: type[Loss], scores: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    check_labels(y, scores.shape[:-1], scores.shape[-1])
    prepared = loss(scores, y.long())
    return prepared(), prepared.dscores


def check_labels(y: Tensor, shape: Sequence[int], classes: int, name: str = "y") -> None:
    """Refuse labels that are not an integer in ``[0, classes)`` for each example.

    The values are read, so a GPU has to be waited for: not for every step of training.

    Args:
        y: labels.
        shape: ``(n,)`` or ``(*t, n)``; trial axes of ``y`` may be left out or have length 1.
        classes: how many there are.
        name: of the labels, for the error.

    Raises:
        ValueError: another shape, another type, or a number that is no class.
    """
    if not _fits(y, shape) or y.is_floating_point() or y.is_complex():
        raise ValueError(
            f"{name} has shape {tuple(y.shape)} and type {y.dtype}; expected one integer for each "
            f"of the {shape[-1]} examples, shape {tuple(shape)}{_remedy(y, shape, classes, name)}"
        )
    low, high = y.long().aminmax() if y.numel() else (0, 0)
    if low < 0 or high >= classes:
        raise ValueError(
            f"{name} holds {int(low if low < 0 else high)}; expected classes from 0 to "
            f"{classes - 1}, as each example has {classes} scores: number the classes from 0, or "
            "set num_classes to how many there are"
        )


def _fits(y: Tensor, shape: Sequence[int]) -> bool:
    axes = zip(reversed(y.shape[:-1]), reversed(shape[:-1]), strict=False)
    same = y.shape[-1:] == (shape[-1],) and y.ndim <= len(shape)
    return same and all(given in (1, expected) for given, expected in axes)


def _remedy(y: Tensor, shape: Sequence[int], classes: int, name: str) -> str:
    """How labels of another form become what is expected, where that is known."""
    if _fits(y, shape):
        return f": if its numbers are classes, use {name}.long()"
    if y.shape[-2:] == (shape[-1], 1):
        return f": use {name}.squeeze(-1)"
    if y.shape[-2:] == (shape[-1], classes):
        return f": if it is one-hot, use {name}.argmax(-1)"
    return ""
