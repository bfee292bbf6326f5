"""Which trials of a sweep can be members of its ensemble: those that ended, on the same data."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from fcsweep.messages.errors import FolderError
from fcsweep.messages.wording import join
from fcsweep.records.filenames import BEST
from fcsweep.records.reader import are_ours
from fcsweep.records.sweep_table import Row, comparable, load, points, repeat_of

USABLE = ("completed", "pruned")
GONE = f"without {BEST}"
INCOMPLETE = "not trained on every fold"
MOST_NAMED = 10
"""How many trials on other data are named; the others are counted."""

Trial: TypeAlias = Sequence[Row]
"""The runs of a trial, one for each fold, in an order that is that of all trials.

Without folds a single run. A trial is named by the number of its first run.
"""


@dataclass(frozen=True)
class Candidates:
    """The trials of a sweep that can be members."""

    trials: Sequence[Trial]
    data_sha256: str
    """The fingerprint of the data that they share; of folds that of the first."""
    left_out: dict[str, int]
    """How many trials cannot, by why."""
    on_other_data: Sequence[Trial]
    """Trials that ended, and were trained on other data; not counted there."""

    @property
    def other_data(self) -> str | None:
        """The trials on other data, by name; None if there are none."""
        if not self.on_other_data:
            return None
        names = [str(trial[0].number) for trial in self.on_other_data]
        more = [f"{len(names) - MOST_NAMED} more"] if len(names) > MOST_NAMED else []
        named = join([*names[:MOST_NAMED], *more])
        return f"left out: {named}, trained on other data than {self.trials[0][0].number}"


def candidates_of(sweep: Path, rows: Sequence[Row] | None = None) -> Candidates:
    """The candidates of a sweep: the trials on most folds, and of those on the data of most.

    Args:
        sweep: its folder.
        rows: its table, where it is read already.

    Raises:
        FolderError: there is none, or the folder is not that of a sweep of this program.
    """
    rows = load(sweep) if rows is None else rows
    if are_ours(row.folder for row in rows) is False:
        raise FolderError(
            f"{sweep} holds runs of another program; fcsweep.ensemble takes those of fcsweep"
        )
    if not rows:
        raise FolderError(f"{sweep} holds no trials; expected the folder of a sweep")
    usable, left_out = list[Trial](), Counter[str]()
    for trial in _trials(rows):
        if why := next(filter(None, map(_why_not, trial)), None):
            left_out[why] += 1
        else:
            usable.append(trial)
    if not usable:
        raise FolderError(f"{sweep} holds no trial that has ended with a value and a {BEST}")
    prints = Counter(map(_fingerprints, usable))
    shared = max(prints, key=lambda each: (len(each), prints[each]))
    same, others = list[Trial](), list[Trial]()
    for trial in usable:
        if (own := _fingerprints(trial)) == shared:
            same.append(trial)
        elif {*own} < {*shared}:
            left_out[INCOMPLETE] += 1
        else:
            others.append(trial)
    return Candidates(same, shared[0], dict(left_out), others)


def _trials(rows: Sequence[Row]) -> list[Trial]:
    """All trials, in the order of their first runs."""
    trials, seen = dict[object, list[Row]](), Counter[object]()
    for place, point in enumerate(points(rows)):
        for row in point.rows:
            seed, fold = repeat_of(row.config)
            again = seen[place, seed, fold]  # what was trained twice is two trials
            trials.setdefault((place, seed, again), []).append(row)
            seen[place, seed, fold] += 1
    by_fold = [sorted(runs, key=_fold) for runs in trials.values()]
    return sorted(by_fold, key=lambda trial: trial[0].number)


def _fold(run: Row) -> str:
    return comparable(repeat_of(run.config)[-1])


def _why_not(run: Row) -> str | None:
    """Why a run cannot be part of a member; None where it can."""
    if run.status not in USABLE:
        return run.status
    return None if run.value is not None and (run.folder / BEST).is_file() else GONE


def _fingerprints(trial: Trial) -> tuple[str, ...]:
    """Of the data that the runs of a trial were trained on, as their records have them."""
    return tuple(str(run.found.provenance.get("data_sha256")) if run.found else "" for run in trial)
