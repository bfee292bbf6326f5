"""The search of another Hydra app, read from its study or its ``trials.csv``.

Such an app has no records of ours. ``study.journal`` holds its trials at any time; for a study in a
database, ``trials.csv`` holds them as of the last end of the search. Both are read as data.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from fcsweep.analysis import findings
from fcsweep.analysis.findings import UNKNOWN, Axis, missing
from fcsweep.config import read
from fcsweep.messages.errors import ConfigError, StudyError
from fcsweep.messages.wording import one_line
from fcsweep.objectives import Direction
from fcsweep.records.sweep_table import FILE as TRIALS
from fcsweep.system.bounded import read_bounded

PARAMS, REACHED, NOTES = "params.", "reached.", "notes."
"""Prefixes of the columns of parameters, of values and of notes."""
CONSTRAINT = "constraint."
"""Prefix of the name of a constraint, among the notes."""
LARGEST = 100_000_000  # bytes of trials.csv
HEAD = ("folder", "sweep", "number", "status", "reason", "damage", "objective", "value", "target")


@dataclass(frozen=True)
class Study:
    """The search of another app."""

    folder: Path
    """The folder of the sweep."""
    app: str
    """The name of the app in Hydra."""
    source: str
    """The file that holds the trials."""
    objectives: dict[str, Direction]
    """The direction of each objective."""
    trials: list[dict[str, Any]]
    """`HEAD`, ``seconds``, ``params.KEY``, ``reached.OBJECTIVE``, ``notes.NAME`` of each trial.

    ``value`` is that of a completed trial with a single objective, if it is finite and the trial
    meets its constraints; ``reached`` is also the last report of a pruned trial.
    """

    @property
    def direction(self) -> Direction:
        """The direction of the first objective."""
        return next(iter(self.objectives.values()))

    @cached_property
    def searched(self) -> list[Axis]:
        """The parameters."""
        asked = findings.asked(self.folder)
        return [
            Axis(key, findings.kind(self._values(key), asked.get(_bare(key), "")))
            for key in self._columns_with(PARAMS)
        ]

    @property
    def noted(self) -> list[str]:
        """The columns of the notes that jobs left."""
        return self._columns_with(NOTES)

    def front(self) -> list[dict[str, Any]]:
        """The completed trials that no other completed one surpasses in every objective."""
        done = [one for one in self.trials if one["status"] == "completed" and is_feasible(one)]
        values = [self._goodness(one) for one in done]
        return [
            trial
            for trial, mine in zip(done, values, strict=True)
            if not any(_surpasses(other, mine) for other in values)
        ]

    def _goodness(self, trial: Mapping[str, Any]) -> list[float]:
        """Its values, larger is better."""
        signs = {"maximize": 1, "minimize": -1}
        reached = [(trial.get(REACHED + name), signs[way]) for name, way in self.objectives.items()]
        return [-math.inf if value is None else sign * value for value, sign in reached]

    def _columns_with(self, prefix: str) -> list[str]:
        """The columns with a prefix that are not empty."""
        names = dict.fromkeys(
            name for one in self.trials for name in one if name.startswith(prefix)
        )
        return [name for name in names if self._values(name)]

    def _values(self, name: str) -> list[Any]:
        return [one[name] for one in self.trials if not missing(one.get(name))]


def verdict(trial: Mapping[str, Any]) -> str:
    """How a trial ended, as a mark of the landscape."""
    status = str(trial["status"])
    return status if status in ("completed", "pruned", "failed") else UNKNOWN


def is_feasible(trial: Mapping[str, Any]) -> bool:
    """Whether a trial meets its constraints."""
    limits = [value for name, value in trial.items() if name.startswith(NOTES + CONSTRAINT)]
    return not any(limit is not None and limit > 0 for limit in limits)


def _surpasses(one: Sequence[float], other: Sequence[float]) -> bool:
    pairs = list(zip(one, other, strict=True))
    return all(a >= b for a, b in pairs) and any(a > b for a, b in pairs)


def read_study(folder: Path) -> Study | None:
    """The search in a sweep's folder; None if there is neither a journal nor a table.

    Raises:
        StudyError: the file cannot be read, or is damaged.
    """
    if (folder / "study.journal").exists():
        return _of_journal(folder)
    return _of_table(folder) if (folder / TRIALS).exists() else None


def _of_journal(folder: Path) -> Study | None:
    from fcsweep.search.results import folder_of, noted_in, status_of  # import Optuna
    from fcsweep.search.study.storage import JOURNAL
    from fcsweep.search.study.storage import read_study as load_study

    study = load_study(folder)
    if study is None:
        return None
    ways = ["minimize" if way.name == "MINIMIZE" else "maximize" for way in study.directions]
    objectives = dict(zip(study.metric_names or _names(len(ways)), ways, strict=True))
    rows = [
        {
            "number": trial.number,
            "status": status_of(trial),
            "reason": trial.user_attrs.get("reason"),
            "folder": str(folder_of(trial, folder)),
            "seconds": trial.duration.total_seconds() if trial.duration else None,
            "values": trial.values or [trial.intermediate_values.get(trial.last_step or 0)],
            "params": trial.params,
            "notes": noted_in(trial),
        }
        for trial in study.get_trials(deepcopy=False)
    ]
    return _study(folder, JOURNAL, objectives, rows)


def _of_table(folder: Path) -> Study:
    path = folder / TRIALS
    try:
        text = read_bounded(path, LARGEST).decode()
        head, *cells = list(csv.reader(io.StringIO(text, newline=""), strict=True)) or [[]]
        if head[:2] != ["number", "status"] or "folder" not in head:
            raise ValueError("expected the columns of a search")
        end = head.index("folder", head.index("seconds")) + 1
        count = _objectives(head[2:end])
        keys, notes = head[2 + count : end - 2], head[end:]
        rows = [
            {**_row(line[:end], keys, count), "notes": _by_key(notes, line[end:])} for line in cells
        ]
    except (OSError, ValueError, csv.Error) as error:
        raise StudyError(f"{path} cannot be read: {one_line(error)}") from error
    asked = _of_hydra(folder, "sweeper", "direction")
    ways = [str(way).lower() for way in (asked if isinstance(asked, list) else [asked])]
    if len(ways) != count or not set(ways) <= {"minimize", "maximize"}:
        raise StudyError(f"{folder / 'multirun.yaml'} has no direction for the values of {path}")
    return _study(folder, TRIALS, dict(zip(_names(count), ways, strict=True)), rows)


def _objectives(names: Sequence[str]) -> int:
    """How many columns of values a table has, before those of the parameters."""
    if names[:1] == ["value"]:
        return 1
    count = 0
    while names[count : count + 1] == [f"value_{count}"]:
        count += 1
    if not count:
        raise ValueError("expected a column of values")
    return count


def _row(cells: Sequence[str], keys: Sequence[str], values: int) -> dict[str, Any]:
    number, status, *cells_between, seconds, folder = cells
    return {
        "number": int(number),
        "status": status,
        "folder": folder,
        "seconds": float(seconds) if seconds else None,
        "values": [float(one) if one else None for one in cells_between[:values]],
        "params": _by_key(keys, cells_between[values:]),
    }


def _by_key(keys: Sequence[str], cells: Sequence[str]) -> dict[str, Any]:
    return dict(zip(keys, map(_value, cells), strict=True))


def _value(cell: str) -> Any:
    """The value of a parameter in its cell."""
    for kind in (int, float):
        try:
            return kind(cell)
        except ValueError:
            continue
    return {"": None, "True": True, "False": False}.get(cell, cell)


def _names(count: int) -> list[str]:
    return ["value"] if count == 1 else [f"value_{number}" for number in range(count)]


def _study(
    folder: Path, source: str, objectives: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]
) -> Study:
    alone = next(iter(objectives)) if len(objectives) == 1 else None
    flat: list[dict[str, Any]] = [
        {
            **dict.fromkeys(HEAD),
            **{key: row[key] for key in row if key not in ("values", "params", "notes")},
            "sweep": str(folder),
            "objective": alone,
            "value": _feasible_value(row) if alone and row["status"] == "completed" else None,
            **{
                REACHED + name: value if value is None or math.isfinite(value) else None
                for name, value in zip(objectives, row["values"], strict=False)
            },
            **{PARAMS + _bare(key): value for key, value in row["params"].items()},
            **{NOTES + name: value for name, value in row["notes"].items()},
        }
        for row in rows
    ]
    app = str(_of_hydra(folder, "job", "name") or "the app")
    return Study(folder, app, source, dict(objectives), flat)


def _feasible_value(row: Mapping[str, Any]) -> float | None:
    """The value that may make a trial the best; None if it is infeasible."""
    value = row["values"][0]
    limits = [limit for name, limit in row["notes"].items() if name.startswith(CONSTRAINT)]
    finite = value is not None and math.isfinite(value)
    return value if finite and not any(limit and limit > 0 for limit in limits) else None


def _bare(key: str) -> str:
    """A key without the signs of Hydra's grammar and the prefix of its column."""
    return key.removeprefix(PARAMS).lstrip("+~")


def _of_hydra(folder: Path, *keys: str) -> Any:
    """The value in ``multirun.yaml`` under Hydra's own key; None if there is none."""
    try:
        found: Any = read(folder / "multirun.yaml")
    except ConfigError:
        return None
    for key in ("hydra", *keys):
        found = found.get(key) if isinstance(found, dict) else None
    return found
