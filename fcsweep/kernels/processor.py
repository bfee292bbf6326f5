"""Which library multiplies large matrices: decided by what the processor is, never by a stopwatch.

Two runs on one machine would get different bits from two libraries.
"""

from __future__ import annotations

import platform
from functools import cache
from pathlib import Path

import torch
from torch import Tensor


@cache
def vendor() -> str:
    """Who made the processor, as it says itself: ``GenuineIntel``; empty where it does not."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:  # not Linux; Windows ends "Intel64 Family 6 Model 143, GenuineIntel" so
        return platform.processor().rpartition(" ")[2]
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("vendor_id")]
    return next(iter(named), "")


@cache
def library() -> str:
    """The library of large float32 products on the CPU: ``mkl``, ``onednn`` or ``torch``.

    MKL is the faster one on Intel's processors, oneDNN on AMD's. ``torch`` is what ``torch.bmm``
    calls where there is neither: OpenBLAS or Accelerate on ARM.
    """
    if vendor() == "GenuineIntel" and torch.backends.mkl.is_available():
        return "mkl"
    return "onednn" if _one_dnn_answers() else "torch"


def by_one_dnn(matrices: Tensor) -> bool:
    """Whether oneDNN multiplies these matrices if they are large."""
    return matrices.is_cpu and matrices.dtype == torch.float32 and library() == "onednn"


def by_mkl(matrices: Tensor) -> bool:
    """Whether MKL multiplies these matrices, of whatever size."""
    return matrices.is_cpu and library() == "mkl"


def one_dnn_product(left: Tensor, right: Tensor) -> Tensor:
    """``left (m, i)`` times the transposed ``right (n, i)``, in new memory."""
    # torch has no public name for it; torch.compile calls it too
    return torch.ops.mkldnn._linear_pointwise.default(left, right, None, "none", [], "")


@cache
def _one_dnn_answers() -> bool:
    """Whether this torch has oneDNN, under the name and in the form used here."""
    pair = torch.ones(2, 2)
    try:
        return one_dnn_product(pair, pair).shape == pair.shape
    except (AttributeError, RuntimeError, TypeError):
        return False
