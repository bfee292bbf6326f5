"""What a page is made of: the runs of sweeps, or the trials of another app's study."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from fcsweep.analysis import findings, repeats
from fcsweep.analysis.findings import Axis
from fcsweep.analysis.workers import TimeLine, time_line
from fcsweep.messages.errors import FolderError
from fcsweep.objectives import Direction
from fcsweep.records import sweep_table
from fcsweep.records.filenames import HISTORY, find_runs, is_sweep, place
from fcsweep.records.formats import History
from fcsweep.records.reader import Reading, are_ours, read_columns, read_run
from fcsweep.report import foreign_study
from fcsweep.report.foreign_study import REACHED, Study, read_study

Run = dict[str, Any]
"""A run by column, as `Reading.row` has it, or a point of repeats; or a trial of a study."""
UNFINISHED = ("running", "missing", "waiting")


@dataclass(frozen=True)
class Sweep:
    """The contents of a page: the runs, and what was found in them."""

    folder: Path
    runs: list[Run]
    curves: list[History]
    """Of each run; empty of one that has none or is damaged."""
    searched: list[Axis]
    points: list[Run]
    """What is compared: the runs, or where some are repeats what `repeats.point_rows` makes."""
    parts: dict[str, float]
    """Importance by parameter."""
    study: Study | None = None
    """If it is that of another app; ``runs`` are its trials then."""

    @property
    def title(self) -> str:
        """The name of its folder."""
        return self.folder.name or self.folder.resolve().name

    @property
    def repeated(self) -> bool:
        """Whether runs are repeats, which differ in their seed alone."""
        return len(self.points) < len(self.runs)

    @cached_property
    def differing(self) -> list[str]:
        """The config keys in which the runs differ."""
        return findings.differing(self.runs)

    @property
    def single(self) -> bool:
        """Whether it is one run, not a sweep of one."""
        return len(self.runs) == 1 and str(self.runs[0]["folder"]) == str(self.folder)

    @property
    def value_of_curves(self) -> str | None:
        """The column that all objectives with one of their own share, such as ``val_rmse``."""
        names = {curve.names[-1] for curve in self.curves if curve.names}
        return names.pop() if len(names) == 1 else None

    @property
    def unfinished(self) -> bool:
        """Whether a run may still be training."""
        return any(run["status"] in UNFINISHED for run in self.runs)

    @property
    def objectives(self) -> dict[str, Direction]:
        """The columns that runs are judged by, with their directions."""
        if self.study is None or len(self.study.objectives) == 1:
            of_runs = findings.directions_in(self.runs) or ["maximize"]
            return {"value": self.study.direction if self.study else of_runs[0]}
        return {REACHED + name: way for name, way in self.study.objectives.items()}

    @property
    def tops(self) -> list[Run]:
        """The best point, or none; of a search with several objectives the Pareto front."""
        if self.study and len(self.study.objectives) > 1:
            return self.study.front()
        best = findings.best_place(self.points, self.study and self.objectives["value"])
        return [] if best is None else [self.points[best]]

    @cached_property
    def time_line(self) -> TimeLine | None:
        """Where several workers trained the sweep, as far as its records tell."""
        found = time_line(self.runs)
        return found if found and len(found.workers) > 1 else None

    def verdict(self, run: Mapping[str, Any]) -> str:
        """How a run or a point ended, in words."""
        return foreign_study.verdict(run) if self.study else findings.verdict(run)


def read(folder: Path, readings: Sequence[Reading] | None = None) -> Sweep:
    """Read the contents of a page from the records, or from the study of another app.

    Args:
        folder: of a run or a sweep.
        readings: of its runs, if they are known already.

    Raises:
        FolderError: There is no run, or there are several sweeps.
        StudyError: The study of another app is damaged.
    """
    if readings is None:
        found = find_runs(folder)
        ours = are_ours(found)
        if not ours and (study := read_study(folder)):
            return _of_study(study)
        _refuse(folder, found, ours)
        readings = [read_run(run) for run in found]
    runs = [reading.row for reading in readings]
    searched = findings.axes(folder, runs)
    parts = findings.importance(runs, searched)
    points = runs
    if any(len(places) > 1 for places in sweep_table.repeats(findings.configs_of(runs))):
        points = repeats.point_rows(runs)
        searched = [axis for axis in searched if axis.key not in sweep_table.REPEATED]
    return Sweep(folder, runs, [*map(_curve, readings)], searched, points, parts)


def _curve(reading: Reading) -> History:
    if reading.damage:
        return History()
    try:
        return read_columns(reading.folder / HISTORY)
    except (OSError, ValueError, csv.Error):  # not yet written, or of a run that was killed
        return History()


def _of_study(study: Study) -> Sweep:
    trials, searched = study.trials, study.searched
    parts = findings.importance(trials, searched)
    none = [History()] * len(trials)
    return Sweep(study.folder, trials, none, searched, trials, parts, study)


def _refuse(folder: Path, found: Sequence[Path], ours: bool | None) -> None:
    """Refuse a folder without anything to report."""
    if not found:
        raise FolderError(f"{folder} holds no run; expected the folder of a run or a sweep")
    _refuse_several(folder, found)
    if ours is False:
        raise FolderError(
            f"{folder} holds runs of another program, without a study.journal or a trials.csv that "
            "tells their values"
        )


def _refuse_several(folder: Path, runs: Sequence[Path], most: int = 3) -> None:
    """Refuse runs of several sweeps: their objectives may differ."""
    found = map(place, runs)
    places = list(dict.fromkeys(one["sweep"] or one["folder"] for one in found))
    if len(places) < 2 or is_sweep(folder):
        return
    more = f" and {len(places) - most} more" if len(places) > most else ""
    raise FolderError(
        f"{folder} holds {len(places)} sweeps or single runs; name one of them: "
        f"{', '.join(places[:most])}{more}"
    )
