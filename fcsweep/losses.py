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
    """Cross-entropy of the softmax, ``-log p_y``, in nats; stable for scores of any size."""
    label = _label(scores, y)
    log_p = scores.mT.log_softmax(-2).mT  # along the classes, where product() lays them in memory
    loss = -_mean(log_p.gather(-1, label))

    p = log_p.exp_()
    dscores = p.scatter_(-1, label, p.gather(-1, label) - 1)
    return loss, dscores.div_(scores.shape[-2])


def svm_loss(scores: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Multiclass hinge loss with margin 1 (Weston and Watkins), derivative 0 at a tie."""
    label = _label(scores, y)
    margins = (scores - scores.gather(-1, label) + 1).relu_().scatter_(-1, label, 0.0)
    loss = _mean(total(margins, -1).unsqueeze(-1))

    violated = margins.sign_()
    count = total(violated, -1).unsqueeze(-1)
    dscores = violated.scatter_(-1, label, -count)
    return loss, dscores.div_(scores.shape[-2])


def _label(scores: Tensor, y: Tensor) -> Tensor:
    """Labels as an index of the last axis of the scores, ``(*t, n, 1)``."""
    if y.shape[-1:] != scores.shape[-2:-1] or y.is_floating_point():
        raise ValueError(
            f"labels of shape {tuple(y.shape)} and type {y.dtype} for scores of shape "
            f"{tuple(scores.shape)}: expected one integer for each of the {scores.shape[-2]} "
            "examples"
        )
    return y.long().expand(scores.shape[:-1]).unsqueeze(-1)


def _mean(losses: Tensor) -> Tensor:
    """Mean over the examples of ``(*t, n, 1)``."""
    return total(losses.squeeze(-1), -1).div_(losses.shape[-2])
