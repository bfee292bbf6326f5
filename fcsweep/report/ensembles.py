"""What the ensemble of a sweep brings over its best trial: a table of the page."""

from __future__ import annotations

from typing import Any

from fcsweep.messages.errors import FolderError
from fcsweep.objectives import digits_of
from fcsweep.records.models.ensemble import FILE, Ensemble, read
from fcsweep.report.contents import Sweep

SHOWN = 10
"""Members that are named."""


def texts(sweep: Sweep) -> dict[str, Any]:
    """The template's variables ``summaries`` and ``notes``, where the sweep has an ensemble."""
    path = sweep.folder / FILE
    if sweep.single or not path.is_file():
        return {}
    try:
        ensemble = read(path)
    except FolderError as error:
        return {"notes": [f"The ensemble is left out: {error}."]}
    now = {run.get("number"): run.get("best_sha256") for run in sweep.runs}
    changed = [one.trial for one in ensemble.members if now.get(one.trial) != one.best_sha256]
    if changed:
        trials = ", ".join(map(str, changed))
        return {"notes": [f"The ensemble is left out: its members {trials} are not as they were."]}
    return {"summaries": [_table(ensemble)], "notes": _notes(ensemble)}


def _table(ensemble: Ensemble) -> dict[str, Any]:
    columns = [
        (f"{split} {name}", one, digits_of(name))
        for name, scores in ensemble.all_scores.items()
        for split, one in scores.items()
    ]
    rows = [
        [_named(ensemble), *(f"{one.ensemble:{digits}}" for _, one, digits in columns)],
        [
            f"best trial: {ensemble.best.trial}",
            *(f"{one.best:{digits}}" for _, one, digits in columns),
        ],
        ["difference", *(f"{one.ensemble - one.best:+{digits}}" for _, one, digits in columns)],
    ]
    head = ["", *(label for label, *_ in columns)]
    return {"id": "ensemble", "title": "Ensemble", "head": head, "rows": rows}


def _named(ensemble: Ensemble) -> str:
    trials = ensemble.trials
    named = [f"{trial} ({weight:.2f})" for trial, weight in trials[:SHOWN]]
    more = [f"{len(trials) - SHOWN} more"] if len(trials) > SHOWN else []
    count = "1 trial" if len(trials) == 1 else f"{len(trials)} trials"
    return f"{count}{ensemble.of_folds} (weights): {', '.join([*named, *more])}"


def _notes(ensemble: Ensemble) -> list[str]:
    """How far to trust it."""
    start = f"The ensemble was selected from {ensemble.candidates} trials on the validation rows"
    if "test" in ensemble.scores:
        return [f"{start}, which flatter it; the test rows decided nothing."]
    return [f"{start}, which flatter it, and there are no test rows."]
