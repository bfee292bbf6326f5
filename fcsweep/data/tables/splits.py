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
    shuffled, line, first = _laid_out(labels, seed)
    test_rows = _spread(line[~first], round(len(labels) * test))
    left = line[~first & ~np.isin(line, test_rows)]
    return _cut(shuffled, _spread(left, round(len(labels) * val)), test_rows)


def by_folds(labels: NDArray[np.int64], folds: int, fold: int, test: float, seed: int) -> Splits:
    """One of several parts validates, of each class alike; the test rows are those of all folds.

    The rows are laid out as for `by_fractions`, and without the test rows dealt to the folds one by
    one: each of them validates in one fold, and the sizes of two folds differ by one row at most.

    Args:
        labels: ``(n,)``, the class of each row.
        folds: how many parts.
        fold: which of them validates.
        test: fraction of the rows.
        seed: of the shuffle.
    """
    shuffled, line, first = _laid_out(labels, seed)
    test_rows = _spread(line[~first], round(len(labels) * test))
    left = line[~np.isin(line, test_rows)]
    return _cut(shuffled, left[fold::folds], test_rows)


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


def _laid_out(labels: NDArray[np.int64], seed: int) -> tuple[Places, Places, NDArray[np.bool_]]:
    """All rows shuffled; then class by class; and which of these are the first of their class."""
    shuffled = np.random.RandomState(seed).permutation(len(labels))
    line = shuffled[np.argsort(labels[shuffled], kind="stable")]
    return shuffled, line, np.concatenate([[True], labels[line[1:]] != labels[line[:-1]]])


def _cut(shuffled: Places, val_rows: Places, test_rows: Places) -> Splits:
    taken = np.zeros(len(shuffled), bool)
    taken[test_rows] = taken[val_rows] = True
    return Splits(
        shuffled[~taken[shuffled]], *(_in_order(one, shuffled) for one in (val_rows, test_rows))
    )


def _spread(line: Places, count: int) -> Places:
    """So many rows, at equal distances along a line of them; all, if there are not so many."""
    count = min(count, len(line))
    return line[((np.arange(count) + 0.5) * len(line) / max(count, 1)).astype(np.intp)]


def _in_order(rows: Places, shuffled: Places) -> Places:
    """The rows as they were shuffled, so that the first of a split are of all classes."""
    return shuffled[np.isin(shuffled, rows)]
