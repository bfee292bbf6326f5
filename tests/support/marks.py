"""Marks for the cases of a test."""

from collections.abc import Iterable
from typing import Any

import pytest


def one_quick(cases: Iterable[Any]) -> list[Any]:
    """The first case in every run of the tests, the others in those of the slow ones."""
    first, *others = cases
    return [first, *(pytest.param(*_values(one), marks=pytest.mark.slow) for one in others)]


def _values(case: Any) -> tuple[Any, ...]:
    return case if isinstance(case, tuple) else (case,)
