"""Gradients by central differences, to check those written by hand (as in the courses)."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product

import torch
from torch import Tensor

from fcsweep.kernels.arrays import takes_arrays, tensor


@takes_arrays
def compute_numeric_gradient(
    f: Callable[[Tensor], Tensor],
    x: Tensor,
    dLdf: Tensor | None = None,  # noqa: N803 -- the name that the courses use
    h: float | None = None,
) -> Tensor:
    """Gradient at ``x`` of ``sum(f(x) * dLdf)``, element by element.

    Args:
        f: from a tensor to a scalar or a tensor. ``f`` sees each change of ``x`` in
            ``x`` itself, so it may also be a closure over it (``lambda _: model.loss(X, y)[0]``).
        x: any shape and strides; every element is restored exactly, also if ``f`` raises.
        dLdf: gradient of the loss at the output of ``f``; ones if None.
        h: step; None takes the cube root of the precision of ``x.dtype``, which balances the error
            of the difference against that of rounding (6e-6 for float64, 5e-3 for float32).

    Returns:
        A tensor of the shape and type of ``x``, or an array. Sums are taken in float64.
    """
    step = torch.finfo(x.dtype).eps ** (1 / 3) if h is None else h
    gradient = torch.zeros(x.shape, dtype=torch.float64)

    def loss() -> float:
        out = tensor(f(x), "f(x)").detach().double().cpu()
        return (out if dLdf is None else out * dLdf.double().cpu()).sum().item()

    for index in product(*map(range, x.shape)):
        old = x[index].item()
        try:
            x[index] = old + step
            above, plus = x[index].item(), loss()
            x[index] = old - step
            below, minus = x[index].item(), loss()
        finally:
            x[index] = old
        gradient[index] = (plus - minus) / (above - below)  # the step that rounding left
    return gradient.to(x)


@takes_arrays
def rel_error(x: Tensor, y: Tensor, eps: float = 1e-10) -> float:
    """Largest difference of two tensors of one shape, relative to the largest sum of magnitudes."""
    if x.shape != y.shape:
        raise ValueError(f"shapes differ: {tuple(x.shape)} and {tuple(y.shape)}")
    top = (x - y).abs().max().item()
    bottom = (x.abs() + y.abs()).clamp(min=eps).max().item()
    return top / bottom
