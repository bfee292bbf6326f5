"""Columns of a table as numbers: scaled, filled and one-hot, by the training rows alone."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fcsweep.data.tables.splits import Places
from fcsweep.messages.errors import DataError

MOST_CATEGORIES = 1_000
"""Of a column; each is an input of its own."""
MOST_INPUTS = 100_000

DECIMAL_COMMA = re.compile(r"[+-]?\d+,\d+(e[+-]?\d+)?", re.I)
DATE = re.compile(r"\d{4}[-/.]\d{1,2}[-/.]\d{1,2}\b.*|\d{1,2}[-/.]\d{1,2}[-/.](\d{4}|\d{2})\b.*")

Where = Callable[[int], str]
"""How an error names the row at a position, such as ``row 3``."""


@dataclass(frozen=True)
class Unscaled:
    """Numbers as they are."""

    def __call__(self, numbers: NDArray[np.float64]) -> NDArray[np.float64]:
        """The inputs, ``(n,)``."""
        return numbers


@dataclass(frozen=True)
class Standard:
    """To mean 0 and standard deviation 1."""

    mean: float
    deviation: float

    def __call__(self, numbers: NDArray[np.float64]) -> NDArray[np.float64]:
        """The inputs, ``(n,)``."""
        return (numbers - self.mean) / (self.deviation or 1.0)


@dataclass(frozen=True)
class Quantiles:
    """To a normal distribution by rank."""

    quantiles: Sequence[float]
    """At equal distances, from the least number to the largest."""

    def __call__(self, numbers: NDArray[np.float64]) -> NDArray[np.float64]:
        """The inputs, ``(n,)``."""
        made = _transformer(len(self.quantiles))
        made.quantiles_ = np.array(self.quantiles)[:, None]
        made.references_ = np.linspace(0, 1, len(self.quantiles))
        made.n_quantiles_, made.n_features_in_ = len(self.quantiles), 1
        return made.transform(numbers[:, None])[:, 0]


Scaling = Unscaled | Standard | Quantiles


@dataclass(frozen=True, eq=False)
class Numbers:
    """A column of numbers: one input."""

    values: pd.Series
    scaled: Scaling
    filling: float
    width = 1

    def fill(self, out: NDArray[Any], rows: Places) -> None:
        """Write the input of some rows into ``out``, ``(len(rows), 1)``."""
        values = _floats(self.values)[rows]
        out[:, 0] = self.scaled(np.where(np.isnan(values), self.filling, values))


@dataclass(frozen=True, eq=False)
class Categories:
    """A column of categories: an input for each of the training rows, and one for all others."""

    values: pd.Series
    known: pd.Index
    text: bool
    """Whether they are text in the file, not codes that look like numbers."""

    @property
    def width(self) -> int:
        """Inputs."""
        return len(self.known) + 1

    def fill(self, out: NDArray[Any], rows: Places) -> None:
        """Write the inputs of some rows into ``out``, ``(len(rows), width)``."""
        codes = self.known.get_indexer(pd.Index(self.values.iloc[rows]))
        out[:] = 0
        out[np.arange(len(rows)), np.where(codes < 0, len(self.known), codes)] = 1


Column = Numbers | Categories


def columns_of(
    inputs: Sequence[pd.Series],
    train: Places,
    categories: Sequence[str],
    missing: str,
    scale: str,
    where: Where,
) -> list[Column]:
    """The inputs of a table, fitted to its training rows.

    Args:
        inputs: the columns.
        train: the training rows.
        categories: columns of numbers that are categories.
        missing: as ``data.missing``.
        scale: as ``data.scale``.
        where: names a row.

    Raises:
        DataError: A column cannot be an input; the line names it and the row.
    """
    found: list[Column] = []
    for values in inputs:
        name = str(values.name)
        if missing == "refuse" and values.isna().any():
            place = int(np.flatnonzero(values.isna())[0])
            raise DataError(
                f"column {name} has no value in {where(place)}; fill it, or set "
                "data.missing=median (or mean)"
            )
        number = pd.api.types.is_numeric_dtype(values) and name not in categories
        made = _numbers(values, train, missing, scale, where) if number else None
        found.append(made or _categories(values, train, name in categories, where))
    if not found:
        raise DataError("has no column but the target; expected an input")
    if (width := sum(one.width for one in found)) > MOST_INPUTS:
        raise DataError(f"has {width:,} inputs; expected at most {MOST_INPUTS:,}")
    return found


def matrix(columns: Sequence[Column], rows: Places, dtype: Any, where: Where) -> NDArray[Any]:
    """The inputs of some rows, ``(len(rows), inputs)``.

    Raises:
        DataError: A number is too large for ``dtype``.
    """
    out = np.empty((len(rows), sum(one.width for one in columns)), dtype)
    start = 0
    for column in columns:
        part = out[:, start : start + column.width]
        with np.errstate(over="ignore", invalid="ignore"):
            column.fill(part, rows)
        if not np.isfinite(part).all():
            place = int(rows[np.flatnonzero(~np.isfinite(part).all(axis=1))[0]])
            given = column.values.iloc[place]
            name, type_ = column.values.name, np.dtype(dtype)
            raise DataError(f"column {name} has {given} in {where(place)}, too large for {type_}")
        start += column.width
    return out


def _numbers(values: pd.Series, train: Places, missing: str, scale: str, where: Where) -> Numbers:
    if pd.api.types.is_complex_dtype(values):
        raise DataError(f"column {values.name} has complex numbers; expected real ones")
    numbers = _floats(values)
    if np.isinf(numbers).any():
        place = int(np.flatnonzero(np.isinf(numbers))[0])
        raise DataError(
            f"column {values.name} has {numbers[place]} in {where(place)}; expected a finite number"
        )
    known = numbers[train]
    known = known[~np.isnan(known)]
    if not len(known):
        raise DataError(f"column {values.name} has no value in the training rows; data.drop it")
    filling = float(np.median(known) if missing == "median" else known.mean())
    return Numbers(values, _scaling(known, scale), filling)


def _floats(values: pd.Series) -> NDArray[np.float64]:
    return values.to_numpy(np.float64, na_value=np.nan)


def _scaling(known: NDArray[np.float64], scale: str) -> Scaling:
    """The map of a column's numbers to inputs, by those of the training rows."""
    if scale == "none":
        return Unscaled()
    if scale == "quantile":
        made = _transformer(min(1_000, len(known)))
        made.fit(known[:, None])
        return Quantiles(made.quantiles_[:, 0].tolist())
    with np.errstate(over="ignore", invalid="ignore"):
        return Standard(float(known.mean()), float(known.std()))


def _transformer(quantiles: int) -> Any:
    from sklearn.preprocessing import QuantileTransformer

    normal: Any = "normal"
    return QuantileTransformer(n_quantiles=quantiles, output_distribution=normal, subsample=10**9)


def _categories(values: pd.Series, train: Places, named: bool, where: Where) -> Categories:
    text = pd.api.types.infer_dtype(values, skipna=True) == "string"
    if not named:
        _refuse_look_alikes(values, where)
    if pd.api.types.is_numeric_dtype(values) or pd.api.types.is_object_dtype(values):
        values = values.map(str, na_action="ignore")
    known = pd.Index(sorted(values.iloc[train].dropna().unique()))
    if len(known) > MOST_CATEGORIES:
        raise DataError(
            f"column {values.name} has {len(known):,} categories; expected at most "
            f"{MOST_CATEGORIES:,}: leave it out by data.drop=[{values.name}]"
        )
    return Categories(values, known, text)


def _refuse_look_alikes(values: pd.Series, where: Where) -> None:
    """Refuse what would silently be one category a row: numbers with a slip, and dates."""
    name = values.name
    if values.dtype.kind in "mM":
        raise DataError(f"column {name} has dates; {_NO_DATES} data.drop=[{name}]")
    texts = pd.Index(values.dropna().astype(str).unique())
    if date := _most(texts, DATE):
        raise DataError(f"column {name} has dates ({date}); {_NO_DATES} data.drop=[{name}]")
    if comma := _most(texts, DECIMAL_COMMA):
        raise DataError(f"column {name} has decimal commas ({comma}); set data.decimal=','")
    numbers: Any = pd.to_numeric(texts, errors="coerce")
    slips = texts[np.isnan(numbers.astype(float))]
    if 0 < len(slips) < len(texts) / 2:
        place = int(np.flatnonzero(values.astype(str).isin(slips) & values.notna())[0])
        raise DataError(
            f"column {name} has {values.iloc[place]!r:.40} in {where(place)}, and numbers "
            f"elsewhere; if they are categories, set data.categories=[{name}]"
        )


_NO_DATES = "make numbers of them, or"


def _most(texts: pd.Index, pattern: re.Pattern[str]) -> str | None:
    """An example, if most of the texts are such."""
    found = [text for text in texts if pattern.fullmatch(text)]
    return found[0] if len(found) > len(texts) / 2 else None
