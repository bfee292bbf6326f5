"""What the page is made of: the runs of a sweep, or the trials of another app's study."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from fcsweep.analysis import findings, repeats
from fcsweep.analysis.findings import Axis
from fcsweep.messages.errors import FolderError
from fcsweep.records import frames
from fcsweep.records.filenames import find_runs, is_sweep, place
from fcsweep.records.reader import are_ours
from fcsweep.report.foreign_study import Study, read_study


@dataclass(frozen=True)
class Sweep:
    """What the page is made of: the runs, and what was found in them."""

    folder: Path
    runs: pd.DataFrame
    history: pd.DataFrame
    searched: list[Axis]
    points: pd.DataFrame
    """What is compared: the runs, or where some are repeats what `repeats.points` makes of them."""
    verdicts: pd.Series
    """Of the points."""
    parts: dict[str, float]
    """Importance by parameter."""
    study: Study | None = None
    """If it is that of another app; ``runs`` are its trials then."""

    @property
    def repeated(self) -> bool:
        """Whether runs are repeats, which differ in their seed alone."""
        return len(self.points) < len(self.runs)

    @property
    def single(self) -> bool:
        """Whether it is one run, not a sweep of one."""
        return len(self.runs) == 1 and str(self.runs["folder"].iloc[0]) == str(self.folder)


def read(folder: Path) -> Sweep:
    """Everything that the page needs from the records, or from the study of another app.

    Raises:
        FolderError: There is no run, or there are several sweeps.
        StudyError: The study of another app is damaged.
    """
    found = find_runs(folder)
    ours = are_ours(found)
    if not ours and (study := read_study(folder)):
        return _of_study(study)
    if not found:
        raise FolderError(f"{folder} holds no run; expected the folder of a run or a sweep")
    _refuse_several(folder, found)
    if ours is False:
        raise FolderError(
            f"{folder} holds runs of another program, without a study.journal or a trials.csv that "
            "tells their values"
        )
    with warnings.catch_warnings():  # the page names what is damaged
        warnings.simplefilter("ignore", frames.DamageWarning)
        runs, history = frames.load_runs(folder), frames.load_history(folder)
    history = history.loc[~history["folder"].isin(runs.loc[runs["damage"].notna(), "folder"])]
    searched = findings.axes(folder, runs)
    parts = findings.importance(runs, searched)
    points = repeats.points(runs)
    if len(points) < len(runs):
        searched = [axis for axis in searched if axis.key != "seed"]
    else:
        points = runs
    return Sweep(folder, runs, history, searched, points, findings.verdicts(points), parts)


def _of_study(study: Study) -> Sweep:
    trials, searched = study.trials, study.searched
    parts = findings.importance(trials, searched, study.direction)
    none = pd.DataFrame()
    return Sweep(study.folder, trials, none, searched, trials, study.verdicts, parts, study)


def _refuse_several(folder: Path, runs: Sequence[Path], most: int = 3) -> None:
    """Runs of several sweeps have no common question: their objectives may differ."""
    found = map(place, runs)
    places = list(dict.fromkeys(one["sweep"] or one["folder"] for one in found))
    if len(places) < 2 or is_sweep(folder):
        return
    more = f" and {len(places) - most} more" if len(places) > most else ""
    raise FolderError(
        f"{folder} holds {len(places)} sweeps or single runs; name one of them: "
        f"{', '.join(places[:most])}{more}"
    )
