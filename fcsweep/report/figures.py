"""Which figures a page has: the name, title and caption of each that is not empty.

`plots` draws them as files, ``scripts/`` in the browser.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from fcsweep.analysis.findings import CHANCE, LEARNS_NOTHING, Axis, missing
from fcsweep.objectives import words_of
from fcsweep.records.sweep_table import REPEATED
from fcsweep.report import words
from fcsweep.report.contents import Sweep


@dataclass(frozen=True)
class Figure:
    """A figure of the page."""

    name: str
    """Of its element, and of its file, if it is written to one."""
    title: str
    caption: str
    """What it shows, in a sentence."""


def figures(sweep: Sweep) -> list[Figure]:
    """The figures of a page, in order."""
    return [*(_of_run(sweep) if sweep.single else (*_training_figures(sweep), *_search(sweep)))]


def _of_run(sweep: Sweep) -> Iterator[Figure]:
    if any(sweep.curves):
        caption = "The loss of each minibatch, with the L2 term."
        if any(any(curve.val_loss) for curve in sweep.curves):
            caption += " After each epoch that of the validation rows, without it."
        yield Figure("loss", "Loss per step", caption)
        if not _of_quantity(sweep):
            caption = "Accuracy after each epoch, on training and on validation rows."
            yield Figure("accuracy", "Accuracy", caption)


def _training_figures(sweep: Sweep) -> Iterator[Figure]:
    if any(sweep.curves):
        drawn = ["Losses"] if _of_quantity(sweep) else ["Losses", "accuracies"]
        if name := sweep.value_of_curves:
            drawn.append(words_of(name.removeprefix("val_")))
        *others, last = drawn
        caption = f"{' and '.join([', '.join(others), last] if others else [last])} per epoch; "
        caption += "the best are coloured."
        if sweep.repeated:
            over = f"{words.unit_in(sweep.points)}s, in its range."
            caption += f" A thin line is a run, a thick one the mean over the {over}"
        yield Figure("learning_curves", "Learning curves", caption)
    if sweep.repeated and valued(sweep):
        unit = words.unit_in(sweep.points)
        caption = f"A dot is a run, one for each {unit}; a line is their mean."
        yield Figure("repeats", "Repeats", caption)


def _of_quantity(sweep: Sweep) -> bool:
    """Whether all runs predict a quantity, which has no accuracy."""
    return all(run.get("data.sizes.classes") == 1 for run in sweep.runs)


def _search(sweep: Sweep) -> Iterator[Figure]:
    searched = [axis for axis in sweep.searched if axis.key not in REPEATED]
    count = valued(sweep)
    if count < 2:
        return
    what = "point" if sweep.repeated else "trial" if sweep.study else "run"
    if len(sweep.points) > 3 and (len(sweep.objectives) > 1 or has_plane(searched)):
        yield Figure("landscape", "Landscape", _landscape(sweep, what))
    if len(sweep.points) > 3:
        caption = "The value of each trial in the order of their numbers."
        if sweep.repeated:
            caption = "The mean of each point in the order of their first trials."
        yield Figure("history", "History", caption)
    if sweep.parts:
        caption = (
            "The part of the variation in the ranks of the values that each parameter explains "
            "alone (correlation ratio, corrected for chance; completed runs)."
        )
        yield Figure("importance", "Importance", caption)
    if len(searched) > 2 and count > 3:
        caption = f"A line is a {what}, coloured by its value. Drag along an axis to keep a part."
        yield Figure("parallel", "All parameters", caption)


def has_plane(searched: list[Axis]) -> bool:
    """Whether there are two parameters to span a landscape, one of them a number."""
    return len(searched) > 1 and any(axis.kind != "choice" for axis in searched)


def _landscape(sweep: Sweep, what: str) -> str:
    caption = f"Each {what} at two of its parameters: how it ended, and how good it became."
    if LEARNS_NOTHING in map(sweep.verdict, sweep.points):
        caption += f" To learn nothing is to stay at a train accuracy of at most {CHANCE:g}."
    return caption


def valued(sweep: Sweep) -> int:
    """How many points have a value of the first objective."""
    key = next(iter(sweep.objectives))
    return sum(not missing(point.get(key)) for point in sweep.points)
