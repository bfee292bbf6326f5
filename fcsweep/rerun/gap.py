"""How far the numbers of a run and of its rerun lie apart, where their bits are not equal.

Another kind of processor adds in another order, so that the last bits differ. Everything
else must be equal: texts, counts, how many numbers there are.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load

from fcsweep.messages.errors import FolderError
from fcsweep.records.evidence import Evidence, largest
from fcsweep.records.filenames import BEST, HISTORY, LOSSES, RESULT
from fcsweep.records.reader import losses_of
from fcsweep.system.bounded import read_bounded

TOLERANCE = 1e-6
"""Relative to the larger number, but to 1 for numbers below 1."""

EXACT_COLUMNS = ("epoch", "step")
BITS = ("seconds", "best_sha256")
"""Keys of ``result.json`` that are compared elsewhere, or not at all."""

PROCESSOR = ("cpu_name", "cpu_capability", "device_name")
"""Facts of ``provenance.json``; at least one differs on another processor."""


@dataclass(frozen=True)
class Gap:
    """The largest distance between two numbers that should be the same."""

    size: float
    """Relative, as for `TOLERANCE`."""
    file: str

    @property
    def tolerable(self) -> bool:
        """Whether it is as small as another processor makes it."""
        return self.size <= TOLERANCE

    def __str__(self) -> str:
        return f"largest difference {self.size:.1e} in {self.file}"


def on_another_processor(then: Mapping[str, Any], now: Mapping[str, Any]) -> bool:
    """Whether two ``provenance.json`` name different processors."""
    return any(then.get(fact) != now.get(fact) for fact in PROCESSOR)


def largest_gap(run: Evidence, again: Path) -> Gap | None:
    """How far a run and its rerun lie apart; None if not only numbers differ.

    Args:
        run: as recorded.
        again: folder of the rerun.
    """
    try:
        return max(_gaps(run, again), key=lambda gap: gap.size)
    except (ValueError, KeyError, OSError, FolderError, SafetensorError):
        return None  # another form, which no processor explains


def _gaps(run: Evidence, again: Path) -> Iterator[Gap]:
    """The gap of each file; raises where it has another form."""
    history = run.in_its_columns((again / HISTORY).read_bytes())
    yield Gap(_in_tables(_columns(run.history), _columns(history)), HISTORY)
    yield Gap(_largest_distance(run.losses, losses_of((again / LOSSES).read_bytes())), LOSSES)
    yield Gap(_in_results(run.result, json.loads((again / RESULT).read_text())), RESULT)
    yield Gap(_in_parameters(run, again), BEST)


def _columns(history: bytes) -> dict[str, list[str]]:
    heading, *rows = csv.reader(history.decode().splitlines(), strict=True)
    return dict(zip(heading, map(list, zip(*rows, strict=True)), strict=True))


def _in_tables(one: Mapping[str, list[str]], other: Mapping[str, list[str]]) -> float:
    _same(list(one), list(other))
    for name in EXACT_COLUMNS:
        _same(one[name], other[name])
    return max(_largest_distance(_numbers(one[name]), _numbers(other[name])) for name in one)


def _numbers(cells: list[str]) -> NDArray[Any]:
    """A column; what was not evaluated is NaN."""
    return np.array([cell or "nan" for cell in cells], np.float64)


def _in_results(one: Mapping[str, Any], other: Mapping[str, Any]) -> float:
    numbers = [key for key, value in one.items() if isinstance(value, float) and key not in BITS]
    exact = [key for key in {**one, **other} if key not in (*numbers, *BITS)]
    _same([one[key] for key in exact], [other[key] for key in exact])
    pairs = ([float(result[key]) for key in numbers] for result in (one, other))
    return _largest_distance(*map(np.array, pairs))


def _in_parameters(run: Evidence, again: Path) -> float:
    most = largest(run.config, run.epochs)[BEST]
    there = [(folder / BEST).exists() for folder in (run.folder, again)]
    if not any(there):
        return 0.0
    one, other = (load(read_bounded(folder / BEST, most)) for folder in (run.folder, again))
    _same(sorted(one), sorted(other))
    return max(_largest_distance(one[name], other[name]) for name in one)


def _largest_distance(one: NDArray[Any], other: NDArray[Any]) -> float:
    """The largest distance of two arrays; equal infinities, and NaN at the same place, are equal.

    Raises:
        ValueError: they have other shapes or types, or one is not finite where the other is.
    """
    _same((one.shape, one.dtype), (other.shape, other.dtype))
    a, b = one.astype(np.float64), other.astype(np.float64)
    finite = np.isfinite(a) & np.isfinite(b)
    if not np.array_equal(a[~finite], b[~finite], equal_nan=True):
        raise ValueError("only one of them is finite")
    a, b = a[finite], b[finite]
    scale = np.maximum(1.0, np.maximum(np.abs(a), np.abs(b)))
    return float((np.abs(a - b) / scale).max(initial=0.0))


def _same(one: object, other: object) -> None:
    if one != other:
        raise ValueError("they have another form")
