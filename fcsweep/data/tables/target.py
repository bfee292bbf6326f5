"""The class of each row, from the column that is to be predicted."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fcsweep.messages.errors import DataError

MOST_CLASSES = 1_000
LIKELY_CLASSES = 50
"""Different whole numbers that are taken for classes, unless ``data.task`` says otherwise."""


@dataclass(frozen=True, eq=False)
class Classes:
    """The classes of the rows.

    Attributes:
        labels: ``(n,)`` int64, from 0.
        names: Of the classes, sorted as numbers or as text.
    """

    labels: NDArray[np.int64]
    names: list[str]


def classes_of(column: pd.Series, task: str | None) -> Classes:
    """The classes in a column without missing values.

    Args:
        column: the target.
        task: as ``data.task``; None to tell by the values.

    Raises:
        DataError: It is not for classification, or has one class, or too many.
    """
    if (task or _task(column)) == "regression":
        told = "" if task else " (set data.task=classification if its numbers are classes)"
        raise DataError(
            f"data.target={column.name} is a quantity, and regression is not there yet; expected "
            f"classes{told}"
        )
    labels, values = pd.factorize(column, sort=True)
    if not 2 <= len(values) <= MOST_CLASSES:
        raise DataError(
            f"data.target={column.name} has {len(values):,} classes; expected 2 to {MOST_CLASSES:,}"
        )
    return Classes(labels.astype(np.int64), [_name(value) for value in values])


def _task(column: pd.Series) -> str:
    if not pd.api.types.is_numeric_dtype(column) or pd.api.types.is_bool_dtype(column):
        return "classification"
    whole = bool((column % 1 == 0).all())
    return "classification" if whole and column.nunique() <= LIKELY_CLASSES else "regression"


def _name(value: object) -> str:
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
