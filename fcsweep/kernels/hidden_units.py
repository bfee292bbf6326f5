"""Activations for a prepared pass: what ``fcsweep.layers`` computes, in memory that is there.

Each is ``(x, out)``: it writes ``y`` to ``out`` and its derivative over ``x``, by which the
gradient is multiplied on the way back. ReLU needs neither: see ``Pass``. The operations are those
of torch that round an element in the same way wherever it lies in a stack.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

SLOPE = 0.01
"""Of ``leaky_relu`` below 0."""

SQRT_HALF = math.sqrt(0.5)
DENSITY_AT_0 = 1 / math.sqrt(2 * math.pi)
"""Of N(0, 1)."""


def leaky_relu(x: Tensor, out: Tensor) -> None:
    """Derivative 1 where ``x > 0``, else ``SLOPE``."""
    torch.mul(x, SLOPE, out=out)
    torch.maximum(x, out, out=out)
    x.gt_(0).clamp_(min=SLOPE)


def tanh(x: Tensor, out: Tensor) -> None:
    """Derivative ``1 - y^2``."""
    torch.tanh(x, out=out)
    torch.mul(out, out, out=x)
    x.neg_().add_(1)


def gelu(x: Tensor, out: Tensor) -> None:
    """Derivative ``P(X <= x) + x p(x)`` with ``X`` from N(0, 1); takes memory of its own."""
    torch.mul(x, SQRT_HALF, out=out)
    cdf = out.erf_().add_(1).mul_(0.5)
    derivative = (x * x).mul_(-0.5).exp_().mul_(DENSITY_AT_0).mul_(x).add_(cdf)
    torch.mul(x, cdf, out=out)
    x.copy_(derivative)


ACTIVATIONS: dict[str, Callable[[Tensor, Tensor], None] | None] = {
    "relu": None,
    "leaky_relu": leaky_relu,
    "tanh": tanh,
    "gelu": gelu,
}
