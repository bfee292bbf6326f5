"""Which rows train, validate and test."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fcsweep.config import Rows
from fcsweep.messages.errors import DataError
from fcsweep.messages.wording import join

Places = NDArray[np.intp]
"""Positions of rows in a table."""


class Splits(NamedTuple):
    """The rows of each split, in the order in which they are used."""

    train: Places
    val: Places
    test: Places


def by_fractions(labels: NDArray[np.int64], val: float, test: float, seed: int) -> Splits:
    """Random rows, of each class alike, and of each class at least one for training.

    The rows are shuffled and laid out class by class; at equal distances along this line lie those
    of a split. numpy's policy (NEP 19) freezes the stream of `RandomState`.

    Args:
        labels: ``(n,)``, the class of each row.
        val: fraction of the rows.
        test: fraction of the rows.
        seed: of the shuffle.
    """
    n = len(labels)
    shuffled = np.random.RandomState(seed).permutation(n)
    line = shuffled[np.argsort(labels[shuffled], kind="stable")]
    first = np.concatenate([[True], labels[line[1:]] != labels[line[:-1]]])
    test_rows = _spread(line[~first], round(n * test))
    left = line[~first & ~np.isin(line, test_rows)]
    val_rows = _spread(left, round(n * val))
    taken = np.zeros(n, bool)
    taken[test_rows] = taken[val_rows] = True
    return Splits(
        shuffled[~taken[shuffled]], *(_in_order(one, shuffled) for one in (val_rows, test_rows))
    )


def by_column(column: pd.Series) -> Splits:
    """The rows that a column calls ``train``, ``val`` and ``test``.

    Raises:
        DataError: It has another value.
    """
    words: Any = column.astype(str)
    if len(wrong := words[~words.isin(Rows._fields)]):
        raise DataError(
            f"data.split_column={column.name} has {wrong.iloc[0]!r:.40} in row "
            f"{wrong.index[0] + 1}; expected {join(Rows._fields)}"
        )
    return Splits(*(np.flatnonzero(words == split) for split in Rows._fields))


def _spread(line: Places, count: int) -> Places:
    """So many rows, at equal distances along a line of them; all, if there are not so many."""
    count = min(count, len(line))
    return line[((np.arange(count) + 0.5) * len(line) / max(count, 1)).astype(np.intp)]


def _in_order(rows: Places, shuffled: Places) -> Places:
    """The rows as they were shuffled, so that the first of a split are of all classes."""
    return shuffled[np.isin(shuffled, rows)]
