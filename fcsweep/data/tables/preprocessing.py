"""``preprocessing.json``: what makes inputs of further rows of a table, by the training rows.

The numbers are written by ``repr``: further rows get the bits that they would have had in training.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from fcsweep.data.tables.columns import (
    Categories,
    Column,
    Numbers,
    Quantiles,
    Scaling,
    Standard,
    Unscaled,
    matrix,
)
from fcsweep.messages.errors import DataError
from fcsweep.messages.wording import hint, join

LARGEST = 1_000_000
"""Bytes of the file, at most."""
SCALES: dict[str, type[Scaling]] = {
    "none": Unscaled,
    "standard": Standard,
    "quantile": Quantiles,
}


def facts_of(
    columns: Sequence[Column], target: Mapping[str, Any], missing: str, decimal: str
) -> dict[str, Any] | None:
    """What the file holds; None where it would be too large.

    Args:
        columns: as fitted to the training rows.
        target: the column that is predicted, and the names of its classes; of a quantity mean and
            standard deviation.
        missing: as ``data.missing``.
        decimal: the decimal point in CSV.
    """
    told = {**target, "decimal": decimal, "missing": missing}
    facts = told | {"columns": [_facts(column) for column in columns]}
    try:
        size = len(json.dumps(facts, indent=2, allow_nan=False))
    except ValueError:  # numbers so large that their mean is infinite
        return None
    return facts if size <= LARGEST else None


def _facts(column: Column) -> dict[str, Any]:
    name = str(column.values.name)
    if isinstance(column, Numbers):
        scale = next(word for word, kind in SCALES.items() if isinstance(column.scaled, kind))
        scaling = {"scale": scale, **vars(column.scaled)}
        return {"name": name, "kind": "number", "filling": column.filling, **scaling}
    return {
        "name": name,
        "kind": "category",
        "text": column.text,
        "categories": [str(one) for one in column.known],
    }


def texts_of(facts: Mapping[str, Any]) -> list[str]:
    """The columns whose cells are read as text, whatever they look like."""
    return [one["name"] for one in facts["columns"] if one["kind"] == "category" and one["text"]]


def inputs(frame: pd.DataFrame, facts: Mapping[str, Any], dtype: Any) -> np.ndarray[Any, Any]:
    """The inputs ``(n, d)`` of the rows of a table.

    Args:
        frame: with the columns that the net was trained on; others are not looked at.
        facts: as `facts_of`.
        dtype: of numpy.

    Raises:
        DataError: A column is missing, or has what cannot be an input; one line that names it.
    """
    names = [one["name"] for one in facts["columns"]]
    there = [str(name) for name in frame.columns]
    if absent := [name for name in names if name not in there]:
        near = hint(absent[0], there)
        raise DataError(
            f"has no column {join(absent[:10])}{', ...' * (len(absent) > 10)}{near}; expected the "
            f"columns of the training table: {join(names[:10])}{', ...' * (len(names) > 10)}"
        )
    table: Any = frame
    fitted = [_column(table[one["name"]], one, facts["missing"]) for one in facts["columns"]]
    return matrix(fitted, np.arange(len(frame)), dtype, _row)


def _row(place: int) -> str:
    return f"row {place + 1}"


def _column(values: pd.Series, facts: Mapping[str, Any], missing: str) -> Column:
    name = facts["name"]
    if missing == "refuse" and values.isna().any():
        place = int(np.flatnonzero(values.isna())[0])
        raise DataError(
            f"column {name} has no value in {_row(place)}; fill it, or train with "
            "data.missing=median (or mean)"
        )
    if facts["kind"] == "category":
        return Categories(_as_known(values, facts), pd.Index(facts["categories"]), facts["text"])
    if values.isna().all():
        values = values.astype(float)
    if not pd.api.types.is_numeric_dtype(values) or pd.api.types.is_complex_dtype(values):
        place = _not_a_number(values)
        raise DataError(
            f"column {name} has {values.iloc[place]!r:.40} in {_row(place)}; expected numbers, as "
            "in training"
        )
    numbers = values.to_numpy(np.float64, na_value=np.nan)
    if np.isinf(numbers).any():
        place = int(np.flatnonzero(np.isinf(numbers))[0])
        raise DataError(
            f"column {name} has {numbers[place]} in {_row(place)}; expected a finite number"
        )
    return Numbers(values, _scaling(facts), facts["filling"])


def _scaling(facts: Mapping[str, Any]) -> Scaling:
    made = SCALES[facts["scale"]]
    return made(**{name: facts[name] for name in made.__dataclass_fields__})


def _not_a_number(values: pd.Series) -> int:
    """The place of the first value that is none."""
    numbers: Any = pd.to_numeric(values, errors="coerce")
    slips = np.flatnonzero(numbers.isna() & values.notna())
    return int(slips[0]) if len(slips) else 0


def _as_known(values: pd.Series, facts: Mapping[str, Any]) -> pd.Series:
    """Categories as the training rows write them: a code may be 3 in one file, 3.0 in another."""
    texts = values.map(str, na_action="ignore")
    if facts["text"]:
        return texts
    known = set(facts["categories"])
    return texts.map(lambda text: _code(text, known), na_action="ignore")


def _code(text: str, known: set[str]) -> str:
    if text in known:
        return text
    try:
        number = float(text)
        others = [str(number), str(int(number))]
    except (ValueError, OverflowError):
        return text
    same = number == int(number)
    return next((one for one in others if same and one in known), text)
