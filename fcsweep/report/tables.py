"""The tables of the page: runs and points, failures, provenance."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fcsweep.analysis import findings
from fcsweep.analysis.findings import is_number, missing, written
from fcsweep.analysis.repeats import spread_in
from fcsweep.objectives import is_other, of_quantity
from fcsweep.records.formats import TRAINED
from fcsweep.report import words
from fcsweep.report.contents import Run, Sweep
from fcsweep.report.foreign_study import NOTES, PARAMS, REACHED

FAILURES = ("failed", "damaged", "missing", "interrupted", "running", "diverged")
"""Statuses that are listed with their reasons, in this order."""
MEASURED = {
    "best_val_accuracy": "best val",
    "best_train_accuracy": "best train",
    "epochs": "epochs",
    "seconds": "seconds",
}
"""The columns of what came out of runs, and their headings."""
OF_ONE_RUN = tuple(
    f"provenance.{name}"
    for name in ("files.", "sha256", "stack_place", *TRAINED[TRAINED.index("process") :])
)
"""Facts that say nothing about the sweep."""


@dataclass(frozen=True)
class Column:
    """A column of a table of runs or points."""

    key: str
    """Of the row."""
    name: str
    """The heading."""
    kind: str
    """``log``, ``linear`` or ``choice``."""
    given: bool
    """Whether it is of the config, not of what came out."""


@dataclass(frozen=True)
class Table:
    """Runs or points, the best first."""

    id: str
    title: str
    columns: Sequence[Column]
    rows: Sequence[Run]
    places: Sequence[int]
    """Of the rows among the runs or points of the sweep."""


def columns(sweep: Sweep, rows: Sequence[Run]) -> list[Column]:
    """The columns that distinguish runs or points, and those of their results."""
    kinds = {axis.key: axis.kind for axis in sweep.searched}
    differing = sweep.differing if rows is sweep.runs else findings.differing(rows)
    differ = [key for key in differing if key not in kinds]
    keys = [*kinds, *differ]
    kinds |= {key: findings.kind(_there(rows, key), "") for key in differ}
    names = _short([key.removeprefix(PARAMS) for key in keys])
    given = [Column(key, name, kinds[key], True) for key, name in zip(keys, names, strict=True)]
    measured = [
        Column(key, name, _kind_of(rows, key), False)
        for key, name in _measured_columns(sweep, rows)
    ]
    judged = [one for one in measured if one.key in _objective_columns(sweep)]
    return [*judged, *given, *(one for one in measured if one not in judged)]


def _objective_columns(sweep: Sweep) -> list[str]:
    """The measured columns that hold the objectives."""
    if sweep.study is not None:
        return [REACHED + name for name in sweep.study.objectives]
    return [_column(run["objective"]) for run in sweep.runs[:1]]


def _column(objective: object) -> str:
    """Of the runs' table: an accuracy has its own, any other objective that of the value."""
    return "value" if is_other(objective) else f"best_{objective}"


def tables(sweep: Sweep) -> list[Table]:
    """The tables of points, where runs are repeats, and of runs; none of a single run."""
    if sweep.single:
        return []
    runs = _table("trials", "Trials", sweep, sweep.runs)
    return [_table("points", "Points", sweep, sweep.points), runs] if sweep.repeated else [runs]


def _table(name: str, title: str, sweep: Sweep, rows: Sequence[Run]) -> Table:
    best = best_rows(sweep, rows)
    order = sorted(range(len(rows)), key=lambda n: (n not in best, _rank(sweep, rows[n])))
    shown = [rows[place] for place in order]
    return Table(name, title, columns(sweep, rows), shown, order)


def best_rows(sweep: Sweep, rows: Sequence[Run]) -> set[int]:
    """The places of the best runs or points among the rows."""
    whose = "folder" if rows and "seeds" in rows[0] else "best_run"
    tops = {str(top.get(whose, top["folder"])) for top in sweep.tops}
    return {place for place, row in enumerate(rows) if str(row["folder"]) in tops}


def _rank(sweep: Sweep, row: Run) -> tuple[bool, bool, float]:
    """Grows with how much worse a row is; those without a value come last."""
    key, way = next(iter(sweep.objectives.items()))
    value = row.get(key)
    if value is None or missing(value):
        return True, True, 0.0
    return False, row.get("valued") != row.get("seeds"), -value if way == "maximize" else value


def _there(rows: Sequence[Run], key: str) -> list[Any]:
    return [row[key] for row in rows if not missing(row.get(key))]


def _kind_of(rows: Sequence[Run], key: str) -> str:
    return "linear" if all(map(is_number, _there(rows, key))) else "choice"


def _measured_columns(sweep: Sweep, rows: Sequence[Run]) -> list[tuple[str, str]]:
    if sweep.study is not None:
        reached = [(REACHED + name, name) for name in sweep.study.objectives]
        notes = [(name, name.removeprefix(NOTES)) for name in sweep.study.noted]
        return [*reached, *notes, ("seconds", "seconds")]
    names = {str(run["objective"]) for run in sweep.runs if not missing(run.get("objective"))}
    own = [("value", name) for name in names if is_other(name)] if len(names) == 1 else []
    known = [*MEASURED.items()]
    if rows and "seeds" in rows[0]:
        counted = ("valued", f"{words.unit_in(rows)}s")
        known = [counted if key == "epochs" else (key, name) for key, name in known]
    if any(of_quantity(name) for _, name in own):  # which has no accuracies
        known = [(key, name) for key, name in known if not key.endswith("accuracy")]
    return [*own, *known]


def _short(keys: Sequence[str]) -> list[str]:
    """The last part of each key where that is unique."""
    short = [key.removesuffix(".name").rpartition(".")[2] for key in keys]
    return [name if short.count(name) == 1 else key for name, key in zip(short, keys, strict=True)]


def cell(row: Run, column: Column) -> str:
    """The text of a cell."""
    value: Any = row.get(column.key)
    if missing(value):
        return ""
    if column.key == "valued":
        return words.count_of(row)
    ours = column.key.endswith("accuracy") or (column.key == "value" and "judged" in row)
    return spread_in(row, column.key) if ours else written(value, 4 if column.key == "value" else 3)


def trial(row: Run, top: Path) -> str:
    """The number of a job, or the numbers of a point; the folder where that says more."""
    if "seeds" in row:
        return str(row["runs"])
    if "compared.sweep" in row:
        number = row.get("number")
        return row["compared.sweep"] + ("" if missing(number) else f"/{number}")
    if os.path.dirname(row["folder"]) == str(top) and not missing(row.get("number")):
        return str(row["number"])
    name = Path(row["folder"])
    inside = name.relative_to(top) if top in name.parents else Path(name.name)
    alone = missing(row.get("number")) or len(inside.parts) > 1
    return str(inside) if alone else str(row["number"])


def workers(sweep: Sweep) -> dict[str, Any] | None:
    """The workers of a sweep that had several, by their first start; else None."""
    if (line := sweep.time_line) is None:
        return None
    second, unit = line.unit
    head = ["worker", "machine", "idle", "stacks", "trials", f"from ({unit})", f"to ({unit})"]
    rows = [
        [
            *(number, worker.host, f"{worker.idle:.0%}", len(worker.stacks)),
            sum(len(stack.runs) for stack in worker.stacks),
            *(f"{time / second:.1f}" for time in (worker.start, worker.end)),
            worker.process,
        ]
        for number, worker in enumerate(line.workers, 1)
    ]
    return {"head": [*head, "process"], "rows": rows}


def failures(sweep: Sweep) -> list[dict[str, str]]:
    """Runs whose status is one of `FAILURES`, with the reason; equal ones grouped."""
    found = [run for run in sweep.runs if run["status"] in FAILURES]
    found.sort(key=lambda run: FAILURES.index(run["status"]))
    alike: dict[tuple[str, str], list[str]] = {}
    for run in found:
        alike.setdefault((run["status"], _reason(run)), []).append(trial(run, sweep.folder))
    return [
        {"runs": _together(names), "status": status, "reason": reason}
        for (status, reason), names in alike.items()
    ]


def _reason(run: Mapping[str, Any]) -> str:
    defaults = {
        "missing": "it has left no record",
        "running": "it had not ended when this was written",
    }
    recorded = (str(run[key]) for key in ("damage", "reason") if not missing(run.get(key)))
    return next(recorded, defaults.get(run["status"], "not recorded"))


def _together(names: Sequence[str], most: int = 10) -> str:
    """``7``; ``3 runs: 7, 8, 9``."""
    more = [f"{len(names) - most} more"] if len(names) > most else []
    listed = ", ".join([*names[:most], *more])
    return listed if len(names) == 1 else f"{len(names)} runs: {listed}"


def provenance(runs: Sequence[Run]) -> Iterator[tuple[str, str]]:
    """Where the numbers come from: each fact, with its values where the runs differ in it."""
    names = dict.fromkeys(name for run in runs for name in run if name.startswith("provenance."))
    for name in names:
        values = [] if name.startswith(OF_ONE_RUN) else _distinct(_there(runs, name))
        if values:
            yield name.removeprefix("provenance.").replace("versions.", ""), " | ".join(values)


def _distinct(values: Sequence[Any], most: int = 4) -> list[str]:
    texts = list(dict.fromkeys(map(str, values)))
    return texts if len(texts) <= most else [*texts[:most], f"{len(texts) - most} more"]
