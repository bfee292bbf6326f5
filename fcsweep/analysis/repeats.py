"""Repeats: runs of a sweep that differ in their seed alone, together one point with a mean.

``points(load_runs(folder))`` is to points what `fcsweep.records.frames.load_runs` is to runs.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from fcsweep.analysis.findings import configs_of, missing, spread
from fcsweep.records.sweep_table import repeats, repeats_as, together

MEANS = ("value", "best_val_accuracy", "best_train_accuracy", "seconds")
"""Columns that are means over the seeds."""


def points(runs: pd.DataFrame) -> pd.DataFrame:
    """A row for each point of one sweep, in the order of their first runs.

    The columns of the runs, taken from the first run of the point (``folder``, ``number``, config
    keys, provenance), but for: ``value``, ``best_val_accuracy``, ``best_train_accuracy``
    (fractions) and ``seconds``, means over the seeds that have one, each with its sample standard
    deviation in ``value_std`` and so on, missing below two; ``judged``, which is ``mean`` unless a
    search has another ``hydra.sweeper.repeats_as``, and then ``value`` is that; ``seeds``, how many
    there are, and ``valued``, how many of them have a value; ``runs``, their numbers as a text;
    ``best_run``, the folder of the best of them; ``status``, of all or how many of each;
    ``target_reached``, by ``value``. There is no ``seed``.

    `fcsweep.analysis.findings.best` takes points, too: one with a seed that has no value comes
    after the others.

    Args:
        runs: as `fcsweep.records.frames.load_runs` reads them.
    """
    places = repeats(configs_of(runs))
    every: list[dict[Any, Any]] = runs.to_dict("records")
    rows = [[every[n] for n in one] for one in places]
    table = runs.iloc[[one[0] for one in places]].drop(columns="seed", errors="ignore")
    table = table.reset_index(drop=True)
    table["best_run"] = pd.Series([_best_run(one) for one in rows], dtype="str")
    sweeps = runs["sweep"].dropna()
    judged = repeats_as(Path(sweeps.iloc[0])) if len(sweeps) else "mean"
    for name in MEANS:
        each = [spread(one, name) for one in rows]
        table[name] = pd.Series([one.mean for one in each], dtype="float64")
        table[f"{name}_std"] = pd.Series([one.deviation for one in each], dtype="float64")
    values = [spread(one, kind=judged) for one in rows]
    table["value"] = pd.Series([one.judged for one in values], dtype="float64")
    table["judged"] = judged
    table["seeds"] = pd.Series([one.seeds for one in values], dtype="int64")
    table["valued"] = pd.Series([len(one.values) for one in values], dtype="int64")
    table["runs"] = pd.Series([_numbers(one) for one in rows], dtype="str")
    statuses = [together([str(run["status"]) for run in one]) for one in rows]
    table["status"] = pd.Series(statuses, dtype="str")
    table["target_reached"] = (table["value"] >= table["target"]).astype("boolean")
    return table


def spread_in(point: Any, name: str = "value") -> str:
    """``0.9650 ± 0.0012``: a mean of a row of `points` with its deviation, if it has one."""
    mean, deviation = point[name], point.get(f"{name}_std")
    if name == "value" and point.get("judged", "mean") != "mean":
        deviation = None
    if missing(mean):
        return ""
    return f"{mean:.4f}" if missing(deviation) else f"{mean:.4f} ± {deviation:.4f}"


def _best_run(runs: Sequence[dict[Any, Any]]) -> str | None:
    valued = [run for run in runs if not missing(run["value"])]
    top = max(valued, key=lambda run: run["value"], default=None)
    return None if top is None else str(top["folder"])


def _numbers(runs: Sequence[dict[Any, Any]]) -> str:
    """``0, 1, 2``; the name of the folder where a run has no number."""
    return ", ".join(
        Path(run["folder"]).name if missing(run["number"]) else str(run["number"]) for run in runs
    )
