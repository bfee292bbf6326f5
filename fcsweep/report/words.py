"""What the page says in sentences: the question, the answer, and how far to trust it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from fcsweep.analysis.findings import Axis, missing, standard_error, written
from fcsweep.analysis.repeats import spread_in
from fcsweep.analysis.workers import TimeLine
from fcsweep.objectives import digits_of, reaches, sign_of, words_of
from fcsweep.report.foreign_study import REACHED, Study

SHOWN = 8
"""The most trials of a Pareto front whose values are listed."""
Run = Mapping[Any, Any]
"""A row of the table of runs; or of that of points, where runs are repeats."""


def question(runs: Sequence[Run], searched: Sequence[Axis]) -> str:
    """What the sweep or the run asked."""
    run = runs[0]
    what, over = objective(run), _over(runs)
    net = _one(runs, "model.name", "a net")
    task = f"{net} on {_data(runs)}"
    names = [axis.name for axis in searched]
    target, low = run.get("target"), sign_of(run.get("objective")) < 0
    goal = None if missing(target) else f"{what} {written(target)}{over}"
    if len(runs) == 1 or not names:
        height = f"How {'low' if low else 'high'} does the {what} of {task} get{over}?"
        return f"Does {task} reach {goal}?" if goal else height
    ending = "s" * (len(names) == 1)
    end = "lowest" if low else "highest"
    verb = f"reach{ending and 'es'} {goal}" if goal else f"give{ending} the {end} {what}{over}"
    return f"Which {_join(names)} {verb} with {task}?"


def answer(runs: Sequence[Run], best: Run | None, searched: Sequence[Axis]) -> str:
    """What came out, with the parameters of the best run or point."""
    if best is None:
        return f"No run has a value{' yet' * any(map(_is_unfinished, runs))}."
    what, value = objective(best), spread_in(best)
    reached = _hits(best)
    if len(runs) == 1 and not _is_point(best):
        start = "Yes:" if reached else "To" if missing(best.get("target")) else "No:"
        epochs = f"after epoch {best['best_epoch']} of {best['epochs']}"
        return f"{start} {value} {epochs}, in {_seconds(best['seconds'])}."
    several = _is_point(best) and best["seeds"] > 1
    verb = "reach" if several else "reaches"
    verb += "" if reached or missing(best.get("target")) else " only"
    others = sum(map(_hits, runs)) - 1
    rest = f"; {others} more reach the target" if others > 0 else ""
    point = _point(best, searched) or "its config" if len(runs) > 1 else ""
    with_ = f" with {point}" if point else ""
    return f"{_name(best).capitalize()} {verb} {what} {value}{_over([best])}{with_}{rest}."


def study_question(study: Study) -> str:
    """What another app searched."""
    words = {"maximize": "highest", "minimize": "lowest"}
    goals = [f"the {words[way]} {name}" for name, way in study.objectives.items()]
    names = [axis.name for axis in study.searched]
    ending = "s" * (len(names) == 1)
    return f"Which {_join(names) or 'parameters'} give{ending} {_join(goals)} of {study.app}?"


def study_answer(study: Study, rows: Sequence[Run]) -> str:
    """The best trial with its parameters, or the trials of the Pareto front."""
    if not rows:
        yet = any(trial["status"] in ("running", "waiting") for trial in study.trials)
        return f"No trial has a value{' yet' * yet}."
    numbers = [str(row["number"]) for row in rows]
    if len(study.objectives) > 1:
        return _front(study, rows)
    (objective,) = study.objectives
    points = [(axis.name, written(rows[0].get(axis.key), 4)) for axis in study.searched]
    point = _join([f"{name} {text}" for name, text in points if text])
    value = written(rows[0]["value"], 4)
    return f"Trial {numbers[0]} has {objective} {value}" + (f" with {point}." if point else ".")


def _front(study: Study, rows: Sequence[Run]) -> str:
    """The trials of the Pareto front, with their values where they are few."""
    few = len(rows) <= SHOWN
    trials = [f"{row['number']}" + (f" ({_values(study, row)})" if few else "") for row in rows]
    of = f"the {len(rows)} trials" if len(rows) > 1 else "the one trial"
    return f"No trial is better in every objective than {of} of the Pareto front: {_join(trials)}."


def _values(study: Study, row: Run) -> str:
    return ", ".join(written(row[REACHED + name], 4) for name in study.objectives)


def study_trust(study: Study) -> list[str]:
    """Caveats to the answer of a study, a sentence each."""
    statuses = [str(trial["status"]) for trial in study.trials]
    left = statuses.count("running") + statuses.count("waiting")
    unfinished = [f"{left} of them not finished: this is how it stood."] if left else []
    return [_count(statuses, "trial"), *unfinished, f"Read from {study.source}."]


def trust(
    runs: Sequence[Run], points: Sequence[Run], best: Run | None, searched: Sequence[Axis]
) -> list[str]:
    """Caveats to the answer, a sentence each.

    Args:
        runs: of the sweep.
        points: what is compared: the runs, or points of repeats.
        best: of the points.
        searched: what tells them apart.
    """
    notes = [_count([str(run["status"]) for run in runs], "run")]
    if left := sum(map(_is_unfinished, runs)):
        notes.append(f"{left} of them not finished: this is how it stood.")
    if best is not None:
        notes += [*_spread(points, best, searched), *_precision(points, best)]
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


def workers(line: TimeLine | None) -> str:
    """What the times of the workers are; nothing where there is no time line."""
    if line is None:
        return ""
    return (
        f"Times are from {line.since:%Y-%m-%d %H:%M:%S} UTC, the first start, by each machine's "
        "clock. A worker is idle while it trains nothing between its first start and its last end. "
        "Of a resumed trial only its last worker is known."
    )


def warning(runs: Sequence[Run], most: int = 5) -> str | None:
    """Which records are untrustworthy, and why; None if none is."""
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
    what = "accuracy" if missing(name) else words_of(name)
    return f"{run['judged']} {what}" if _is_point(run) else what


def _count(statuses: Sequence[str], what: str) -> str:
    each = ", ".join(f"{count} {status}" for status, count in Counter(statuses).most_common())
    return f"{len(statuses)} {what}{'s' * (len(statuses) != 1)}: {each or 'none'}."


def _is_unfinished(run: Run) -> bool:
    return run["status"] in ("running", "missing", "interrupted")


def count_of(point: Run) -> str:
    """``3``, or ``2 of 3`` seeds, where one has no value."""
    seeds, valued = point["seeds"], point["valued"]
    return str(seeds) if valued == seeds else f"{valued} of {seeds}"


def unit_in(points: Sequence[Run]) -> str:
    """What tells the repeats of points apart: ``seed``, ``fold`` or ``repeat``."""
    units = {str(point["repeated"]) for point in points if point.get("seeds", 1) > 1}
    return units.pop() if len(units) == 1 else "repeat" if units else "seed"


def _is_point(run: Run) -> bool:
    """Whether it is a point of repeats."""
    return "seeds" in run


def _over(points: Sequence[Run]) -> str:
    """`` over 3 seeds``, `` over 2 of 3 seeds``, `` over 1 to 3 seeds``; of single runs nothing."""
    if not _is_point(points[0]):
        return ""
    unit = unit_in(points)
    if len(points) == 1:
        return f" over {count_of(points[0])} {unit}{'s' * (points[0]['seeds'] > 1)}"
    least, most = (pick(point["seeds"] for point in points) for pick in (min, max))
    return f" over {most} {unit}s" if least == most else f" over {least} to {most} {unit}s"


def _spread(points: Sequence[Run], best: Run, searched: Sequence[Axis]) -> list[str]:
    """What the deviations of repeats say of the answer."""
    if not _is_point(best):
        return []
    lacking = [point for point in points if point["valued"] < point["seeds"]]
    unit = unit_in(points)
    notes = [f"± is the standard deviation over the {unit}s."] if best["seeds"] > 1 else []
    if lacking:
        has = f"1 has a {unit}" if len(lacking) == 1 else f"{len(lacking)} have {unit}s"
        after = "; it comes after the points that have all." if len(points) > 1 else "."
        notes.append(f"Of {len(points)} points {has} without a value, left out of the mean{after}")
    return notes + _lead(points, best, searched)


def _lead(points: Sequence[Run], best: Run, searched: Sequence[Axis]) -> list[str]:
    """Whether the best point would be the best with other seeds, too."""
    rivals = [point for point in points if point is not best and not missing(point["value"])]
    complete = [point for point in rivals if point["valued"] == point["seeds"]]
    sign, digits = sign_of(best.get("objective")), digits_of(best.get("objective"))
    second = max(complete or rivals, key=lambda point: sign * point["value"], default=None)
    if second is None or missing(best["value_std"]):
        return []
    lead = sign * (best["value"] - second["value"])
    deviation = max(one["value_std"] for one in (best, second) if not missing(one["value_std"]))
    larger = lead > deviation
    doubt = "" if larger else f": with other {unit_in(points)}s another point may be the best"
    return [
        f"Its lead over the second ({_point(second, searched) or _name(second)}: "
        f"{spread_in(second)}) is {lead:{digits}}, {'larger' if larger else 'not larger'} than the "
        f"greater of their standard deviations, {deviation:{digits}}{doubt}."
    ]


def _precision(points: Sequence[Run], best: Run) -> list[str]:
    error = standard_error(best)
    if error is None:
        return []
    close = sum(
        not missing(point["value"]) and point["value"] > best["value"] - 2 * error
        for point in points
    )
    what = "points" if _is_point(best) else "runs"
    note = f"One standard error of the best validation accuracy is {error:.4f}"
    others = f": {close - 1} other {what} are within two of it" if close > 2 else ""
    return [f"{note}{others}."]


def _hits(run: Run) -> bool:
    return (
        not missing(run.get("target"))
        and not missing(run["value"])
        and reaches(run.get("objective"), run["value"], run["target"])
    )


def _name(run: Run, most: int = 5) -> str:
    if not _is_point(run):
        return "the run" if missing(run["number"]) else f"trial {run['number']}"
    numbers = str(run["runs"]).split(", ")
    more = [f"{len(numbers) - most} more"] if len(numbers) > most else []
    return f"trial{'s' * (len(numbers) > 1)} {_join([*numbers[:most], *more])}"


def _point(run: Run, searched: Sequence[Axis]) -> str:
    """``weight_scale 0.1 and learning_rate 0.5``."""
    texts = [(axis, written(run.get(axis.key), 4)) for axis in searched]
    return _join([f"{axis.name} {text}" for axis, text in texts if text])


def _data(runs: Sequence[Run]) -> str:
    name, rows = _one(runs, "data.name", "several data sets"), _one(runs, "data.num_train", "")
    what = "images" if all(missing(run.get("data.sizes.train")) for run in runs) else "rows"
    return f"{rows} {what} of {name}" if rows else name


def _one(runs: Sequence[Run], key: str, several: str) -> str:
    """The value that all runs share, or a word for several."""
    values = {written(run.get(key)) for run in runs} - {""}
    return values.pop() if len(values) == 1 else several


def _join(words: Sequence[str]) -> str:
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def _seconds(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.1f} s"
    return f"{seconds / 60:.1f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
