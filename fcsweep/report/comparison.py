"""Several sweeps on one page: the best of each, what differs between them, all of their runs."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from fcsweep.analysis import findings
from fcsweep.analysis.findings import Axis, missing, standard_error, written
from fcsweep.analysis.repeats import point_rows, spread_in
from fcsweep.messages.errors import FolderError
from fcsweep.objectives import digits_of
from fcsweep.records.sweep_table import REPEATED
from fcsweep.report import contents, words
from fcsweep.report.contents import Run, Sweep

SWEEP = "compared.sweep"
"""The column that says which sweep a run is of."""


@dataclass(frozen=True)
class Comparison(Sweep):
    """The runs of several sweeps, as one; ``folder`` is where the page lies."""

    sweeps: Sequence[Sweep] = ()
    names: Sequence[str] = ()
    """What each sweep is called: the end of its path that tells it from the others."""

    @property
    def title(self) -> str:
        """The names of the sweeps."""
        return ", ".join(self.names)

    @property
    def single(self) -> bool:
        """Whether it is one run."""
        return False

    @cached_property
    def time_line(self) -> None:
        """Sweeps that are compared share no workers."""

    @property
    def tops(self) -> list[Run]:
        """The best point of each sweep."""
        return [
            {**top, SWEEP: name}
            for name, sweep in zip(self.names, self.sweeps, strict=True)
            for top in sweep.tops
        ]


def read(folders: Sequence[Path], page: Path) -> Comparison:
    """Read the sweeps, or single runs, to compare.

    Args:
        folders: of the sweeps, at least two.
        page: the file of the comparison.

    Raises:
        FolderError: One holds no run or several sweeps, or is named twice; or one is of another
            app and has several objectives, or another direction than the others.
    """
    if len({folder.resolve() for folder in folders}) < len(folders):
        raise FolderError(f"{_twice(folders)} is named twice; expected different sweeps")
    sweeps = [contents.read(folder) for folder in folders]
    _check(sweeps)
    names = _names(folders)
    runs = [run for name, one in zip(names, sweeps, strict=True) for run in _of(name, one.runs)]
    points = [run for name, one in zip(names, sweeps, strict=True) for run in _of(name, one.points)]
    points = _alike(points) if any(one.repeated for one in sweeps) else runs
    return Comparison(
        folder=page.parent,
        runs=runs,
        curves=[curve for sweep in sweeps for curve in sweep.curves],
        searched=[Axis(SWEEP, "choice"), *_common_axes(sweeps)],
        points=points,
        parts={},
        study=_study(sweeps),
        sweeps=sweeps,
        names=names,
    )


def _twice(folders: Sequence[Path]) -> Path:
    found = [folder.resolve() for folder in folders]
    return next(one for n, one in enumerate(folders) if found.index(found[n]) < n)


def _check(sweeps: Sequence[Sweep]) -> None:
    """Refuse sweeps whose objectives cannot be compared."""
    of_apps = [sweep for sweep in sweeps if sweep.study is not None]
    if of_apps and len(of_apps) < len(sweeps):
        raise FolderError(
            f"{of_apps[0].folder} is a search of another app; expected only such, or none"
        )
    ways = {tuple(sweep.objectives.items()) for sweep in sweeps}
    if len(ways) > 1 or len(sweeps[0].objectives) > 1:
        raise FolderError(
            "the searches have several objectives, or different directions; expected one objective "
            "and one direction"
        )


def _names(folders: Sequence[Path]) -> list[str]:
    """The shortest endings of the paths that are unique."""
    parts = [Path(os.path.abspath(folder)).parts for folder in folders]
    for count in range(1, max(map(len, parts)) + 1):
        names = ["/".join(one[-count:]).lstrip("/") for one in parts]
        if len(set(names)) == len(names):
            return names
    return [str(folder) for folder in folders]


def _of(name: str, rows: Sequence[Run]) -> list[Run]:
    named = [{SWEEP: name, **row} for row in rows]
    return [_name_runs(name, row) if "seeds" in row else row for row in named]


def _name_runs(name: str, point: Run) -> Run:
    """The point, with the name of its sweep before each run."""
    return {**point, "runs": ", ".join(f"{name}/{one}" for one in point["runs"].split(", "))}


def _alike(points: Sequence[Run]) -> list[Run]:
    """Points as they are; other runs as points of one run each."""
    return [
        row if "seeds" in row else _name_runs(row[SWEEP], point_rows([row])[0]) for row in points
    ]


def _common_axes(sweeps: Sequence[Sweep]) -> list[Axis]:
    """The axes that any sweep searched, with a common scale."""
    runs = [run for sweep in sweeps for run in sweep.runs]
    keys = dict.fromkeys(axis.key for sweep in sweeps for axis in sweep.searched)
    kinds = {axis.key: axis.kind for sweep in sweeps for axis in sweep.searched}
    there = {key: [run[key] for run in runs if not missing(run.get(key))] for key in keys}
    return [
        Axis(key, "log" if kinds[key] == "log" else findings.kind(there[key], ""))
        for key in keys
        if key not in REPEATED
    ]


def _study(sweeps: Sequence[Sweep]) -> Any:
    """Of other apps: what says how their trials are judged."""
    first = sweeps[0].study
    trials = [trial for sweep in sweeps for trial in sweep.runs]
    return None if first is None else replace(first, trials=trials)


# --- What is said ---------------------------------------------------------------------------------


def texts(compared: Comparison) -> dict[str, Any]:
    """What the template says of a comparison."""
    count = len(compared.sweeps)
    return {
        "question": f"Which of {count} sweeps found the best {_objectives(compared)}?",
        "answer": _answer(compared),
        "warning": words.warning(compared.runs) if compared.study is None else None,
        "trust": list(_trust(compared)),
        "commands": [],
        "details": [],
        "summaries": [_best_of_each(compared), *_what_differs(compared)],
    }


def _objectives(compared: Comparison) -> str:
    names = dict.fromkeys(_objective(sweep) for sweep in compared.sweeps)
    return " or ".join(names)


def _objective(sweep: Sweep) -> str:
    """What its runs are judged by, whether alone or by the mean over seeds."""
    if sweep.study is not None:
        return next(iter(sweep.study.objectives))
    return words.objective(sweep.runs[0])


def _judged_by(sweep: Sweep) -> str:
    if sweep.study is not None:
        return next(iter(sweep.study.objectives))
    return words.objective(sweep.points[0])


def _rank(compared: Comparison) -> list[tuple[str, Run]]:
    """The best of each sweep that has a value, the best first."""
    found = [(str(top[SWEEP]), top) for top in compared.tops]
    sign = -1 if compared.objectives["value"] == "maximize" else 1
    return sorted(found, key=lambda one: sign * one[1]["value"])


def _answer(compared: Comparison) -> str:
    ranked = _rank(compared)
    if not ranked:
        return "No run has a value."
    if len({_objective(sweep) for sweep in compared.sweeps}) > 1:
        return "The sweeps are judged by different objectives: their values do not compare."
    name, top = ranked[0]
    lead = ""
    if len(ranked) > 1:
        ahead = abs(top["value"] - ranked[1][1]["value"])
        way = "above" if compared.objectives["value"] == "maximize" else "below"
        far = f"{ahead:{digits_of(top.get('objective'))}}"
        lead = f", {far} {way} the best of {ranked[1][0]} ({_value(ranked[1][1])})"
        lead = f", as {ranked[1][0]} does" if ahead == 0 else lead
    return f"{name} reaches {_objectives(compared)} {_value(top)}{lead}."


def _value(run: Run) -> str:
    if "judged" in run or run["value"] is None:
        return spread_in(run)
    return f"{run['value']:{digits_of(run.get('objective'))}}"


def _trust(compared: Comparison) -> list[str]:
    notes: list[str] = []
    if len({str(run.get("data.name")) for run in compared.runs}) > 1:
        notes.append("They are trained on different data sets: their values do not compare.")
    ranked = _rank(compared)
    error = standard_error(ranked[0][1]) if ranked and compared.study is None else None
    if error is not None:
        close = sum(top["value"] > ranked[0][1]["value"] - 2 * error for _, top in ranked[1:])
        note = f"One standard error of the best validation accuracy is {error:.4f}"
        notes.append(f"{note}; {close} of the other {len(ranked) - 1} bests are within two of it.")
    if any(sweep.repeated for sweep in compared.sweeps):
        notes.append(f"± is the standard deviation over the {_unit(compared)}s.")
    return notes


def _best_of_each(compared: Comparison) -> dict[str, Any]:
    rows = []
    for name, sweep in zip(compared.names, compared.sweeps, strict=True):
        top = next(iter(sweep.tops), None)
        rows.append([name, _judged_by(sweep), str(len(sweep.runs)), *_best_cells(sweep, top)])
    head = ["sweep", "judged by", "runs", "best", "value", "standard error"]
    head += [f"{_unit(compared)}s", "with"]
    return {"id": "best", "title": "The best of each", "head": head, "rows": rows}


def _unit(compared: Comparison) -> str:
    """What tells the repeats of all sweeps apart."""
    return words.unit_in([point for sweep in compared.sweeps for point in sweep.points])


def _best_cells(sweep: Sweep, top: Run | None) -> list[str]:
    if top is None:
        return ["none"] + 4 * [""]
    error = standard_error(top) if sweep.study is None else None
    which = str(top["runs"]) if "seeds" in top else written(top.get("number")) or "the run"
    seeds = words.count_of(top) if "seeds" in top else ""
    searched = [(axis.name, written(top.get(axis.key), 4)) for axis in sweep.searched]
    with_ = ", ".join(f"{name} {text}" for name, text in searched if text)
    return [which, _value(top), "" if error is None else f"{error:.4f}", seeds, with_]


def _what_differs(compared: Comparison) -> list[dict[str, Any]]:
    """The config keys in which the best of the sweeps differ; one column per sweep."""
    tops = compared.tops
    keys = [key for key in findings.differing(tops) if key not in REPEATED]
    if compared.study is not None:
        keys = [axis.key for axis in compared.searched if axis.key != SWEEP]
    rows = [[key, *(written(top.get(key), 6) or "–" for top in tops)] for key in keys]
    if len(tops) < 2 or not rows:
        return []
    head = ["key", *(str(top[SWEEP]) for top in tops)]
    title = "What differs between the configs of the best"
    return [{"id": "differs", "title": title, "head": head, "rows": rows}]
