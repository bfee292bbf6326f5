"""Tensors of one value a trial as Python numbers: a number for one trial, a list for a stack."""

from __future__ import annotations

from typing import Any, TypeVar

from torch import Tensor

_T = TypeVar("_T", bound=float | None)
OneOrEach = _T | list[_T]
"""A value for a single trial, a list with one each for a stack."""


def numbers(values: Tensor) -> Any:
    """A number, or a list for each axis; which of them, the type of a tensor does not tell."""
    return values.tolist()  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]


def each(values: OneOrEach[_T]) -> list[_T]:
    """A list with one value a trial, also for a single trial."""
    return values if isinstance(values, list) else [values]
