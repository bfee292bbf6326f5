"""How much of the variation of outcomes a parameter explains alone."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any

from fcsweep.records.sweep_table import comparable

MOST_GROUPS, LEAST_IN_GROUP = 8, 5
"""Of outcomes with neighbouring values of a number."""


def explained(outcomes: Sequence[float], values: Sequence[Any], choice: bool) -> float | None:
    """The correlation ratio of the ranks of the outcomes, corrected for chance.

    Epsilon squared (Kelley, 1935): 1 where the parameter decides the order of the outcomes, 0 where
    it says nothing of it. Outcomes are grouped by the values of a choice, or by neighbouring values
    of a number.

    Args:
        outcomes: of each run.
        values: of the parameter in each run.
        choice: whether the values have no order.

    Returns:
        A fraction; None if all outcomes or all values are equal.
    """
    ranks = _ranks(outcomes)
    grouped: dict[Hashable, list[float]] = {}
    for group, rank in zip(_groups(values, choice), ranks, strict=True):
        grouped.setdefault(group, []).append(rank)
    total, within = _variation(ranks), sum(map(_variation, grouped.values()))
    if len(grouped) < 2 or not total:
        return None
    spare = len(ranks) - len(grouped)
    return max(0.0, 1 - within / spare * (len(ranks) - 1) / total) if spare else 0.0


def _groups(values: Sequence[Any], choice: bool) -> list[Hashable]:
    """The group that each value is in: equal ones together, and neighbours of a number."""
    if choice:
        return [comparable(value) for value in values]
    most = max(2, min(MOST_GROUPS, len(values) // LEAST_IN_GROUP))
    if len(set(values)) <= most:
        return list(values)
    return [int(most * rank / len(values)) for rank in _ranks(values)]


def _ranks(values: Sequence[float]) -> list[float]:
    """From 0; equal values share the mean of theirs."""
    places: dict[float, list[int]] = {}
    for place, value in enumerate(sorted(values)):
        places.setdefault(value, []).append(place)
    return [(places[value][0] + places[value][-1]) / 2 for value in values]


def _variation(values: Sequence[float]) -> float:
    mean = sum(values) / len(values)
    return sum((value - mean) ** 2 for value in values)
