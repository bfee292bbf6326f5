"""Products and sums in which a trial gets the same bits alone and in any stack (on a CPU).

What changes the last bits of a matrix product or a sum there, and what is done about it:

- The kernels choose their path by where a matrix starts in memory, so that trial 1 of a stack could
  differ from the same trial alone. Every factor and every result starts at a multiple of
  ``ALIGNMENT`` bytes here.
- A product of one pair of matrices takes another kernel than a batch of them, with other bits if
  one of the sizes is small. Such a lone product is computed as two equal slices.
- A sum of more than 32,768 values into a single output is split between threads; into two outputs
  it is not. A lone sum is computed as two equal rows.

The number of threads may still change the bits: it belongs to the record of a run.

Leading axes ``*t`` are trials: none for a single trial, ``(k,)`` for a stack of ``k``.
"""

from __future__ import annotations

import torch
from torch import Tensor

ALIGNMENT = 16
"""Bytes."""

SKINNY = 48
"""A product whose three sizes are at least this has the same bits alone and in a batch."""


SPLIT = 32_768
"""Elements up to which torch sums in one thread."""


def product(a: Tensor, b: Tensor, out: Tensor | None = None) -> Tensor:
    """Matrix product of each trial: ``a (*t, n, i)`` times ``b (*t, i, m)`` is ``(*t, n, m)``.

    Both have the same number of trial axes; one of length 1 is shared by the whole stack and is not
    copied. The result is computed transposed, ``b^T a^T``, so that in memory its rows (the examples
    of a batch) come last: the small products with ten classes are several times as fast that way.

    Args:
        a: left factors.
        b: right factors.
        out: where to write the result, ``(k, n, m)`` laid out as ``(k, m, n)``.

    Raises:
        ValueError: the inner sizes or the trial axes do not fit.
    """
    if a.ndim != 3 or b.ndim != 3:
        return _any_axes(a, b)
    a_trials, n, inner = a.shape
    b_trials, b_inner, m = b.shape
    trials = b_trials if a_trials == 1 else a_trials
    if inner != b_inner or b_trials not in (1, trials):
        raise _misfit(a, b)
    twice = trials == 1 and min(n, inner, m) < SKINNY and a.is_cpu
    slices = 2 if twice else trials
    left, right = _transposed(b, slices), _transposed(a, slices)
    aligned = n * m * a.itemsize % ALIGNMENT == 0
    if out is not None and aligned and not twice:
        torch.bmm(left, right, out=out.mT)
        return out
    result = torch.bmm(left, right, out=None if aligned else _empty(slices, m, n, a))
    result = (result[:1] if twice else result).mT
    return result if out is None else out.copy_(result)


def _any_axes(a: Tensor, b: Tensor) -> Tensor:
    """``product`` for any number of trial axes."""
    if a.ndim != b.ndim or a.ndim < 2:
        raise _misfit(a, b)
    trials = torch.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    a, b = (t.expand(*trials, *t.shape[-2:]).reshape(-1, *t.shape[-2:]) for t in (a, b))
    return product(a, b).reshape(*trials, a.shape[-2], b.shape[-1])


def _transposed(matrices: Tensor, slices: int) -> Tensor:
    """``(slices, c, r)`` of ``(k, r, c)``: a view, of stride 0 where the slices share a matrix."""
    trials, rows, columns = matrices.shape
    step, down, across = matrices.stride()
    if (across == 1 or columns == 1) and (down == columns or rows == 1):
        down, across = columns, 1  # a single row or column has no layout of its own: this one
    elif down != 1 or across != rows:
        return _transposed(_empty(trials, rows, columns, matrices).copy_(matrices), slices)
    if matrices.data_ptr() % ALIGNMENT or (trials > 1 and step * matrices.itemsize % ALIGNMENT):
        shape = (rows, columns) if across == 1 else (columns, rows)
        copy = _empty(trials, *shape, matrices)
        copy = copy if across == 1 else copy.mT
        return _transposed(copy.copy_(matrices), slices)
    shared = 0 if trials < slices else step
    return matrices.as_strided((slices, columns, rows), (shared, across, down))


def _empty(trials: int, rows: int, columns: int, like: Tensor) -> Tensor:
    """Uninitialised ``(trials, rows, columns)``, row by row in memory, each matrix aligned."""
    line = ALIGNMENT // like.itemsize
    step = -(-rows * columns // line) * line
    return torch.empty_strided(
        (trials, rows, columns), (step, columns, 1), dtype=like.dtype, device=like.device
    )


def total(values: Tensor, axis: int, out: Tensor | None = None) -> Tensor:
    """Sum over one axis, counted from the end; sum over two axes by two calls."""
    if values.numel() <= SPLIT or values.numel() > values.shape[axis] or not values.is_cpu:
        return torch.sum(values, axis, out=out)
    alone = torch.stack([values, values]).sum(axis)[0]
    return alone if out is None else out.copy_(alone)


def _misfit(a: Tensor, b: Tensor) -> ValueError:
    return ValueError(
        f"cannot multiply matrices of shapes {tuple(a.shape)} and {tuple(b.shape)}: expected "
        "(*t, n, i) and (*t, i, m) with the same i and equal trial axes (or 1 for a shared one)"
    )
