"""Losses by hand: ``(scores, y) -> (loss, dscores)``, means over the examples.

Leading axes ``*t`` are trials. Scores are ``(*t, n, c)``; labels ``y`` are ``(n,)``, or ``(*t, n)``
with trial axes of length 1 where the stack shares them, of any integer type, in ``[0, c)``; any
other is a ``ValueError``. ``mse_loss`` and ``huber_loss`` take numbers instead. The loss is
``(*t,)``, ``dscores`` has the shape of the scores. Nothing handed in is modified. NumPy arrays may
take the place of tensors: then a NumPy number and an array come back. After Stanford CS231n,
"Linear classification".

``softmax``, ``svm``, ``mse`` and ``huber`` are the arithmetic of each loss, for scores with the
classes before the examples: the layout in which products leave them in memory.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial

import torch
from torch import Tensor

from fcsweep.kernels.arithmetic import total
from fcsweep.kernels.arrays import takes_arrays

Arithmetic = Callable[[Tensor, Tensor, Tensor | None], Tensor]
"""``(scores (*t, c, n), label (*t, 1, n), out) -> loss (*t,)``; the gradient goes to ``out``, if
that is not None."""


@takes_arrays
def softmax_loss(
    scores: Tensor,
    y: Tensor,
    label_smoothing: float | Tensor = 0.0,
    class_weights: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Cross-entropy of the softmax, ``-log p_y``, in nats; stable for scores of any size.

    With ``p = softmax(scores)``, the gradient is ``p`` less 1 at the label, over ``n``.
    ``label_smoothing`` ``s`` in [0, 1), also ``(*t,)``, compares ``p`` to ``1 - s`` at the label
    plus ``s / c`` at every class instead (Szegedy et al., 2016). ``class_weights (c,)``, also
    ``(*t, c)``, make the mean a weighted one: each example counts by the weight of its class.
    """
    smoothing = torch.as_tensor(label_smoothing, dtype=scores.dtype, device=scores.device)
    if not ((smoothing >= 0) & (smoothing < 1)).all():
        raise ValueError(f"label_smoothing is {label_smoothing}; expected a number in [0, 1)")
    smooths = smoothing if smoothing.any() else None
    arithmetic = partial(softmax, label_smoothing=smooths, class_weights=class_weights)
    return _loss_and_gradient(arithmetic, scores, y)


@takes_arrays
def svm_loss(scores: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Multiclass hinge loss, ``sum_{j != y} max(0, s_j - s_y + 1)`` (Weston and Watkins, 1999).

    The gradient, over ``n``, is 1 at each class that violates the margin and, at the label, less
    how many do; a margin of exactly 0 has derivative 0.
    """
    return _loss_and_gradient(svm, scores, y)


@takes_arrays
def mse_loss(scores: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Mean over examples and outputs of ``(s - y)^2``, for regression.

    ``y`` holds a number for each score: ``(n, c)``, ``(*t, n, c)``, or ``(n,)`` where ``c`` is 1.
    """
    return _of_numbers(mse, scores, y)


@takes_arrays
def huber_loss(scores: Tensor, y: Tensor, delta: float = 1.0) -> tuple[Tensor, Tensor]:
    """Mean of ``d^2 / 2`` where ``|d| <= delta``, else ``delta (|d| - delta / 2)`` (Huber, 1964).

    ``d = s - y``; shapes as in ``mse_loss``. The gradient of ``d`` is cut off at ``delta``.
    """
    if not delta > 0:
        raise ValueError(f"delta is {delta}; expected a number > 0")
    return _of_numbers(partial(huber, delta=delta), scores, y)


def softmax(
    scores: Tensor,
    label: Tensor,
    out: Tensor | None,
    label_smoothing: Tensor | None = None,
    class_weights: Tensor | None = None,
) -> Tensor:
    """The arithmetic of ``softmax_loss``.

    Args:
        scores: ``(*t, c, n)``.
        label: ``(*t, 1, n)``, of type int64.
        out: where to write the gradient, ``(*t, c, n)``; None computes none.
        label_smoothing: ``(*t,)``, or ``()`` for all trials. None: of the labels as they are, to
            the same bits as 0.
        class_weights: ``(*t, c)``, or ``(c,)`` for all trials. None: to the same bits as 1.

    Returns:
        The loss ``(*t,)``.
    """
    if class_weights is not None:
        return _weighted_softmax(scores, label, out, label_smoothing, class_weights)
    c, n = scores.shape[-2:]
    log_p = scores.log_softmax(-2)
    log_p_y = log_p.gather(-2, label)
    loss = total(log_p_y, -1).squeeze(-1).div_(-n)
    if label_smoothing is not None:
        uniform = total(total(log_p, -2), -1).div_(-n * c)
        loss = torch.where(label_smoothing > 0, loss + label_smoothing * (uniform - loss), loss)
    if out is None:
        return loss

    p, p_y_minus_1 = log_p.exp_(), log_p_y.expm1_()
    torch.div(p.scatter_(-2, label, p_y_minus_1), n, out=out)
    if label_smoothing is not None:
        share = (label_smoothing / n)[..., None, None]
        out.sub_(share / c).scatter_add_(-2, label, share.expand(label.shape))
    return loss


def _weighted_softmax(
    scores: Tensor, label: Tensor, out: Tensor | None, smoothing: Tensor | None, weights: Tensor
) -> Tensor:
    """``softmax`` with ``class_weights``: both sums of the mean are weighted, as torch does it.

    With ``w_j`` the weight of class ``j``, the loss is ``-sum(w_y log p_y) / sum(w_y)`` over the
    examples; smoothing spreads ``s w_j / c`` over the classes. Weights of 1 change no bit.
    """
    c, w = scores.shape[-2], weights.unsqueeze(-1)
    w_y = w.expand(scores.shape).gather(-2, label)
    sum_w_y = total(w_y, -1).unsqueeze(-1)
    log_p = scores.log_softmax(-2)
    log_p_y = log_p.gather(-2, label)
    loss = (total(log_p_y * w_y, -1) / -sum_w_y.squeeze(-1)).squeeze(-1)
    if smoothing is not None:
        uniform = total(total(log_p * w, -2), -1) / (-c * sum_w_y[..., 0, 0])
        loss = torch.where(smoothing > 0, loss + smoothing * (uniform - loss), loss)
    if out is None:
        return loss

    p, p_y_minus_1 = log_p.exp_(), log_p_y.expm1_()
    p_minus_label = p.scatter_(-2, label, p_y_minus_1)
    torch.div(p_minus_label * w_y, sum_w_y, out=out)
    if smoothing is not None:
        share, mean_w = smoothing[..., None, None] / sum_w_y, total(w, -2).unsqueeze(-2) / c
        out.add_(p_minus_label * (share * (mean_w - w_y))).sub_(share * w / c)
        out.scatter_add_(-2, label, (share * mean_w).expand(label.shape))
    return loss


def svm(scores: Tensor, label: Tensor, out: Tensor | None) -> Tensor:
    """The arithmetic of ``svm_loss``; shapes as in ``softmax``."""
    n = scores.shape[-1]
    margins = (scores - scores.gather(-2, label)).add_(1).relu_().scatter_(-2, label, 0.0)
    loss = total(total(margins, -2), -1).div_(n)
    if out is None:
        return loss

    violated = margins.sign_()
    count = total(violated, -2).unsqueeze(-2)
    torch.div(violated.scatter_(-2, label, -count), n, out=out)
    return loss


def mse(scores: Tensor, label: Tensor, out: Tensor | None) -> Tensor:
    """The arithmetic of ``mse_loss``; ``label`` holds a number for each score, ``(*t, c, n)``."""
    difference, count = scores - label, scores.shape[-2] * scores.shape[-1]
    loss = total(total(difference * difference, -1), -1).div_(count)
    if out is not None:
        torch.mul(difference, 2 / count, out=out)
    return loss


def huber(scores: Tensor, label: Tensor, out: Tensor | None, delta: float = 1.0) -> Tensor:
    """The arithmetic of ``huber_loss``; ``label`` as in ``mse``."""
    difference, count = scores - label, scores.shape[-2] * scores.shape[-1]
    cut = difference.clamp(-delta, delta)
    loss = total(total(cut * (difference - cut / 2), -1), -1).div_(count)
    if out is not None:
        torch.div(cut, count, out=out)
    return loss


def mean_loss(arithmetic: Arithmetic, scores: Tensor, y: Tensor) -> Tensor:
    """The loss ``(*t,)`` of scores ``(*t, n, c)``, without its gradient; labels are not checked."""
    label = y if y.is_floating_point() else y.long()
    return arithmetic(scores.mT, label.expand(scores.shape[:-1]).unsqueeze(-2), None)


LOSSES = {
    "softmax": (softmax_loss, softmax),
    "svm": (svm_loss, svm),
    "mse": (mse_loss, mse),
    "huber": (huber_loss, huber),
}
"""Each loss by its name, and its arithmetic alone."""
OF_NUMBERS = ("mse", "huber")
"""Losses of regression: of a net, an example has one score and one number."""


def add_l2(
    loss: Tensor, grads: Mapping[str, Tensor], params: Mapping[str, Tensor], l2: Tensor
) -> Tensor:
    """The loss with the term ``l2 sum(W**2)``; its gradient, ``2 l2 W``, is added in place.

    Args:
        loss: ``(*t,)``.
        grads: of the parameters, by name.
        params: weights ``W1 (*t, i, o)`` ..., and biases, which have no term.
        l2: its strength, ``(*t,)``.
    """
    for name, w in params.items():
        if name.startswith("W"):
            squares = total(total(w.square(), -2), -1)
            loss = loss + torch.where(l2 > 0, l2 * squares, 0.0)
            grads[name].add_(w * (2 * l2)[..., None, None])
    return loss


def _loss_and_gradient(arithmetic: Arithmetic, scores: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    *shape, classes = scores.shape
    check_labels(y, shape, classes)
    label = y.long().expand(shape).unsqueeze(-2)
    dscores = torch.empty_like(scores.mT, memory_format=torch.contiguous_format)
    loss = arithmetic(scores.mT, label, dscores)
    return loss, dscores.mT


def _of_numbers(arithmetic: Arithmetic, scores: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    dscores = torch.empty_like(scores.mT, memory_format=torch.contiguous_format)
    loss = arithmetic(scores.mT, _targets(scores, y).mT, dscores)
    return loss, dscores.mT


def _targets(scores: Tensor, y: Tensor) -> Tensor:
    """``y``, a number for each score, laid out and of the type of the scores."""
    *_, n, c = scores.shape
    targets = y.unsqueeze(-1) if c == 1 and y.shape[-2:] != (n, 1) else y
    fits = targets.shape[-2:] == (n, c) and targets.ndim <= scores.ndim
    if not fits or y.dtype == torch.bool or y.is_complex():
        raise ValueError(
            f"y has shape {tuple(y.shape)} and type {y.dtype}; expected a number for each of the "
            f"scores, shape {(n, c)}{' or ' + str((n,)) if c == 1 else ''}"
        )
    return targets.to(scores)


def check_numbers(y: Tensor, count: int, name: str = "y") -> None:
    """Refuse what is not a finite number for each example, for regression.

    Raises:
        ValueError: another shape or type, or a number that is not finite.
    """
    if y.shape != (count,) or not y.is_floating_point() or not y.isfinite().all():
        raise ValueError(
            f"{name} has shape {tuple(y.shape)} and type {y.dtype}; expected a finite number for "
            f"each of the {count} examples, shape {(count,)}, as a float"
        )


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
        return f": if its numbers are classes, use {name}.long(), or {name}.astype(int) of an array"
    if y.shape[-2:] == (shape[-1], 1):
        return f": use {name}.squeeze(-1)"
    if y.shape[-2:] == (shape[-1], classes):
        return f": if it is one-hot, use {name}.argmax(-1)"
    return ""
