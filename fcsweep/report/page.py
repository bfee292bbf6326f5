"""From records to ``report.html``."""

from __future__ import annotations

import base64
import hashlib
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import pandas as pd
from jinja2 import Environment, FunctionLoader, StrictUndefined, Template

from fcsweep import analysis
from fcsweep.analysis import findings
from fcsweep.analysis.findings import missing, written
from fcsweep.analysis.repeats import spread_in
from fcsweep.messages.wording import printable
from fcsweep.records import frames
from fcsweep.report import words
from fcsweep.report.contents import Sweep, read
from fcsweep.report.foreign_study import NOTES, PARAMS, REACHED, Study
from fcsweep.report.pictures import pictures
from fcsweep.report.words import Run
from fcsweep.system.atomic import write_atomically

FILE, FIGURES = "report.html", "figures"
FAILURES = ("failed", "damaged", "missing", "interrupted", "running", "diverged")
"""Statuses that are listed with their reasons, in this order."""

MEASURED_OF_POINTS = {
    "best_val_accuracy": "best val",
    "best_train_accuracy": "best train",
    "valued": "seeds",
    "seconds": "seconds",
}
"""The columns of what came out of points, and their headings."""
OF_ONE_RUN = ("provenance.files.", "provenance.sha256", "provenance.stack_place")
"""Facts that say nothing about the sweep."""


@dataclass(frozen=True)
class Cell:
    """A cell of the table of runs."""

    text: str
    order: float | str
    """What the table is sorted by."""


def write(folder: str | Path, kinds: Sequence[str] = ()) -> Path:
    """Write ``report.html`` for a run or a sweep, into its folder; returns its path.

    Args:
        folder: of the run or sweep; it may still be running.
        kinds: ``png``, ``svg``: also write each picture so into ``figures/``.

    Raises:
        FolderError: The folder holds no run.
        StudyError: The study of another app is damaged.
        RecordError: The page cannot be written.
    """
    sweep = read(Path(folder))
    shown = pictures(sweep)
    drawn = [(picture, picture.draw()) for picture in shown]
    page = _template().render(**content(sweep), pictures=[(p, analysis.svg(f)) for p, f in drawn])
    path = sweep.folder / FILE
    write_atomically(path, page.encode())
    for kind in kinds:
        (sweep.folder / FIGURES).mkdir(exist_ok=True)
        for picture, figure in drawn:
            analysis.save(figure, sweep.folder / FIGURES / f"{picture.name}.{kind}")
    return path


def content(sweep: Sweep) -> dict[str, Any]:
    """What the template is filled with, but for the pictures."""
    tops = _tops(sweep)
    script, style = _file("page.js"), _file("page.css")
    return {
        "title": sweep.folder.name or sweep.folder.resolve().name,
        "single": sweep.single,
        **(_texts(sweep, tops) if sweep.study is None else _said_of(sweep.study, tops)),
        "tables": tables(sweep, tops),
        "failures": failures(sweep.folder, _records(sweep.runs)),
        "provenance": provenance(sweep.runs),
        "script": script,
        "script_sha256": base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        "style": style,
    }


def _tops(sweep: Sweep) -> pd.DataFrame:
    """The best point, or none; of a search with several objectives the Pareto front."""
    if sweep.study and len(sweep.study.objectives) > 1:
        return sweep.study.front()
    direction = sweep.study.direction if sweep.study else "maximize"
    best = findings.best(sweep.points, direction)
    return sweep.points.loc[[] if best is None else [best.name]]


def _texts(sweep: Sweep, tops: pd.DataFrame) -> dict[str, Any]:
    rows = _records(sweep.runs)
    points = _records(sweep.points) if sweep.repeated else rows
    best = points[tops.index[0]] if len(tops) else None
    run = _best_run(rows, best)
    return {
        "question": words.question(points, sweep.searched),
        "answer": words.answer(points, best, sweep.searched),
        "warning": words.warning(rows),
        "trust": words.trust(rows, points, best, sweep.searched),
        "command": run and f"python -m fcsweep.rerun {shlex.quote(str(run['folder']))}",
        "config": run and findings.config_of(run, findings.config_keys(sweep.runs)),
    }


def _best_run(runs: Sequence[dict[Any, Any]], best: Mapping[Any, Any] | None) -> Any:
    """The best run of the best point, itself if it is a run."""
    folder = best and best.get("best_run", best["folder"])
    return next((run for run in runs if run["folder"] == folder), None)


def _said_of(study: Study, tops: pd.DataFrame) -> dict[str, Any]:
    """What is said of another app's search, whose best trial the answer names in full."""
    return {
        "question": words.study_question(study),
        "answer": words.study_answer(study, tops),
        "warning": None,
        "trust": words.study_trust(study),
        "command": None,
        "config": None,
    }


def tables(sweep: Sweep, tops: pd.DataFrame) -> list[dict[str, Any]]:
    """The tables of points, where runs are repeats, and of runs; none of a single run."""
    if sweep.single:
        return []
    best = list(tops["best_run"] if sweep.repeated else tops["folder"])
    runs = {"id": "trials", "title": "Trials", **table(sweep, _records(sweep.runs), best)}
    if not sweep.repeated:
        return [runs]
    points = _records(sweep.points)
    best = list(tops["folder"])
    return [{"id": "points", "title": "Points", **table(sweep, points, best)}, runs]


def table(sweep: Sweep, rows: Sequence[Run], tops: Sequence[str]) -> dict[str, Any]:
    """A table of runs or points: names of the columns, whether they hold numbers; and the rows.

    Args:
        sweep: that the rows are of.
        rows: of the runs, or of the points.
        tops: folders of those that are marked as the best.
    """
    points = bool(rows) and "seeds" in rows[0]
    differ = findings.differing(sweep.points if points else sweep.runs)
    keys = dict.fromkeys([*(axis.key for axis in sweep.searched), *differ])
    measured = MEASURED_OF_POINTS if points else _result_columns(sweep)
    columns = [*keys, *measured]
    body: list[dict[str, Any]] = [
        {
            "kind": "best" if row["folder"] in tops else "damaged" * (row["status"] == "damaged"),
            "cells": [
                Cell(row["runs"], float(place)) if points else _trial(row, sweep.folder),
                Cell(str(row["status"]), str(row["status"])),
                *(_cell(row, key) for key in columns),
            ],
        }
        for place, row in enumerate(rows)
    ]
    names = [key.removeprefix(PARAMS) for key in keys]
    texts = ["trials" if points else "trial", "status", *_short(names), *measured.values()]
    numbers = [
        any(isinstance(row["cells"][place].order, float) for row in body)
        for place in range(len(texts))
    ]
    return {"head": list(zip(texts, numbers, strict=True)), "rows": body}


def _result_columns(sweep: Sweep) -> dict[str, str]:
    """The columns of what came out, and their headings."""
    if sweep.study is not None:
        reached = {REACHED + name: name for name in sweep.study.objectives}
        notes = {name: name.removeprefix(NOTES) for name in sweep.study.noted}
        return {**reached, **notes, "seconds": "seconds"}
    columns = ("best_val_accuracy", "best_train_accuracy", "epochs", "seconds")
    return {name: name.replace("_accuracy", "").replace("_", " ") for name in columns}


def _short(keys: Sequence[str]) -> list[str]:
    """The last part of each key where that tells them apart."""
    short = [key.removesuffix(".name").rpartition(".")[2] for key in keys]
    return [name if short.count(name) == 1 else key for name, key in zip(short, keys, strict=True)]


def failures(folder: Path, rows: Sequence[Mapping[Any, Any]]) -> list[dict[str, str]]:
    """Runs that did not come to an end of their own, with the reason; equal ones together."""
    found = [row for row in rows if row["status"] in FAILURES]
    found.sort(key=lambda row: FAILURES.index(row["status"]))
    alike: dict[tuple[str, str], list[str]] = {}
    for row in found:
        alike.setdefault((str(row["status"]), _reason(row)), []).append(_trial(row, folder).text)
    return [
        {"runs": _together(names), "status": status, "reason": reason}
        for (status, reason), names in alike.items()
    ]


def _reason(row: Mapping[Any, Any]) -> str:
    unsaid = {
        "missing": "it has left no record",
        "running": "it had not ended when this was written",
    }
    said = (str(row[key]) for key in ("damage", "reason") if not missing(row[key]))
    return next(said, unsaid.get(row["status"], "not recorded"))


def _together(names: Sequence[str], most: int = 10) -> str:
    """``7``; ``3 runs: 7, 8, 9``."""
    more = [f"{len(names) - most} more"] if len(names) > most else []
    listed = ", ".join([*names[:most], *more])
    return listed if len(names) == 1 else f"{len(names)} runs: {listed}"


def provenance(runs: pd.DataFrame) -> list[tuple[str, str]]:
    """Where the numbers come from: each fact, with its values where the runs differ in it."""
    return [
        (str(name).removeprefix("provenance.").replace("versions.", ""), " | ".join(values))
        for name in runs.columns
        if str(name).startswith("provenance.") and not str(name).startswith(OF_ONE_RUN)
        for values in [_distinct(frames.column(runs, name))]
        if values
    ]


def _trial(row: Mapping[Any, Any], top: Path) -> Cell:
    """The number of a job; where a folder holds several sweeps, its folder."""
    name = Path(row["folder"])
    inside = name.relative_to(top) if top in name.parents else Path(name.name)
    number = row["number"]
    if missing(number) or len(inside.parts) > 1:
        return Cell(str(inside), str(inside))
    return Cell(str(number), float(number))


def _cell(row: Run, key: str) -> Cell:
    value: Any = row.get(key)
    if missing(value):
        return Cell("", "")
    if key == "valued":
        return Cell(words.count_of(row), float(value))
    number = isinstance(value, int | float) and not isinstance(value, bool)
    text = spread_in(row, key) if key.endswith("accuracy") else written(value)
    return Cell(text, float(value) if number else str(value))


def _records(table: pd.DataFrame) -> list[dict[Any, Any]]:
    return table.to_dict("records")


def _distinct(values: pd.Series, most: int = 4) -> list[str]:
    texts = [str(value) for value in values.dropna().unique()]
    return texts if len(texts) <= most else [*texts[:most], f"{len(texts) - most} more"]


@lru_cache(maxsize=1)
def _template() -> Template:
    environment = Environment(
        loader=FunctionLoader(_file),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_plain,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("page.html")


def _plain(value: Any) -> Any:
    """Text from a record without characters that cannot be seen; our own markup as it is."""
    return printable(value) if type(value) is str else value


def _file(name: str) -> str:
    return (files("fcsweep.report") / name).read_text(encoding="utf-8")
