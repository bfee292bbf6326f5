"""The class or the quantity of each row, from the column that is to be predicted."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from fcsweep.data.tables.splits import Places
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

    @property
    def groups(self) -> NDArray[np.int64]:
        """``(n,)``: rows that are split alike."""
        return self.labels

    def of(self, rows: Places, dtype: torch.dtype) -> Tensor:
        """What a net learns of some rows: ``(len(rows),)`` int64."""
        return torch.from_numpy(self.labels[rows])


@dataclass(frozen=True, eq=False)
class Quantity:
    """A number for each row.

    Attributes:
        values: ``(n,)``, finite.
        mean: Of the training rows.
        deviation: Of the training rows, > 0.
    """

    values: NDArray[np.float64]
    mean: float = 0.0
    deviation: float = 1.0

    names: ClassVar[list[str]] = ["a quantity"]
    """There is one number to predict."""

    @property
    def groups(self) -> NDArray[np.int64]:
        """``(n,)``: rows that are split alike: all."""
        return np.zeros(len(self.values), np.int64)

    def fitted(self, train: Places) -> Quantity:
        """Standardised by the training rows.

        Raises:
            DataError: They are all the same.
        """
        known = self.values[train]
        if not known.std() > 0:
            raise DataError("the target is the same in all training rows; expected several values")
        return replace(self, mean=float(known.mean()), deviation=float(known.std()))

    def of(self, rows: Places, dtype: torch.dtype) -> Tensor:
        """What a net learns of some rows: ``(len(rows),)``, standardised."""
        return torch.from_numpy((self.values[rows] - self.mean) / self.deviation).to(dtype)


def target_of(column: pd.Series, task: str | None) -> Classes | Quantity:
    """The classes or quantities in a column without missing values.

    Args:
        column: the target.
        task: as ``data.task``; None to tell by the values.

    Raises:
        DataError: It has one class, or too many; or no finite numbers.
    """
    if (task or _task(column)) == "regression":
        return _quantity(column)
    labels, values = pd.factorize(column, sort=True)
    if not 2 <= len(values) <= MOST_CLASSES:
        raise DataError(
            f"data.target={column.name} has {len(values):,} classes; expected 2 to {MOST_CLASSES:,}"
        )
    return Classes(labels.astype(np.int64), [_name(value) for value in values])


def _quantity(column: pd.Series) -> Quantity:
    plain = pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column)
    if not plain or pd.api.types.is_complex_dtype(column):
        raise DataError(
            f"data.target={column.name} is no quantity; expected numbers with data.task=regression"
        )
    values = column.to_numpy(np.float64)
    if not np.isfinite(values).all():
        place = int(np.flatnonzero(~np.isfinite(values))[0])
        raise DataError(
            f"data.target={column.name} has {values[place]} in row {place + 1}; expected a finite "
            "number"
        )
    return Quantity(values)


def _task(column: pd.Series) -> str:
    if not pd.api.types.is_numeric_dtype(column) or pd.api.types.is_bool_dtype(column):
        return "classification"
    whole = bool((column % 1 == 0).all())
    return "classification" if whole and column.nunique() <= LIKELY_CLASSES else "regression"


def _name(value: object) -> str:
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
