"""What the page says in sentences: the question, the answer, and how far to trust it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from fcsweep.analysis.findings import Axis, missing, standard_error, written
from fcsweep.report.foreign_study import REACHED, Study

OBJECTIVES = {"val_accuracy": "validation accuracy", "train_accuracy": "train accuracy"}
SHOWN = 8
"""Trials of a Pareto front whose values are told, at most."""
Run = Mapping[Any, Any]
"""A row of the table of runs."""


def question(runs: Sequence[Run], searched: Sequence[Axis]) -> str:
    """What the sweep or the run asked."""
    run = runs[0]
    what = objective(run)
    net = _one(runs, "model.name", "a net")
    task = f"{net} on {_data(runs)}"
    names = [axis.name for axis in searched]
    target = run.get("target")
    goal = None if missing(target) else f"{what} {written(target)}"
    if len(runs) == 1 or not names:
        return f"Does {task} reach {goal}?" if goal else f"How high does the {what} of {task} get?"
    ending = "s" * (len(names) == 1)
    verb = f"reach{ending and 'es'} {goal}" if goal else f"give{ending} the highest {what}"
    return f"Which {_listed(names)} {verb} with {task}?"


def answer(runs: Sequence[Run], best: Run | None, searched: Sequence[Axis]) -> str:
    """What came out, with the parameters of the best run."""
    if best is None:
        return f"No run has a value{' yet' * any(map(_unfinished, runs))}."
    what, value = objective(best), f"{best['value']:.4f}"
    reached = not missing(best.get("target")) and best["value"] >= best["target"]
    if len(runs) == 1:
        start = "Yes:" if reached else "To" if missing(best.get("target")) else "No:"
        epochs = f"after epoch {best['best_epoch']} of {best['epochs']}"
        return f"{start} {value} {epochs}, in {_seconds(best['seconds'])}."
    points = [(axis, written(best.get(axis.key), 4)) for axis in searched]
    point = _listed([f"{axis.name} {text}" for axis, text in points if text])
    verb = "reaches" if reached or missing(best.get("target")) else "reaches only"
    others = sum(map(_hits, runs)) - 1
    rest = f"; {others} more reach the target" if others > 0 else ""
    return f"{_name(best).capitalize()} {verb} {what} {value} with {point or 'its config'}{rest}."


def study_question(study: Study) -> str:
    """What another app searched."""
    words = {"maximize": "highest", "minimize": "lowest"}
    goals = [f"the {words[way]} {name}" for name, way in study.objectives.items()]
    names = [axis.name for axis in study.searched]
    ending = "s" * (len(names) == 1)
    return f"Which {_listed(names) or 'parameters'} give{ending} {_listed(goals)} of {study.app}?"


def study_answer(study: Study, tops: pd.DataFrame) -> str:
    """The best trial with its parameters, or the trials of the Pareto front."""
    rows: Sequence[Run] = tops.to_dict("records")
    if not rows:
        yet = study.trials["status"].isin(("running", "waiting")).any()
        return f"No trial has a value{' yet' * bool(yet)}."
    numbers = [str(row["number"]) for row in rows]
    if len(study.objectives) > 1:
        return _front(study, rows)
    (objective,) = study.objectives
    points = [(axis.name, written(rows[0].get(axis.key), 4)) for axis in study.searched]
    point = _listed([f"{name} {text}" for name, text in points if text])
    value = written(rows[0]["value"], 4)
    return f"Trial {numbers[0]} has {objective} {value}" + (f" with {point}." if point else ".")


def _front(study: Study, rows: Sequence[Run]) -> str:
    """The trials of the Pareto front, with their values where they are few."""
    few = len(rows) <= SHOWN
    told = [f"{row['number']}" + (f" ({_reached(study, row)})" if few else "") for row in rows]
    of = f"the {len(rows)} trials" if len(rows) > 1 else "the one trial"
    return f"No trial is better in every objective than {of} of the Pareto front: {_listed(told)}."


def _reached(study: Study, row: Run) -> str:
    return ", ".join(written(row[REACHED + name], 4) for name in study.objectives)


def study_trust(study: Study) -> list[str]:
    """What to know before the answer is believed, a sentence each."""
    statuses = [str(status) for status in study.trials["status"]]
    left = statuses.count("running") + statuses.count("waiting")
    unfinished = [f"{left} of them not finished: this is how it stood."] if left else []
    return [_counted(statuses, "trial"), *unfinished, f"Read from {study.source}."]


def trust(runs: Sequence[Run], best: Run | None) -> list[str]:
    """What to know before the answer is believed, a sentence each."""
    notes = [_counted([str(run["status"]) for run in runs], "run")]
    if left := sum(map(_unfinished, runs)):
        notes.append(f"{left} of them not finished: this is how it stood.")
    if best is not None:
        notes += _precision(runs, best)
    if any(run.get("data.name") == "synthetic" for run in runs):
        notes.append("The data are synthetic: made-up images, no photographs.")
    if any(not missing(run.get("provenance.uncommitted_sha256")) for run in runs):
        notes.append("The code held changes that were not committed.")
    for key, what in (("git_commit", "commits"), ("data_sha256", "data sets")):
        different = {run.get(f"provenance.{key}") for run in runs} - {None}
        different = {one for one in different if not missing(one)}
        if len(different) > 1:
            notes.append(f"The runs come from {len(different)} {what}.")
    return notes


def warning(runs: Sequence[Run], most: int = 5) -> str | None:
    """Which records are not to be believed, and what is wrong with them; None if none is."""
    damages = [str(run["damage"]) for run in runs if not missing(run["damage"])]
    if not damages:
        return None
    more = [f"{len(damages) - most} more"] if len(damages) > most else []
    are = "record is" if len(damages) == 1 else "records are"
    named = "; ".join([*damages[:most], *more])
    return f"{len(damages)} {are} damaged, and left out of the answer and the pictures: {named}."


def objective(run: Run) -> str:
    """What a run is judged by, in words."""
    name = run.get("objective")
    return "accuracy" if missing(name) else OBJECTIVES.get(str(name), str(name))


def _counted(statuses: Sequence[str], what: str) -> str:
    each = ", ".join(f"{count} {status}" for status, count in Counter(statuses).most_common())
    return f"{len(statuses)} {what}{'s' * (len(statuses) != 1)}: {each or 'none'}."


def _unfinished(run: Run) -> bool:
    return run["status"] in ("running", "missing", "interrupted")


def _precision(runs: Sequence[Run], best: Run) -> list[str]:
    error = standard_error(best)
    if error is None:
        return []
    close = sum(
        not missing(run["value"]) and run["value"] > best["value"] - 2 * error for run in runs
    )
    note = f"One standard error of the best validation accuracy is {error:.4f}"
    others = f": {close - 1} other runs are within two of it" if close > 2 else ""
    return [f"{note}{others}."]


def _hits(run: Run) -> bool:
    return (
        not missing(run.get("target"))
        and not missing(run["value"])
        and run["value"] >= run["target"]
    )


def _name(run: Run) -> str:
    return "the run" if missing(run["number"]) else f"trial {run['number']}"


def _data(runs: Sequence[Run]) -> str:
    name, rows = _one(runs, "data.name", "several data sets"), _one(runs, "data.num_train", "")
    return f"{rows} images of {name}" if rows else name


def _one(runs: Sequence[Run], key: str, several: str) -> str:
    """The value that all runs have, or a word for several."""
    values = {written(run.get(key)) for run in runs} - {""}
    return values.pop() if len(values) == 1 else several


def _listed(words: Sequence[str]) -> str:
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def _seconds(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.1f} s"
    return f"{seconds / 60:.1f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
