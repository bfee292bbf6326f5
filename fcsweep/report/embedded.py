"""What the scripts of a page draw, as JSON: the columns of runs and points, and their curves."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from fcsweep.analysis import findings
from fcsweep.analysis.findings import is_number, missing
from fcsweep.messages.errors import UserError
from fcsweep.messages.wording import printable
from fcsweep.objectives import is_other
from fcsweep.records.filenames import LOSSES
from fcsweep.records.formats import History
from fcsweep.records.reader import losses_of
from fcsweep.report import words
from fcsweep.report.comparison import Comparison
from fcsweep.report.contents import Run, Sweep
from fcsweep.report.foreign_study import PARAMS
from fcsweep.report.tables import Column, best_rows, columns, trial
from fcsweep.system.bounded import read_bounded

MOST_EPOCHS, LEAST_OF_A_CURVE, MOST_STEPS = 10_000, 10, 1_000
"""Epochs drawn of all runs together; of each run at least; steps of a single run."""
LARGEST_LOSSES = 100_000_000  # bytes
LARGEST_LOSS = 1e100
UNIT = 1e-4
"""Of the accuracies of curves."""


def as_script(content: Mapping[str, Any]) -> str:
    """JSON that may stand in a ``<script>``: nothing in it ends the element."""
    text = json.dumps(content, separators=(",", ":"), allow_nan=False, ensure_ascii=False)
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


def embedded(sweep: Sweep) -> dict[str, Any]:
    """Everything that the scripts know of a page.

    ``runs`` and, where some are repeats, ``points`` are tables by column, as `_rows` makes them;
    ``curves`` has a `_curve` for each run.
    """
    most = max(LEAST_OF_A_CURVE, MOST_EPOCHS // max(1, len(sweep.runs)))
    return {
        "title": sweep.title,
        "unfinished": sweep.unfinished,
        "single": sweep.single,
        "compared": isinstance(sweep, Comparison),
        "objectives": _objectives(sweep),
        "target": _target(sweep),
        "unit_of_accuracies": UNIT,
        "unit_of_loss": findings.loss_unit(sweep.runs),
        "runs": _rows(sweep, sweep.runs),
        "points": _points(sweep) if sweep.repeated else None,
        "curves": [
            _curve(curve, run, most) for curve, run in zip(sweep.curves, sweep.runs, strict=True)
        ],
        "value_of_curves": sweep.value_of_curves,
        "steps": _steps(sweep.folder) if sweep.single and any(sweep.curves) else None,
        "time_line": _time_line(sweep),
        "importance": {
            key.removeprefix(PARAMS): round(part, 4) for key, part in sweep.parts.items()
        },
    }


def _objectives(sweep: Sweep) -> list[dict[str, Any]]:
    """Names of columns, and what they are called."""
    named = dict(zip(sweep.objectives, sweep.study.objectives, strict=True)) if sweep.study else {}
    return [
        {
            "key": _column_of(sweep, key),
            "name": named.get(key) or _objective_name(sweep),
            "minimize": way == "minimize",
            "accuracy": sweep.study is None and not is_other(_first_objective(sweep)),
        }
        for key, way in sweep.objectives.items()
    ]


def _first_objective(sweep: Sweep) -> object:
    return sweep.runs[0].get("objective") if sweep.runs else None


def _objective_name(sweep: Sweep) -> str:
    """What all runs are judged by."""
    names = {words.objective(point) for point in sweep.points}
    if isinstance(sweep, Comparison):
        names = {words.objective(run) for run in sweep.runs}
    return names.pop() if len(names) == 1 else "value"


def _column_of(sweep: Sweep, key: str) -> str:
    """The column that holds an objective: of ours that of the best accuracy, if it is the same."""
    measured = f"best_{sweep.runs[0].get('objective')}" if sweep.runs else ""
    rows = [*sweep.runs, *sweep.points]
    same = all(row.get(measured, 0) == row.get("value") for row in rows)
    return measured if sweep.study is None and same else key


def _target(sweep: Sweep) -> float | None:
    targets = {run["target"] for run in sweep.runs if not missing(run.get("target"))}
    hardest = min if "minimize" in sweep.objectives.values() else max
    return hardest(targets, default=None)


def _rows(sweep: Sweep, rows: Sequence[Run]) -> dict[str, Any]:
    """A table: what each row is called, how it ended, and its columns."""
    objectives = [Column(one["key"], one["name"], "linear", False) for one in _objectives(sweep)]
    searched = {axis.key for axis in sweep.searched}
    named = {column.key: column for column in [*objectives, *columns(sweep, rows)]}
    return {
        "names": [trial(row, sweep.folder) for row in rows],
        "status": [str(row["status"]) for row in rows],
        "verdict": [sweep.verdict(row) for row in rows],
        "best": sorted(best_rows(sweep, rows)),
        "folders": [_beside(row, sweep.folder) for row in rows],
        "columns": [
            {
                "key": column.key,
                "name": printable(column.name),
                "kind": column.kind,
                "given": column.given,
                "searched": column.key in searched,
                "values": [_value(row.get(column.key)) for row in rows],
            }
            for column in named.values()
        ],
    }


def _time_line(sweep: Sweep) -> dict[str, Any] | None:
    """The workers, and of each stack the place of its worker, start, end and runs."""
    if (line := sweep.time_line) is None:
        return None
    second, unit = line.unit
    times = [
        [place, *(round(time / second, 4) for time in (stack.start, stack.end)), [*stack.runs]]
        for place, worker in enumerate(line.workers)
        for stack in worker.stacks
    ]
    return {
        "unit": unit,
        "hosts": [printable(worker.host) for worker in line.workers],
        "processes": [worker.process for worker in line.workers],
        "stacks": times,
    }


def _points(sweep: Sweep) -> dict[str, Any]:
    """The table of points, with the runs of each and the deviation over its seeds."""
    places = {str(run["folder"]): place for place, run in enumerate(sweep.runs)}
    return {
        **_rows(sweep, sweep.points),
        "runs": [[places[folder] for folder in point["folders"]] for point in sweep.points],
        "deviation": [_value(point.get("value_std")) for point in sweep.points],
    }


def _beside(row: Run, folder: Path) -> str:
    """The folder of a run as seen from the page."""
    return Path(os.path.relpath(row["folder"], folder)).as_posix()


def _value(value: Any) -> Any:
    """A number, a truth value or a text; null for what is missing or not finite."""
    if missing(value) or (isinstance(value, float) and not math.isfinite(value)):
        return None
    if is_number(value) or isinstance(value, bool):
        return value
    return printable(value)


def _curve(curve: History, run: Run, most: int) -> list[Any] | None:
    """The epochs (null: 1, 2, ...), losses, and accuracies as integers in units of `UNIT`.

    Then the losses of the validation rows, if the run has recorded any, and its objective, if that
    is neither an accuracy nor the loss.
    """
    if not curve:
        return None
    kept = _thin(curve, most, run.get("best_epoch"))
    epochs = [curve.epoch[place] for place in kept]
    further = [curve.val_loss, curve.val_value] if curve.names else [curve.val_loss]
    further = further if any(map(any, further)) else []
    return [
        None if epochs == [*range(1, len(epochs) + 1)] else epochs,
        [_significant(curve.loss[place]) for place in kept],
        [_in_units(curve.train_accuracy[place]) for place in kept],
        [_in_units(curve.val_accuracy[place]) for place in kept],
        *([_significant(one[place]) for place in kept] for one in further),
    ]


def _thin(curve: History, most: int, best: int | None) -> Sequence[int]:
    """The places of at most so many epochs, evenly spaced, and of the best one."""
    every = range(len(curve))
    if len(every) <= most:
        return every
    kept = {round(n * (len(every) - 1) / (most - 1)) for n in range(most)}
    return [place for place in every if place in kept or curve.epoch[place] == best]


def _steps(folder: Path) -> list[list[Any]] | None:
    """Steps and losses of a single run, each the mean over equal parts of a long one."""
    try:
        losses = losses_of(read_bounded(folder / LOSSES, LARGEST_LOSSES)).astype(float).tolist()
    except (OSError, ValueError, UserError):
        return None
    size = max(1, math.ceil(len(losses) / MOST_STEPS))
    parts = [losses[at : at + size] for at in range(0, len(losses), size)]
    means = [_significant(sum(part) / len(part)) for part in parts]
    return [[min((n + 1) * size, len(losses)) for n in range(len(parts))], means]


def _significant(value: float | None) -> float | None:
    """With three digits: more cannot be seen. A loss beyond every axis is not drawn."""
    return None if value is None or not abs(value) < LARGEST_LOSS else float(f"{value:.3g}")


def _in_units(accuracy: float | None) -> int | None:
    if accuracy is None or not math.isfinite(accuracy):
        return None
    return round(accuracy / UNIT)
