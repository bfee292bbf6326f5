"""What a tracker receives of a run, live or afterwards."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

from fcsweep.config import flat
from fcsweep.records.filenames import CONFIG, HISTORY
from fcsweep.records.formats import HistoryRow, columns_of
from fcsweep.records.reader import read_history
from fcsweep.records.sweep_table import as_text

ALONE = "fcsweep"
"""Where runs without a sweep are gathered."""
SUMMARY = ("value", "best_val_accuracy", "best_train_accuracy", "best_epoch", "epochs", "seconds")
"""Numbers of ``result.json`` that a tracker gets at the end."""

Param = str | int | float | bool
Row = tuple[int, dict[str, float]]
"""An epoch, from 1, and its metrics by name."""


@dataclass(frozen=True)
class Tracked:
    """A run, or the trial of another app, as a tracker knows it."""

    folder: Path
    sweep: str
    """The name of its sweep; `ALONE` for a run without one."""
    name: str
    """In its sweep: the number of the job."""
    params: dict[str, Param]
    tags: dict[str, str] = field(default_factory=dict)

    @property
    def identity(self) -> str:
        """By which a tracker finds the run again: 16 digits of the sha256 of its folder's path."""
        return sha256(str(self.folder.resolve()).encode(errors="surrogateescape")).hexdigest()[:16]

    @property
    def config(self) -> Path | None:
        """The file with its config, to be stored with it."""
        path = self.folder / CONFIG
        return path if path.is_file() else None


@dataclass(frozen=True)
class End:
    """How a run ended."""

    status: str
    """As recorded."""
    summary: dict[str, float]
    tags: dict[str, str]


def run_in(folder: Path, config: Mapping[str, Any]) -> Tracked:
    """A run of fcsweep.

    Args:
        folder: of the run.
        config: its saved config, nested.
    """
    in_sweep = folder.name.isdecimal()
    sweep = folder.resolve().parent.name if in_sweep else ALONE
    params = {key: _param(value) for key, value in flat(config).items() if value is not None}
    tags = {"objective": str(config.get("objective", ""))}
    return Tracked(folder, sweep, folder.name, params, tags)


def _param(value: object) -> Param:
    """A value of a config; lists as on the command line."""
    return value if isinstance(value, bool | int | float) else as_text(value)


def metrics(row: HistoryRow, objective: str) -> Row:
    """An epoch; what was not evaluated is left out."""
    known = dict(zip(columns_of(objective), row.cells(objective), strict=True))
    del known["epoch"], known["step"]
    return row.epoch, {name: value for name, value in known.items() if value is not None}


def rows_of(folder: Path) -> Sequence[HistoryRow]:
    """The epochs in the record of a run.

    Raises:
        OSError, ValueError: they cannot be read.
    """
    return read_history(folder / HISTORY)


def end_of(result: Mapping[str, Any] | None) -> End:
    """How a run ended, by its ``result.json``."""
    known = result or {"status": "missing"}
    numbers = {name: known.get(name) for name in SUMMARY}
    summary = {name: float(value) for name, value in numbers.items() if value is not None}
    return End(str(known["status"]), summary, dict(_tags(known)))


def _tags(result: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    yield "status", str(result["status"])
    if result.get("reason"):
        yield "reason", " ".join(str(result["reason"]).split())[:500]
    if result.get("target") is not None:
        yield "target_reached", as_text(result.get("target_reached"))
