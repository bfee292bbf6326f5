"""Runs as tables of pandas: a row a run, a row an epoch, a row a step.

Each function takes the folder of a run, of a sweep, or any folder that holds some, such as
``multirun/``; also while they are written. Nothing is written, nothing that is read is executed. A
record that cannot be read costs only itself: it is named in the column ``damage`` and in one
warning.
"""

from __future__ import annotations

import csv
import json
import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd  # pyright: ignore[reportMissingTypeStubs]

from fcsweep.messages.wording import one_line
from fcsweep.records.filenames import HISTORY, LOSSES, find_runs, place
from fcsweep.records.formats import HISTORY_COLUMNS, Result
from fcsweep.records.reader import losses_of, none_of_others, read_columns, read_run
from fcsweep.system.bounded import read_bounded

LARGEST = 100_000_000  # bytes of a history, or of the losses: 25 million steps
MOST_NAMED = 5

KINDS: dict[str, str] = {
    "number": "Int64",
    "value": "float64",
    "best_val_accuracy": "float64",
    "best_train_accuracy": "float64",
    "best_epoch": "Int64",
    "epochs": "Int64",
    "target": "float64",
    "target_reached": "boolean",
    "seconds": "float64",
}
"""Columns of runs whose type does not depend on what a sweep holds."""
TEXTS = ("folder", "sweep", "status", "reason", "damage", "objective", "best_sha256")
PLACE = ("folder", "sweep", "number")
HISTORY_KINDS = {"epoch": "int64", "step": "int64"}  # the others are floats


class DamageWarning(UserWarning):
    """Some records cannot be read; the text counts and names them."""


def load_runs(folder: str | Path) -> pd.DataFrame:
    """Every run in a folder, a row each, sorted by folder and number.

    Columns: ``folder``, ``sweep`` (its folder, missing for a single run) and ``number`` (of the job
    in it); ``status`` as recorded, or ``missing`` before the first record, or ``damaged``;
    ``damage``, which file cannot be read, or was changed after the run had ended; the other keys of
    ``result.json``, missing for a damaged run; the config by its dotted keys
    (``model.weight_scale``), lists as text; ``provenance.`` with the keys of ``provenance.json``
    (``provenance.versions.torch``).

    Each file of a run that has ended is compared with the sha256 in ``provenance.json``, the
    parameters too: 1,000 small runs take a third of a second longer for it, and a gigabyte of
    parameters about one.

    Args:
        folder: of a run, of a sweep, or one that holds some.

    Raises:
        FolderError: it is not a folder, or holds runs of another Hydra app.

    Warns:
        DamageWarning: records cannot be read, or were changed.
    """
    found = none_of_others(folder, find_runs(folder))
    rows = [read_run(run).row for run in found]
    _warn_of([(row["folder"], row["damage"]) for row in rows if row["damage"]], len(rows))
    return table_of(rows, _head())


def load_history(folder: str | Path) -> pd.DataFrame:
    """Every epoch of every run in a folder: a long table, in the order of `load_runs`.

    Columns: ``folder``, ``sweep``, ``number``, and those of ``history.csv``: ``epoch``, ``step``
    (counts), ``loss`` (nats or margin units; inf or NaN where a run diverged), ``train_accuracy``,
    ``val_accuracy`` (fractions; NaN where not evaluated), ``learning_rate``, ``val_loss`` (without
    the L2 term; NaN where not evaluated, and of runs that were recorded before there was one). Then
    ``train_`` and ``val_`` of each objective that is none of these, such as ``val_log_loss``; NaN
    of runs that are judged by another.

    Raises, warns: as `load_runs`; a history that cannot be read has no rows.
    """
    columns = _long(folder, HISTORY, _history, HISTORY_COLUMNS)
    return pd.DataFrame(
        {
            name: _narrow(name, values)
            if name in PLACE
            else np.array(values, HISTORY_KINDS.get(name, "float64"))
            for name, values in columns.items()
        }
    )


def load_losses(folder: str | Path) -> pd.DataFrame:
    """Every step of every run in a folder: a long table, in the order of `load_runs`.

    Columns: ``folder``, ``sweep``, ``number``, ``step`` (from 1) and ``loss`` (of its minibatch,
    with the L2 term).

    Raises, warns: as `load_runs`; losses that cannot be read have no rows.
    """
    columns = _long(folder, LOSSES, _losses, ["step", "loss"])
    kinds = {"step": "int64", "loss": "float64"}
    return pd.DataFrame(
        {
            name: _narrow(name, values) if name in PLACE else np.array(values, kinds[name])
            for name, values in columns.items()
        }
    )


def load_speeds(results: str | Path) -> pd.DataFrame:
    """Trials per second by stack size: ``stack_size_*.json`` of ``benchmarks/results``.

    Columns: ``device``, ``task`` (data and layers), ``stack`` (trials), ``trials_per_second``,
    and ``times_alone``, the speed as a multiple of that of a trial alone on the same device.
    """
    rows = [
        {"device": record["device"], "task": task, "stack": int(stack), "trials_per_second": rate}
        for file in sorted(Path(results).glob("stack_size_*.json"))
        for record in [json.loads(file.read_bytes())]
        for task, rates in record["sizes"].items()
        for stack, rate in rates.items()
    ]
    table = pd.DataFrame(rows, columns=["device", "task", "stack", "trials_per_second"])
    alone = {(row["device"], row["task"]): row["trials_per_second"] for row in rows[::-1]}
    speeds = [row["trials_per_second"] / alone[row["device"], row["task"]] for row in rows]
    return table.assign(times_alone=speeds)  # pyright: ignore[reportUnknownMemberType]


def table_of(rows: Sequence[Mapping[str, Any]], head: Sequence[str]) -> pd.DataFrame:
    """Rows as a table whose columns, those of ``head`` first, have the narrowest types."""
    names = dict.fromkeys([*head, *(name for row in rows for name in row)])
    columns = {name: [row.get(name) for row in rows] for name in names}
    return pd.DataFrame({name: _narrow(name, values) for name, values in columns.items()})


def column(table: pd.DataFrame, name: str) -> pd.Series:
    """One column of a table; ``table[name]`` may be several to a type checker."""
    return cast("pd.Series", table[name])


def _history(path: Path) -> dict[str, list[float]]:
    """The columns of ``history.csv``; an empty cell is NaN."""
    read = read_columns(path)
    names = [*HISTORY_COLUMNS, *read.names]
    columns = zip(names, vars(read).values(), strict=False)
    return {name: [math.nan if one is None else one for one in column] for name, column in columns}


def _losses(path: Path) -> dict[str, list[float]]:
    """Steps and losses."""
    losses = losses_of(read_bounded(path, LARGEST))
    steps = [float(step) for step in range(1, len(losses) + 1)]
    return {"step": steps, "loss": losses.astype(np.float64).tolist()}


# --- Tables ---------------------------------------------------------------------------------------


def _long(
    folder: str | Path,
    file: str,
    read: Callable[[Path], dict[str, list[float]]],
    names: Sequence[str],
) -> dict[str, list[Any]]:
    """The columns that ``read`` finds in a file of each run, one run after the other.

    A column that only some files have is NaN of the others.
    """
    columns: dict[str, list[Any]] = {name: [] for name in (*PLACE, *names)}
    damages, runs = list[tuple[str, str]](), find_runs(folder)
    for run in runs:
        try:
            parts = read(run / file)
        except FileNotFoundError:  # not yet written
            continue
        except (OSError, ValueError, EOFError, csv.Error) as error:
            damages.append((str(run), f"{run / file} cannot be read: {one_line(error)}"))
            continue
        before, count = len(columns["folder"]), len(parts[names[0]])
        for name in parts:
            columns.setdefault(name, [math.nan] * before)
        for name, value in place(run).items():
            columns[name] += [value] * count
        for name in columns.keys() - PLACE:
            columns[name] += parts.get(name, [math.nan] * count)
    _warn_of(damages, len(runs))
    return columns


def _head() -> list[str]:
    first = [*PLACE, "status", "reason", "damage", "objective"]
    return [*first, *(field.name for field in fields(Result) if field.name not in first)]


def _narrow(name: str, values: Sequence[Any]) -> pd.Series:
    """A column in the narrowest type that holds its values; missing ones stay missing."""
    if name in KINDS:
        return pd.Series(list(values), dtype=KINDS[name])
    there = [value for value in values if value is not None]
    kinds: set[type[object]] = {type(value) for value in there}
    if name not in TEXTS and there:
        if kinds == {bool}:
            return pd.Series(list(values), dtype="boolean")
        if kinds == {int} and all(abs(value) < 2**63 for value in there):
            return pd.Series(list(values), dtype="Int64")
        if kinds <= {int, float}:
            return pd.Series([_float(value) for value in values], dtype="float64")
    return pd.Series([None if v is None else _text(v) for v in values], dtype="str")


def _float(value: float | None) -> float:
    try:
        return math.nan if value is None else float(value)
    except OverflowError:
        return math.inf


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, default=str)


def _warn_of(damages: Sequence[tuple[str, str]], runs: int) -> None:
    if not damages:
        return
    named = "; ".join(text for _, text in damages[:MOST_NAMED])
    more = f"; and {len(damages) - MOST_NAMED} more" if len(damages) > MOST_NAMED else ""
    are = "is" if runs == 1 else "are"
    text = f"{len(damages)} of {runs} runs {are} damaged: {named}{more}"
    warnings.warn(text, DamageWarning, stacklevel=3)
