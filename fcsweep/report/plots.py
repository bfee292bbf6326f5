"""The figures of a page as files, drawn by matplotlib; imported only where they are asked for."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from fcsweep import analysis
from fcsweep.analysis import findings
from fcsweep.analysis.curves import CURVES
from fcsweep.records import frames
from fcsweep.records.sweep_table import REPEATED
from fcsweep.report.contents import Sweep
from fcsweep.report.figures import figures

FIGURES = "figures"


def save(sweep: Sweep, kinds: Sequence[str]) -> None:
    """Write every figure that matplotlib draws of a page into ``figures/`` of its folder.

    Args:
        sweep: what the page is made of.
        kinds: ``png``, ``svg``.
    """
    folder = sweep.folder / FIGURES
    folder.mkdir(exist_ok=True)
    names = [figure.name for figure in figures(sweep)]
    for name, drawn in _drawings(sweep, names):
        for kind in kinds:
            analysis.save(drawn, folder / f"{name}.{kind}")


def _drawings(sweep: Sweep, names: Sequence[str]) -> Iterator[tuple[str, Figure]]:
    runs, unit = _table(sweep.runs), findings.loss_unit(sweep.runs)
    if {"loss", "accuracy"} & {*names}:
        yield "loss", analysis.loss_per_step(_quietly(frames.load_losses, sweep.folder), unit)
        yield "accuracy", analysis.accuracies(_quietly(frames.load_history, sweep.folder))
    groups = findings.groups(sweep.runs, sweep.searched)
    if "learning_curves" in names:
        history = _quietly(frames.load_history, sweep.folder)
        pairs = zip(sweep.runs, sweep.curves, strict=True)
        believed = [str(run["folder"]) for run, curve in pairs if curve]
        history = history.loc[history["folder"].isin(believed)]
        own = [sweep.value_of_curves] if sweep.value_of_curves else []
        columns = [*CURVES, *own]
        yield "learning_curves", analysis.learning_curves(history, groups, columns, unit=unit)
    if "repeats" in names:
        yield "repeats", analysis.spread(_values(runs, groups), str(sweep.runs[0]["objective"]))
    if len(sweep.objectives) == 1:
        yield from _of_search(sweep, names)


def _of_search(sweep: Sweep, names: Sequence[str]) -> Iterator[tuple[str, Figure]]:
    points = _table(sweep.points)
    verdicts = pd.Series([*map(sweep.verdict, sweep.points)], dtype="str")
    searched = [axis for axis in sweep.searched if axis.key not in REPEATED]
    (direction,) = sweep.objectives.values()
    if "landscape" in names:
        x, y = findings.plane(points, searched)
        yield "landscape", analysis.landscape(points, verdicts, x, y)
    if "history" in names:
        yield "history", analysis.progress(points, verdicts, direction)
    if "parallel" in names:
        yield "parallel", analysis.parallel(points, searched, direction)
    if "importance" in names:
        yield "importance", analysis.importance(sweep.parts)


def _values(runs: pd.DataFrame, groups: dict[str, list[str]]) -> dict[str, list[float]]:
    """The values of the runs of each group that have one."""
    value = frames.column(runs.set_index("folder"), "value").dropna().to_dict()
    found = {name: [value[one] for one in each if one in value] for name, each in groups.items()}
    return {name: values for name, values in found.items() if values}


def _table(rows: Sequence[dict[str, object]]) -> pd.DataFrame:
    return frames.table_of(rows, ["folder", "number", "status", "objective", "value", "target"])


def _quietly(load: Callable[[Path], pd.DataFrame], folder: Path) -> pd.DataFrame:
    """A table; what is damaged is named on the page."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", frames.DamageWarning)
        return load(folder)
