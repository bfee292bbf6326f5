"""Ways to multiply the matrices of a stack, and how many threads a product may use."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial

import torch
from torch import Tensor

from fcsweep.kernels.processor import by_mkl, one_dnn_product

Layout = tuple[tuple[int, ...], tuple[int, ...]]
"""Sizes and strides of a matrix."""

TRIES = 8
"""Pairs of factors on which it is tried out whether bits differ: a corner of the result may be all
that does."""


class OneByOne:
    """``left (k, m, i)`` times the transposed ``right (k, n, i)`` by oneDNN, trial by trial."""

    def __init__(self, left: Tensor, right: Tensor, result: Tensor) -> None:
        k = len(result)
        factors = left.expand(k, -1, -1).unbind(), right.expand(k, -1, -1).unbind()
        self._trials = [*zip(*factors, result.unbind(), strict=True)]

    def __call__(self) -> None:
        """Multiply."""
        for left, right, result in self._trials:
            result.copy_(one_dnn_product(left, right))


class AtOnce:
    """``left (k, m, i)`` times the transposed ``right (n, i)``, which all trials share.

    The whole stack is one product of ``k m`` rows. ``plus (k, m, 1)`` is added to the result, while
    it is moved if it has to be: oneDNN always computes in new memory; MKL, and cuBLAS on a GPU,
    where the result lies.
    """

    def __init__(
        self, left: Tensor, right: Tensor, result: Tensor, plus: Tensor | None = None
    ) -> None:
        self._left, self._right, self._result = left.flatten(0, 1), right, result
        self._plus = plus
        self._kernel = _product if by_mkl(left) or not left.is_cpu else one_dnn_product
        in_place = self._kernel is _product and result.is_contiguous()
        self._rows = result.flatten(0, 1) if in_place else None

    def __call__(self) -> None:
        """Multiply."""
        if self._rows is not None:
            torch.mm(self._left, self._right.mT, out=self._rows)
            if self._plus is not None:
                self._result.add_(self._plus)
        elif self._plus is None:
            self._result.copy_(self._multiply())
        else:
            torch.add(self._multiply(), self._plus, out=self._result)

    def rows(self) -> Tensor:
        """``(k, m, n)`` in new memory."""
        rows = self._multiply()
        return rows if self._plus is None else rows.add_(self._plus)

    def _multiply(self) -> Tensor:
        return self._kernel(self._left, self._right).view_as(self._result)

    @classmethod
    def same_bits(cls, left: Tensor, right: Tensor, one_dnn: bool) -> bool:
        """Whether each trial would get the bits that it gets alone, by oneDNN if ``one_dnn``.

        On a GPU nobody has promised that.
        """
        if not left.is_cpu:
            return True
        shape, layout = (*left.shape, len(right)), right.stride()
        return cls._check_bits(shape, layout, left.dtype, one_dnn, torch.get_num_threads())

    @staticmethod
    @cache
    def _check_bits(
        shape: tuple[int, int, int, int],
        layout: tuple[int, int],
        dtype: torch.dtype,
        one_dnn: bool,
        threads: int,
    ) -> bool:
        k, m, i, n = shape
        source = torch.Generator().manual_seed(0)
        pair = torch.empty(2, m, i, dtype=dtype)
        right = torch.empty_strided((n, i), layout, dtype=dtype)
        expected, result = (torch.empty(rows, m, n, dtype=dtype) for rows in (2, k))
        batched = partial(torch.bmm, pair, right.mT.expand(2, i, n), out=expected)
        alone = in_threads(1, OneByOne(pair, right[None], expected) if one_dnn else batched)

        def same() -> bool:
            _let_sums_cancel(pair, right, source)
            alone()
            AtOnce(pair.repeat(-(-k // 2), 1, 1)[:k], right, result)()
            return torch.equal(result, expected.repeat(-(-k // 2), 1, 1)[:k])

        return all(same() for _ in range(TRIES // 2))


def in_threads(most: int | None, compute: Callable[[], object]) -> Callable[[], object]:
    """The function, limited to so many of torch's threads; None sets no limit."""
    threads = torch.get_num_threads()
    if most is None or threads <= most:
        return compute

    def compute_in_threads() -> None:
        torch.set_num_threads(most)
        try:
            compute()
        finally:
            torch.set_num_threads(threads)

    return compute_in_threads


def threads_agree(one_dnn: bool, left: Tensor, right: Tensor) -> bool:
    """Whether ``left (m, i)`` times the transposed ``right (n, i)`` has the bits of one thread."""
    threads = torch.get_num_threads()
    if threads == 1 or not left.is_cpu:
        return True
    layouts = [(tuple(t.shape), t.stride()) for t in (left, right)]
    return _same_bits(one_dnn, *layouts, left.dtype, threads)


@cache
def _same_bits(
    one_dnn: bool, left: Layout, right: Layout, dtype: torch.dtype, threads: int
) -> bool:
    source = torch.Generator().manual_seed(0)
    a, b = (
        torch.empty_strided((1, *shape), (0, *stride), dtype=dtype)
        for shape, stride in (left, right)
    )
    results = [torch.empty(1, a.shape[1], b.shape[1], dtype=dtype) for _ in range(2)]
    ways = [
        in_threads(most, OneByOne(a, b, out) if one_dnn else partial(torch.bmm, a, b.mT, out=out))
        for out, most in zip(results, (threads, 1), strict=True)
    ]

    def same() -> bool:
        _let_sums_cancel(a, b, source)
        for multiply in ways:
            multiply()
        return torch.equal(*results)

    return all(same() for _ in range(TRIES))


def _let_sums_cancel(left: Tensor, right: Tensor, source: torch.Generator) -> None:
    """Fill factors ``(*, m, i)`` and ``(*, n, i)`` so that each sum of ``i`` products cancels.

    What is left are the errors of rounding, which are others in nine of ten sums if they add in
    another order.
    """
    for factor in (left, right):
        factor.copy_(torch.randn(factor.shape, generator=source, dtype=factor.dtype))
    order = torch.randperm(left.shape[-1], generator=source)
    half = len(order) // 2
    one, other, rest = order[:half], order[half : 2 * half], order[2 * half :]
    left[..., other] = left[..., one]
    right[..., other] = -right[..., one]
    left[..., rest] = 0


def _product(left: Tensor, right: Tensor) -> Tensor:
    return torch.mm(left, right.mT)
