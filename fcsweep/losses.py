"""Losses by hand: ``(scores, y) -> (loss, dscores)``, means over the examples.

Leading axes ``*t`` are trials. Scores are ``(*t, n, c)``; labels ``y`` are ``(n,)``, or ``(*t, n)``
with trial axes of length 1 where the stack shares them, of any integer type, in ``[0, c)``.
The loss is ``(*t,)``, ``dscores`` has the shape of the scores. Nothing handed in is modified.
After Stanford CS231n, "Linear classification".
"""

from __future__ import annotations

from torch import Tensor

from fcsweep.reductions import total


def softmax_loss(scores: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Cross-entropy of the softmax, ``-log p_y``, in nats; stable for scores of any size.

    With ``p = softmax(scores)``, the gradient is ``p`` less 1 at the label, over ``n``.
    """
    n, label = scores.shape[-2], _label(scores, y)
    log_p = scores.mT.log_softmax(-2)  # (*t, c, n): along the classes, as product() lays them
    log_p_y = log_p.gather(-2, label)
    loss = total(log_p_y, -1).squeeze(-1).div_(-n)

    p = log_p.exp_()
    dscores = p.scatter_(-2, label, log_p_y.expm1_()).div_(n)
    return loss, dscores.mT


def svm_loss(scores: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Multiclass hinge loss with margin 1 (Weston and Watkins), derivative 0 at a tie."""
    n, label = scores.shape[-2], _label(scores, y)
    by_class = scores.mT
    margins = (by_class - by_class.gather(-2, label) + 1).relu_().scatter_(-2, label, 0.0)
    loss = total(total(margins, -2), -1).div_(n)

    violated = margins.sign_()
    count = total(violated, -2).unsqueeze(-2)
    dscores = violated.scatter_(-2, label, -count).div_(n)
    return loss, dscores.mT


def _label(scores: Tensor, y: Tensor) -> Tensor:
    """Labels as an index of the classes of ``(*t, c, n)``."""
    *trials, n, _ = scores.shape
    if y.shape[-1:] != (n,) or y.is_floating_point():
        raise ValueError(
            f"labels of shape {tuple(y.shape)} and type {y.dtype} for scores of shape "
            f"{tuple(scores.shape)}: expected one integer for each of the {n} examples"
        )
    return y.long().unsqueeze(-2).expand(*trials, 1, n)
