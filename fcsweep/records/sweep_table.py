"""A sweep as one table: ``trials.csv`` in its folder, and what is shown at its end.

A row a job, read from the records that the runs left, as data. A record that is missing or damaged
is a row that says so.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fcsweep.config import flat
from fcsweep.records.reader import changed_since, look
from fcsweep.system.atomic import write_atomically

FILE = "trials.csv"


@dataclass(frozen=True)
class Row:
    """What is known of one job."""

    number: int
    """Of the job in its sweep, from 0."""
    status: str
    """As recorded; ``missing`` without a record, ``damaged`` with one that cannot be read."""
    value: float | None
    """The objective, a fraction; None if the run has none."""
    best_val_accuracy: float | None
    best_train_accuracy: float | None
    seconds: float | None
    """Time the run took."""
    folder: Path
    config: Mapping[str, Any]
    """The saved config by its dotted keys; empty if it cannot be read."""
    reason: str
    """Why it ended as it did, one line; empty if there is nothing to say."""

    @property
    def failed(self) -> bool:
        """Whether the job left no result that counts."""
        return self.status in ("failed", "missing", "damaged", "running", "interrupted")


def write(folder: str | Path, rows: Sequence[Row] | None = None) -> Sequence[Row]:
    """Write the runs of a sweep to ``trials.csv`` in its folder, atomically.

    Columns: ``number, status, value``, the config keys that differ, ``seconds, folder``. Floats are
    written by ``repr``, lists as JSON; a cell is empty where a run has no such value.

    Args:
        folder: of the sweep.
        rows: what `load` has read there; read now if absent.

    Returns:
        The rows.

    Raises:
        RecordError: The file cannot be written; what was there before is unchanged.
    """
    rows = load(folder) if rows is None else rows
    keys = differing(rows)
    text = io.StringIO()
    out = csv.writer(text, lineterminator="\n")
    out.writerow(["number", "status", "value", *keys, "seconds", "folder"])
    for row in rows:
        config = [as_text(row.config.get(key)) for key in keys]
        ends = [as_text(row.seconds), row.folder.as_posix()]
        out.writerow([row.number, row.status, as_text(row.value), *config, *ends])
    write_atomically(Path(folder) / FILE, text.getvalue().encode())
    return rows


def end_lost(folder: str | Path) -> None:
    """Correct the records of the jobs of a sweep whose processes were killed, when it ends."""
    from fcsweep.records import writer

    for run in _numbered(folder):
        writer.end_lost(run)


def load(folder: str | Path) -> list[Row]:
    """A row for each numbered folder of a sweep, by number; writes nothing."""
    return [_row(path) for path in _numbered(folder)]


def best(rows: Sequence[Row]) -> Row | None:
    """The row with the largest value, the first of equals; None if no row has one."""
    valued = [row for row in rows if row.value is not None]
    return max(valued, key=lambda row: (row.value, -row.number), default=None)


def ties(others: int) -> str:
    """``; 7 others reach it``, after what is said of the best; nothing if there are none."""
    return f"; {others} other{'s reach' if others > 1 else ' reaches'} it" if others else ""


def differing(rows: Sequence[Row]) -> list[str]:
    """The config keys that have more than one value among the rows, in the order of the config.

    A key that only some options of a group have counts when its values differ among those.
    """
    values: dict[str, set[str]] = {}
    for row in rows:
        for key, value in row.config.items():
            values.setdefault(key, set()).add(_compared(value))
    return [key for key, found in values.items() if len(found) > 1]


def _numbered(folder: str | Path) -> list[Path]:
    """The folders of the jobs of a sweep, by number."""
    numbered = [path for path in Path(folder).iterdir() if path.name.isdecimal() and path.is_dir()]
    return sorted(numbered, key=lambda path: int(path.name))


def _row(folder: Path) -> Row:
    found = look(folder)
    damage = found.damage or changed_since(folder, found)
    result = {} if damage or found.result is None else found.result
    return Row(
        number=int(folder.name),
        status="damaged" if damage else result.get("status", "missing"),
        value=result.get("value"),
        best_val_accuracy=result.get("best_val_accuracy"),
        best_train_accuracy=result.get("best_train_accuracy"),
        seconds=result.get("seconds"),
        folder=folder,
        config=flat(found.config or {}),
        reason=" ".join(str(damage or result.get("reason") or "").split()),
    )


def as_text(value: object) -> str:
    """A value as a user would write it on the command line; nothing for null."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    return repr(value) if isinstance(value, float) else json.dumps(value, default=str)


def _compared(value: object) -> str:
    """Equal for equal values, whether an older record has 1 or 1.0."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return repr(float(value))
    return json.dumps(value, default=str)
