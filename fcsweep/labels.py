"""What the softmax loss of a net makes of labels: smoothing, and a weight for each class."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from fcsweep.kernels.arrays import tensor
from fcsweep.kernels.parameters import PerTrial
from fcsweep.losses import softmax_loss


def balanced_weights(y: Tensor, classes: int) -> Tensor:
    """A weight for each class by which all classes count the same: scikit-learn's ``balanced``.

    Args:
        y: labels ``(n,)`` of type int64.
        classes: how many there are.

    Returns:
        ``(classes,)`` float64: ``n / (m count)`` for ``m`` classes that occur; 0 for the others.
    """
    count = torch.bincount(y, minlength=classes).double()
    occurs = count > 0
    return torch.where(occurs, len(y) / (occurs.sum() * count), 0.0)


def softmax_options(
    loss_function: Callable[..., Any],
    shape: Sequence[int],
    place: tuple[torch.dtype, torch.device],
    label_smoothing: PerTrial,
    class_weights: PerTrial | None,
) -> dict[str, Any]:
    """The keywords of ``softmax_loss`` that change the loss of a net: tensors, of each trial.

    Args:
        loss_function: of the net.
        shape: ``(*t, c)``.
        place: type and device of the net.
        label_smoothing: ``()`` or ``(*t,)``.
        class_weights: ``(c,)`` or ``(*t, c)``; None: 1.

    Raises:
        ValueError: one of them out of its range, or another loss.
    """
    smoothing = tensor(label_smoothing, "label_smoothing").to(place[1], place[0])
    if not ((smoothing >= 0) & (smoothing < 1)).all():
        raise ValueError(f"label_smoothing is {label_smoothing}; expected a number in [0, 1)")
    options = dict[str, Any]()
    if smoothing.any():
        options["label_smoothing"] = smoothing.expand(shape[:-1])
    if class_weights is not None:
        weights = tensor(class_weights, "class_weights").to(place[1], place[0])
        fits = tuple(weights.shape) in (tuple(shape[-1:]), tuple(shape))
        if not fits or not ((weights >= 0) & weights.isfinite()).all():
            form = f"a number >= 0 for each of {shape[-1]} classes"
            raise ValueError(f"class_weights is {class_weights}; expected {form}")
        options["class_weights"] = weights.expand(shape)
    if options and loss_function is not softmax_loss:
        given = {"label_smoothing": (label_smoothing, 0), "class_weights": (class_weights, None)}
        for name, (value, off) in given.items():
            if name in options:
                raise ValueError(f"{name} is {value}; expected {off}, or softmax as the loss")
    return options
