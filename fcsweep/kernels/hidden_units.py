"""Normalizations and activations for a prepared pass, in memory that is there.

They compute what ``fcsweep.normalization`` and ``fcsweep.layers`` do. An activation is
``(x, out)``: it writes ``y`` to ``out`` and its derivative over ``x``, by which the gradient is
multiplied on the way back. ReLU needs neither: see ``Pass``. The operations are those of torch that
round an element in the same way wherever it lies in a stack.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable

import torch
from torch import Tensor

from fcsweep.kernels.arithmetic import empty, total

SLOPE = 0.01
"""Of ``leaky_relu`` below 0."""

SQRT_HALF = math.sqrt(0.5)
DENSITY_AT_0 = 1 / math.sqrt(2 * math.pi)
"""Of N(0, 1)."""

EPS, MOMENTUM = 1e-5, 0.9
"""Of a normalization: added to the variance; part of a running average that is kept."""


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


Pair = tuple[Tensor, Tensor]


class Normalization(ABC):
    """Of a hidden layer, over its examples or over its units.

    ``forward`` turns ``x`` into ``z``, of mean 0 and variance 1, and writes ``y`` to ``out``;
    ``backward`` turns the gradient at ``y`` into that at ``x``.

    Args:
        x: ``(k, n, h)``.
        scale: ``gamma`` and ``beta``, ``(k, h)``.
        grads: where to write the gradients of both.
        averages: running mean and variance ``(k, h)``, to be updated.
    """

    def __init__(self, x: Tensor, scale: Pair, grads: Pair, averages: Pair | None) -> None:
        k, n, h = x.shape
        self.x, self.out, self._product = x, empty(k, h, n, x).mT, empty(k, h, n, x).mT
        self._gamma, self._beta = (p.unsqueeze(-2) for p in scale)
        self._dgamma, self._dbeta = grads
        self._dgamma_row, self._dbeta_row = (p.unsqueeze(-2) for p in grads)
        self._averages = averages
        self._std = x.new_empty(())

    @abstractmethod
    def forward(self) -> None:
        """Compute ``out``."""

    @abstractmethod
    def backward(self, dout: Tensor) -> None:
        """Turn the gradient at ``out`` into that at ``x``, once after ``forward``."""

    def _normalize(self, axis: int) -> tuple[Tensor, Tensor]:
        """Mean and variance over an axis."""
        x, count = self.x, self.x.shape[axis]
        mean = total(x, axis).div_(count)
        x.sub_(mean.unsqueeze(axis))
        var = total(torch.mul(x, x, out=self._product), axis).div_(count)
        self._std = (var + EPS).sqrt_().unsqueeze(axis)
        torch.mul(x.div_(self._std), self._gamma, out=self.out).add_(self._beta)
        return mean, var

    def _sums(self, dout: Tensor) -> None:
        """The gradients of ``gamma`` and ``beta``."""
        total(dout, -2, out=self._dbeta)
        total(torch.mul(dout, self.x, out=self._product), -2, out=self._dgamma)


class BatchNorm(Normalization):
    """Over the examples."""

    def forward(self) -> None:
        """Also updates the running averages, unless there is one example."""
        statistics = self._normalize(-2)
        if self._averages is not None and self.x.shape[-2] > 1:
            for average, one in zip(self._averages, statistics, strict=True):
                average.mul_(MOMENTUM).add_(one.mul_(1 - MOMENTUM))

    def backward(self, dout: Tensor) -> None:
        """As in ``Normalization``."""
        self._sums(dout)
        shared = self.x.mul_(self._dgamma_row).add_(self._dbeta_row).div_(dout.shape[-2])
        dout.sub_(shared).mul_(self._gamma / self._std)


class LayerNorm(Normalization):
    """Over the units."""

    def forward(self) -> None:
        """As in ``Normalization``."""
        self._normalize(-1)

    def backward(self, dout: Tensor) -> None:
        """As in ``Normalization``."""
        self._sums(dout)
        h = dout.shape[-1]
        dz = dout.mul_(self._gamma)
        mean_dz = total(dz, -1).div_(h).unsqueeze(-1)
        mean_dz_z = total(torch.mul(dz, self.x, out=self._product), -1).div_(h).unsqueeze(-1)
        dz.sub_(self.x.mul_(mean_dz_z)).sub_(mean_dz).div_(self._std)


NORMALIZATIONS: dict[str, type[Normalization] | None] = {
    "none": None,
    "batch": BatchNorm,
    "layer": LayerNorm,
}
