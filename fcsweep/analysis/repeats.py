"""Repeats: runs of a sweep that differ in their seed or fold alone, together one point with a mean.

``points(load_runs(folder))`` is to points what `fcsweep.records.frames.load_runs` is to runs;
`point_rows` are the same without pandas.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fcsweep.analysis.findings import Row, best_place, configs_of, missing, rows_of, spread
from fcsweep.messages.wording import together
from fcsweep.objectives import digits_of, reaches
from fcsweep.records.sweep_table import REPEATED, repeats, repeats_as

if TYPE_CHECKING:
    import pandas as pd

MEANS = ("value", "best_val_accuracy", "best_train_accuracy", "seconds")
"""Columns that are means over the seeds."""


def points(runs: pd.DataFrame) -> pd.DataFrame:
    """A row for each point of one sweep, in the order of their first runs.

    The columns of the runs, taken from the first run of the point (``folder``, ``number``, config
    keys, provenance), but for: ``value``, ``best_val_accuracy``, ``best_train_accuracy``
    (fractions) and ``seconds``, means over the seeds that have one, each with its sample standard
    deviation in ``value_std`` and so on, missing below two; ``judged``, which is ``mean`` unless a
    search has another ``hydra.sweeper.repeats_as``, and then ``value`` is that; ``seeds``, how many
    there are, or how many folds (``repeated`` says ``seed``, ``fold``, or ``repeat`` for both), and
    ``valued``, how many of them have a value; ``runs``, their numbers as a text;
    ``best_run``, the folder of the best of them; ``status``, of all or how many of each;
    ``target_reached``, by ``value``. There is no ``seed`` and no ``data.fold``.

    `fcsweep.analysis.findings.best` takes points, too: one with a seed that has no value comes
    after the others.

    Args:
        runs: as `fcsweep.records.frames.load_runs` reads them.
    """
    import pandas as pd

    rows = point_rows(rows_of(runs))
    kinds = {"target_reached": "boolean", "number": runs["number"].dtype}
    heads = [str(name) for name in runs.columns if name not in REPEATED]
    heads += [name for name in (rows[0] if rows else ()) if name not in (*heads, "folders")]
    table = pd.DataFrame(rows, columns=heads)
    return table.astype({name: kind for name, kind in kinds.items() if name in table})


def point_rows(runs: Sequence[Row]) -> list[dict[str, Any]]:
    """The rows of `points`, of the rows of runs of one sweep."""
    sweeps = [run["sweep"] for run in runs if not missing(run.get("sweep"))]
    judged = repeats_as(Path(sweeps[0])) if sweeps else "mean"
    places = repeats(configs_of(runs))
    return [_point([runs[place] for place in one], judged) for one in places]


def _point(runs: Sequence[Row], judged: str) -> dict[str, Any]:
    value = spread(runs, kind=judged)
    each = {name: spread(runs, name) for name in MEANS}
    target: Any = runs[0].get("target")
    return {
        **{key: cell for key, cell in runs[0].items() if key not in REPEATED},
        **{name: one.mean for name, one in each.items()},
        **{f"{name}_std": one.deviation for name, one in each.items()},
        "best_run": _best_run(runs),
        "value": value.judged,
        "judged": judged,
        "seeds": value.seeds,
        "repeated": value.unit,
        "valued": len(value.values),
        "runs": _numbers(runs),
        "folders": [str(run["folder"]) for run in runs],
        "status": together([str(run["status"]) for run in runs]),
        "target_reached": None
        if missing(target) or value.judged is None
        else reaches(runs[0].get("objective"), value.judged, target),
    }


def spread_in(point: Any, name: str = "value") -> str:
    """``0.9650 ± 0.0012``: a mean of a row of `points` with its deviation, if it has one."""
    mean, deviation = point.get(name), point.get(f"{name}_std")
    if name == "value" and point.get("judged", "mean") != "mean":
        deviation = None
    if missing(mean):
        return ""
    digits = digits_of(point.get("objective")) if name == "value" else ".4f"
    return f"{mean:{digits}}" + ("" if missing(deviation) else f" ± {deviation:{digits}}")


def _best_run(runs: Sequence[Row]) -> str | None:
    valued = [run for run in runs if not missing(run.get("value"))]
    place = best_place(valued)
    top = None if place is None else valued[place]
    return None if top is None else str(top["folder"])


def _numbers(runs: Sequence[Row]) -> str:
    """``0, 1, 2``; the name of the folder where a run has no number."""
    return ", ".join(
        Path(run["folder"]).name if missing(run.get("number")) else str(run["number"])
        for run in runs
    )
