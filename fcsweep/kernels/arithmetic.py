"""Products and sums in which a trial gets the same bits alone and in any stack (on a CPU).

What changes the last bits of a matrix product or a sum there, and what is done about it:

- The kernels choose their path by where a matrix starts in memory, so that trial 1 of a stack could
  differ from the same trial alone. Every factor and every result starts at a multiple of
  ``ALIGNMENT`` bytes here.
- A product of one pair of matrices takes another kernel than a batch of them, with other bits if
  one of the sizes is small. Such a lone product is computed as two equal slices.
- Large products of a stack are computed one by one, by oneDNN, where that is twice as fast as the
  batched kernel (``processor.py``). Its bits do not depend on where a matrix starts.
- Where all trials share a factor, oneDNN and MKL can compute the whole stack as a single product.
  They do that for shapes in which each trial gets the bits that it has otherwise, which is tried
  out; in small products with a size under ``SKINNY`` the results would be too few to tell. A GPU
  always computes a single product: no equal bits are promised there.
- A sum of more than 32,768 values into a single output is split between threads; into two outputs
  it is not. A lone sum is computed as two equal rows.
- Where a batch has fewer matrices than there are threads, or its results had to be padded, several
  threads share a product, with other bits. There are no more threads than matrices, then; but all
  for a product by itself, if a trial of its shape shows that they do not matter.

So the number of threads changes no product. It may change the sums of tensors so large that threads
share them: it belongs to the record of a run.

Leading axes ``*t`` are trials: none for a single trial, ``(k,)`` for a stack of ``k``.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from fcsweep.kernels.processor import by_mkl, by_one_dnn
from fcsweep.kernels.products import AtOnce, OneByOne, in_threads, threads_agree
from fcsweep.kernels.threads import with_threads

ALIGNMENT = 16
"""Bytes."""

SKINNY = 48
"""A product whose three sizes are at least this has the same bits alone and in a batch."""

LARGE = 2**22
"""Multiplications from which oneDNN computes a float32 product, unless MKL computes all."""

AT_ONCE = 2**19
"""Numbers of a result up to which oneDNN computes large products of a stack as a single one."""

SPLIT = 32_768
"""Elements up to which torch sums in one thread."""


class Product:
    """Matrix product of each trial, ``a (*t, n, i)`` times ``b (*t, i, m)``, prepared once.

    Calling it computes ``out (*t, n, m)`` from what ``a`` and ``b`` hold then; they stay where they
    are in memory, and so does ``out``. Both have the same number of trial axes; one of length 1 is
    shared by the whole stack and is not copied. The result is computed transposed, ``b^T a^T``, so
    that in memory its rows (the examples of a batch) come last: the small products with ten classes
    are several times as fast that way.

    Args:
        a: left factors; to be read again in a later call, with one trial axis.
        b: right factors, likewise.
        out: where to write the result, ``(k, n, m)`` laid out as ``(k, m, n)``; None: new memory.
        plus: ``(*t, m)``, added to every row of the result.

    Raises:
        ValueError: the inner sizes or the trial axes do not fit.
    """

    def __init__(
        self, a: Tensor, b: Tensor, out: Tensor | None = None, plus: Tensor | None = None
    ) -> None:
        trials = _common_trials(a, b)
        a, b = _one_axis(a, trials), _one_axis(b, trials)
        n, inner, m = *a.shape[-2:], b.shape[-1]
        k = max(len(a), len(b))
        large = n * inner * m >= LARGE
        one_by_one = large and by_one_dnn(a)
        skinny = min(n, inner, m) < SKINNY
        twice = k == 1 and skinny and a.is_cpu and not one_by_one
        shared = len(a) == 1 < k and b.mT.is_contiguous()
        at_once = shared and _pays_at_once(a, b, skinny, k * n * m if one_by_one else 0)
        aligned = n * m * a.itemsize % ALIGNMENT == 0
        if out is not None and (one_by_one or (aligned and not twice)):
            result = out.mT
        else:
            result = empty(2 if twice else k, m, n, a)
        self._copies: list[tuple[Tensor, Tensor]] = []
        self._compute: Callable[[], object]
        if at_once and AtOnce.same_bits(b.mT, a[0], one_by_one):
            row = None if plus is None else plus.reshape(-1, m, 1)
            self._compute = AtOnce(b.mT, a[0], result, row)
            plus = None
        elif one_by_one:
            agree = threads_agree(True, b.mT[0], a[0])
            self._compute = in_threads(None if agree else 1, OneByOne(b.mT, a, result))
        else:
            left, right = (self._transpose(t, len(result)) for t in (b, a))
            compute = partial(torch.bmm, left, right, out=result)
            agree = k == 1 and not skinny and threads_agree(False, b.mT[0], a[0])
            most = None if agree or not a.is_cpu else k if aligned else 1
            self._compute = in_threads(most, compute)
        self._shape = (*trials, n, m)
        self._product = result[:k].mT.view(self._shape)
        self._in_new_memory = out is None and aligned
        self.out = self._product if out is None else out
        self._moves = self.out.data_ptr() != self._product.data_ptr()
        self._plus = None if plus is None else plus.unsqueeze(-2)

    def __call__(self) -> Tensor:
        """Compute ``out``."""
        for copy, original in self._copies:
            copy.copy_(original)
        self._compute()
        if self._moves:
            self.out.copy_(self._product)
        return self.out if self._plus is None else self.out.add_(self._plus)

    def once(self) -> Tensor:
        """Compute the product a single time: in new memory if that is faster."""
        if not (isinstance(self._compute, AtOnce) and self._in_new_memory):
            return self()
        return self._compute.rows().mT.view(self._shape)

    def _transpose(self, matrices: Tensor, slices: int) -> Tensor:
        """``(slices, c, r)`` of ``(k, r, c)``: a view, of stride 0 where the slices share a matrix.

        Of an aligned copy, renewed in each call, where the matrices themselves do not fit.
        """
        trials, rows, columns = matrices.shape
        step, down, across = matrices.stride()
        # a single row or column has no layout of its own
        by_rows = (across == 1 or columns == 1) and (down == columns or rows == 1)
        by_columns = not by_rows and down == 1 and across == rows
        if not (by_rows or by_columns) or not _is_aligned(matrices):
            lines = (columns, rows) if by_columns else (rows, columns)
            copy = empty(trials, *lines, matrices)
            self._copies.append((copy.mT if by_columns else copy, matrices))
            matrices, step = copy, copy.stride(0)
        down, across = (1, rows) if by_columns else (columns, 1)
        shared = 0 if trials < slices else step
        return matrices.as_strided((slices, columns, rows), (shared, across, down))


def product(a: Tensor, b: Tensor) -> Tensor:
    """``Product`` computed once."""
    return Product(a, b).once()


def _pays_at_once(a: Tensor, b: Tensor, skinny: bool, copied: int) -> bool:
    """Whether one product of the whole stack is faster, and large enough for its bits to be tested.

    Args:
        a: what the trials share.
        b: their other factors.
        skinny: whether a size is under ``SKINNY``.
        copied: numbers of the result that oneDNN would have to copy otherwise trial by trial.
    """
    if not a.is_cpu:
        return True
    if by_mkl(a):
        return not skinny and _is_aligned(a) and _is_aligned(b[:1])
    return by_one_dnn(a) and (copied <= AT_ONCE if copied else not skinny)


def _common_trials(a: Tensor, b: Tensor) -> torch.Size:
    if a.ndim != b.ndim or a.ndim < 2 or a.shape[-1] != b.shape[-2]:
        raise _misfit(a, b)
    # torch.broadcast_shapes would import sympy, which takes half a second
    pairs = list(zip(a.shape[:-2], b.shape[:-2], strict=True))
    if any(n != m and 1 not in (n, m) for n, m in pairs):
        raise _misfit(a, b)
    return torch.Size(m if n == 1 else n for n, m in pairs)


def _one_axis(matrices: Tensor, trials: torch.Size) -> Tensor:
    """``(*t, r, c)`` as ``(k, r, c)``: a view, but where one of several trial axes is shared."""
    if not trials:
        return matrices.unsqueeze(0)
    whole = matrices if len(trials) == 1 else matrices.expand(*trials, -1, -1)
    return whole.flatten(0, -3)


def _is_aligned(matrices: Tensor) -> bool:
    step = matrices.stride(0) * matrices.itemsize if len(matrices) > 1 else 0
    return (matrices.data_ptr() | step) % ALIGNMENT == 0


def empty(trials: int, rows: int, columns: int, like: Tensor) -> Tensor:
    """Uninitialised ``(trials, rows, columns)``, row by row in memory, each matrix aligned."""
    line = ALIGNMENT // like.itemsize
    step = -(-rows * columns // line) * line
    return torch.empty_strided(
        (trials, rows, columns), (step, columns, 1), dtype=like.dtype, device=like.device
    )


def total(values: Tensor, axis: int, out: Tensor | None = None) -> Tensor:
    """Sum over one axis, counted from the end; sum over two axes by two calls."""
    if values.numel() <= SPLIT or not values.is_cpu:
        return torch.sum(values, axis, out=out)
    with with_threads(1):  # several would divide the sums elsewhere in a larger stack
        if values.numel() > values.shape[axis]:
            return torch.sum(values, axis, out=out)
        alone = torch.stack([values, values]).sum(axis)[0]
    return alone if out is None else out.copy_(alone)


def _misfit(a: Tensor, b: Tensor) -> ValueError:
    return ValueError(
        f"cannot multiply matrices of shapes {tuple(a.shape)} and {tuple(b.shape)}: expected "
        "(*t, n, i) and (*t, i, m) with the same i and equal trial axes (or 1 for a shared one)"
    )
