"""A loss of one's own: a function of torch, with the gradient that torch derives."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.func import vmap

from fcsweep.losses import Arithmetic

OwnLoss = Callable[[Tensor, Tensor], Tensor]
"""``(scores (n, c), y (n,)) -> ()``, a mean over the examples."""


def arithmetic_of(loss: OwnLoss) -> Arithmetic:
    """The loss for a stack, in the form of those in ``fcsweep.losses``."""

    def of_one(scores: Tensor, label: Tensor) -> Tensor:
        return loss(scores.mT, label[0])

    def arithmetic(scores: Tensor, label: Tensor, out: Tensor | None) -> Tensor:
        with torch.inference_mode(False), torch.enable_grad():
            x = scores.clone().requires_grad_()  # autograd takes no tensor of inference mode
            value = vmap(of_one)(x, label.clone())
            if out is not None:
                (gradient,) = torch.autograd.grad(value.sum(), [x])
                out.copy_(gradient)
        return value.detach()

    return arithmetic
