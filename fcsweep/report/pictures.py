"""The pictures of the page, and what each shows."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from fcsweep import analysis
from fcsweep.analysis import findings
from fcsweep.analysis.findings import CHANCE, LEARNS_NOTHING
from fcsweep.records import frames
from fcsweep.report.contents import Sweep


@dataclass(frozen=True)
class Picture:
    """A figure of the page."""

    name: str
    """Of its file, if it is written to one."""
    title: str
    caption: str
    """What it shows, in a sentence."""
    draw: Callable[[], Figure]
    tall: bool = False


def pictures(sweep: Sweep) -> list[Picture]:
    """The figures of the page, in order; only those that there is something to show for."""
    return [*_training(sweep)] if sweep.single else [*_training(sweep), *_search(sweep)]


def _training(sweep: Sweep) -> Iterator[Picture]:
    history, unit = sweep.history, findings.loss_unit(sweep.runs)
    if not len(history):
        return
    if sweep.single:
        losses = _losses(sweep.folder)
        if len(losses):
            caption = "The loss of each minibatch, with the L2 term."
            draw = lambda: analysis.loss_per_step(losses, unit)  # noqa: E731
            yield Picture("loss", "Loss per step", caption, draw)
        caption = "Accuracy after each epoch, on training and on validation rows."
        yield Picture("accuracy", "Accuracy", caption, lambda: analysis.accuracies(history))
        return
    groups = findings.groups(sweep.runs, sweep.searched)
    told, what = sum(map(len, groups.values())), "runs"
    cut = told < len(sweep.runs)
    if sweep.repeated:
        told, what = len(groups), "points"
    caption = "Loss and accuracies per epoch" + (
        f" of the {told} best {what}; the others in grey." if cut else "."
    )
    if sweep.repeated:
        caption += " A thin line is a run, a thick one the mean over the seeds."
    draw = lambda: analysis.learning_curves(history, groups, unit=unit)  # noqa: E731
    yield Picture("learning_curves", "Learning curves", caption, draw, tall=True)
    if sweep.repeated:
        yield from _repeats(sweep, groups)


def _repeats(sweep: Sweep, groups: Mapping[str, Sequence[str]]) -> Iterator[Picture]:
    """How far the seeds of a point lie apart, beside how far the points do."""
    value = dict(zip(sweep.runs["folder"], sweep.runs["value"], strict=True))
    found = {name: [value[one] for one in folders] for name, folders in groups.items()}
    valued = {name: [one for one in values if one == one] for name, values in found.items()}
    valued = {name: values for name, values in valued.items() if values}
    if not valued:
        return
    objective = str(sweep.runs["objective"].dropna().iloc[0])
    caption = "A dot is a run, one for each seed; a line is their mean."
    draw = lambda: analysis.spread(valued, objective)  # noqa: E731
    yield Picture("repeats", "Repeats", caption, draw)


def _search(sweep: Sweep) -> Iterator[Picture]:
    runs, searched = sweep.points, [axis for axis in sweep.searched if axis.key != "seed"]
    direction = sweep.study.direction if sweep.study else "maximize"
    valued = frames.column(runs, "value").count()
    if valued < 2:
        return
    ranked = sorted(searched, key=lambda axis: -sweep.parts.get(axis.key, 0.0))
    plane = [axis for axis in searched if axis in ranked[:2]]
    numbers = [axis for axis in plane if axis.kind != "choice"]
    if len(plane) == 2 and numbers and len(runs) > 3:
        x, y = plane
        what = "point" if sweep.repeated else "trial" if sweep.study else "run"
        caption = f"Each {what} at its {x.name} and {y.name}: how it ended, and how good it became."
        if LEARNS_NOTHING in sweep.verdicts.tolist():
            caption += f" To learn nothing is to stay at a train accuracy of at most {CHANCE:g}."
        draw = lambda: analysis.landscape(runs, sweep.verdicts, x, y)  # noqa: E731
        yield Picture("landscape", "Landscape", caption, draw)
    if len(runs) > 3:
        caption = "The value of each trial in the order of their numbers."
        if sweep.repeated:
            caption = "The mean of each point in the order of their first trials."
        draw = lambda: analysis.progress(runs, sweep.verdicts, direction)  # noqa: E731
        yield Picture("history", "History", caption, draw)
    if len(searched) > 2 and valued > 3:
        what = "point" if sweep.repeated else "run"
        caption = f"A line is a {what}; the five best are blue."
        draw = lambda: analysis.parallel(runs, searched, direction)  # noqa: E731
        yield Picture("parallel", "All parameters", caption, draw)
    if sweep.parts:
        caption = "How far each parameter alone explains which runs are among the best (PED-ANOVA)."
        draw = lambda: analysis.importance(sweep.parts)  # noqa: E731
        yield Picture("importance", "Importance", caption, draw)


def _losses(folder: Path) -> pd.DataFrame:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", frames.DamageWarning)
        return frames.load_losses(folder)
