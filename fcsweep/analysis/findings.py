"""What a sweep found: what was searched, which run won, how each one ended, what mattered.

Functions of a table of runs: that of `fcsweep.records.load_runs`, or its rows, as
`fcsweep.records.reader.Reading` has them; pandas is imported only for the former. ``reg``,
``weight_scale`` and the like are config keys (``model.weight_scale``); accuracies are fractions.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain, pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from fcsweep.analysis.variation import explained
from fcsweep.config import read
from fcsweep.messages.errors import ConfigError
from fcsweep.messages.wording import printable
from fcsweep.objectives import Direction, direction_of, reaches, sign_of
from fcsweep.records.sweep_table import REPEATED, Spread, comparable, repeat_of, repeats, spread_of

if TYPE_CHECKING:
    import pandas as pd

HITS, LEARNS, LEARNS_NOTHING, DIVERGED, UNKNOWN = VERDICTS = (
    "reaches the target",
    "learns",
    "learns nothing",
    "diverges",
    "has no value",
)
CHANCE = 0.2
"""Train accuracy that a run must pass to have learned anything: twice that of guessing one of ten
classes, since among few images one class is more frequent."""
LEAST_FOR_IMPORTANCE = 10
"""Runs; with fewer a ranking of the parameters would be noise."""

Row = Mapping[Any, Any]
"""A run, or a point of repeats, by column; what it does not have is absent, None or NaN."""


@dataclass(frozen=True)
class Axis:
    """A config key that differs between the runs of a sweep."""

    key: str
    kind: Literal["log", "linear", "choice"]
    """The scale of a number; ``choice`` for texts, lists and truth values."""

    @property
    def name(self) -> str:
        """The last part of the key; of ``optimizer.name`` the group."""
        return self.key.removesuffix(".name").rpartition(".")[2]


def rows_of(table: pd.DataFrame | Sequence[Row]) -> Sequence[Row]:
    """The rows of a table of pandas; rows as they are."""
    return table if isinstance(table, Sequence) else table.to_dict("records")


def differing(runs: pd.DataFrame | Sequence[Row]) -> list[str]:
    """The config keys with more than one value among the runs that have them."""
    rows = rows_of(runs)
    return [key for key in config_keys(rows) if _differ(_values(rows, key))]


def _differ(values: Sequence[Any]) -> bool:
    if values.count(values[0]) == len(values) if values else True:
        return False
    return len(set(map(comparable, values))) > 1


def config_keys(runs: pd.DataFrame | Sequence[Row]) -> list[str]:
    """The columns of config keys."""
    groups = ("model.", "optimizer.", "data.", "solver.")
    top = ("seed", "device", "dtype", "objective", "target")
    names = map(str, dict.fromkeys(chain.from_iterable(rows_of(runs))))
    return [name for name in names if name.startswith(groups) or name in top]


def configs_of(runs: pd.DataFrame | Sequence[Row]) -> list[dict[str, Any]]:
    """The config of each run by its dotted keys, without those that it does not have."""
    rows = rows_of(runs)
    keys = config_keys(rows)
    return [{key: row[key] for key in keys if not missing(row.get(key))} for row in rows]


def _values(rows: Iterable[Row], key: str) -> list[Any]:
    """The values of a column that are there."""
    found = (row.get(key) for row in rows)
    return [value for value in found if value is not None and not missing(value)]


def axes(folder: str | Path, runs: pd.DataFrame | Sequence[Row]) -> list[Axis]:
    """What a sweep searched: the keys it names that differ between its runs, else all that differ.

    A scale is logarithmic where the sweep says ``tag(log, ...)``; without a word of the sweep,
    where positive numbers lie more evenly on it (0.01, 0.03, 0.1, but not 0.5, 0.9, 0.99).

    Args:
        folder: of the sweep; its ``multirun.yaml`` tells what was asked.
        runs: of the sweep.
    """
    rows, texts = rows_of(runs), asked(Path(folder))
    differ = differing(rows)
    named = [key for key in texts if key in differ]
    return [Axis(key, kind(_values(rows, key), texts.get(key, ""))) for key in named or differ]


def plane(runs: pd.DataFrame, searched: Sequence[Axis]) -> list[Axis]:
    """The two parameters that matter most by `importance`, or the first two; fewer if so many are.

    Raises:
        ConfigError: the runs differ in no parameter.
    """
    axes = [axis for axis in searched if axis.key not in REPEATED]
    if not axes:
        raise ConfigError("the runs of this sweep differ in no parameter but the seed")
    parts = importance(runs, axes)
    ranked = sorted(axes, key=lambda axis: -parts.get(axis.key, 0.0))
    return [axis for axis in axes if axis in ranked[:2]]


def best(runs: pd.DataFrame, direction: Direction | None = None) -> pd.Series | None:
    """The run with the best value, the first of equals; None if none has one.

    Which end is best is that of their objective, or ``direction``; None where they have both.

    Of points, as `fcsweep.analysis.repeats.points` makes them, the one with the best mean among
    those whose seeds all have a value; if there are none, among all.
    """
    place = best_place(rows_of(runs), direction)
    return None if place is None else runs.iloc[place]


def directions_in(rows: Sequence[Row]) -> list[Direction]:
    """Which end of the value is best, by the objectives that runs name: often one."""
    return list({direction_of(name): None for name in _values(rows, "objective")})


def best_place(rows: Sequence[Row], direction: Direction | None = None) -> int | None:
    """Which of the rows is that of the `best` run."""
    if len(ways := [direction] if direction else directions_in(rows)) > 1:
        return None
    valued = [place for place, row in enumerate(rows) if not missing(row.get("value"))]
    complete = [n for n in valued if rows[n].get("valued") == rows[n].get("seeds")]
    sign = -1 if ways == ["minimize"] else 1
    return max(complete or valued, key=lambda place: sign * rows[place]["value"], default=None)


def verdicts(runs: pd.DataFrame) -> pd.Series:
    """How each run ended, as one of `VERDICTS`."""
    import pandas as pd

    return pd.Series([*map(verdict, rows_of(runs))], index=runs.index, dtype="str")


def verdict(run: Row) -> str:
    """How a run ended, as one of `VERDICTS`."""
    value, target = run.get("value"), run.get("target")
    if run["status"] == "diverged":
        return DIVERGED
    if value is None or missing(value):
        return UNKNOWN
    if target is not None and not missing(target) and reaches(run.get("objective"), value, target):
        return HITS
    if run.get("data.sizes.classes") == 1:  # a quantity; R2 is 0 of its mean
        return LEARNS_NOTHING if run.get("objective") == "r2" and value <= 0 else LEARNS
    trained = run.get("best_train_accuracy")
    return LEARNS if not missing(trained) and trained > CHANCE else LEARNS_NOTHING  # type: ignore[operator]


def importance(runs: pd.DataFrame | Sequence[Row], searched: Sequence[Axis]) -> dict[str, float]:
    """How much of the variation of the values each parameter explains alone; the largest first.

    A part is `explained` of the completed runs. What only several parameters together explain is in
    none of them, so that they need not add up to 1. Empty if there are under two parameters or ten
    such runs, or all values are equal.
    """
    done = [r for r in rows_of(runs) if r["status"] == "completed" and not missing(r.get("value"))]
    parts: dict[str, float] = {}
    for axis in searched:
        having = [run for run in done if not missing(run.get(axis.key))]
        if axis.key in REPEATED or len(having) < LEAST_FOR_IMPORTANCE:
            continue
        outcomes, values = ([run[key] for run in having] for key in ("value", axis.key))
        part = explained(outcomes, values, axis.kind == "choice")
        parts |= {} if part is None else {axis.key: part}
    return dict(sorted(parts.items(), key=lambda part: -part[1])) if len(parts) > 1 else {}


def groups(
    runs: pd.DataFrame | Sequence[Row], searched: Sequence[Axis], most: int = 6
) -> dict[str, list[str]]:
    """Which runs to tell apart in a picture: a label and the folders of the runs it stands for.

    Runs that differ in their seed alone share a label. With more labels than ``most``, the best
    ``most - 1`` points, each by the numbers of its runs.
    """
    axes = [axis for axis in searched if axis.key not in REPEATED]
    found: dict[str, list[str]] = {}
    rows = rows_of(runs)
    for row in rows:
        found.setdefault(_label(row, axes), []).append(str(row["folder"]))
    if len(found) <= most:
        return found
    points = [[rows[n] for n in places] for places in repeats(configs_of(rows))]
    ranked = sorted(points, key=lambda point: spread(point).rank, reverse=True)
    valued = [point for point in ranked if spread(point).values]
    return {_trial_names(point): [row["folder"] for row in point] for point in valued[: most - 1]}


def spread(runs: Sequence[Mapping[Any, Any]], name: str = "value", kind: str = "mean") -> Spread:
    """The values of a column among repeats.

    Args:
        runs: rows of the table of runs.
        name: of the column.
        kind: how they are judged: a key of `fcsweep.records.sweep_table.JUDGED`.
    """
    values = [None if missing(run.get(name)) else float(run[name]) for run in runs]
    found = spread_of(zip(map(repeat_of, runs), values, strict=True), kind)
    return replace(found, sign=sign_of(runs[0].get("objective")) if name == "value" else 1)


def epochs_to(history: pd.DataFrame, level: float, name: str = "val_accuracy") -> pd.Series:
    """The first epoch at which each run has reached a level; missing where it never does.

    Args:
        history: as `fcsweep.records.frames.load_history` reads it.
        level: a fraction.
        name: ``val_accuracy`` or ``train_accuracy``.

    Returns:
        Epochs by folder.
    """
    reached = history.loc[history[name] >= level].groupby("folder")["epoch"].min()
    return reached.reindex(history["folder"].unique()).astype("Int64")


def loss_unit(runs: pd.DataFrame | Sequence[Row]) -> str:
    """``nats`` for softmax, ``margin units`` for svm."""
    units = {"softmax": "nats", "svm": "margin units", "mse": "mse", "huber": "huber"}
    used = dict.fromkeys(_values(rows_of(runs), "model.loss_function"))
    return " or ".join(units.get(one, str(one)) for one in used) or "nats"


def standard_error(run: Mapping[Any, Any]) -> float | None:
    """Of a run's validation accuracy: ``sqrt(p (1 - p) / rows)``, as for that many coin throws."""
    from fcsweep.config import GROUPS

    data, value = GROUPS["data"].get(str(run.get("data.name"))), run["value"]
    if run["objective"] != "val_accuracy" or data is None or not 0 < value < 1:
        return None
    share, published = run.get("data.val_fraction"), getattr(data, "published", None)
    split = published and published.with_val(None if missing(share) else share)
    known: Any = split.val if split else run.get("data.sizes.val")  # measured, of a table
    named = [run.get("data.num_val"), run.get("solver.num_val_samples"), known]
    rows = min(int(one) for one in named if not missing(one))
    return math.sqrt(value * (1 - value) / rows)


def written(value: object, digits: int = 3) -> str:
    """A value for people: floats to so many digits, nothing for a missing one."""
    if missing(value):
        return ""
    return f"{value:.{digits}g}" if isinstance(value, float) else printable(value)


def missing(value: Any) -> bool:
    """Whether a cell of a table is empty: None, NaN or the NA of pandas."""
    if value is None or isinstance(value, float):
        return value is None or math.isnan(value)
    return type(value).__name__ == "NAType"


def _trial_names(point: Sequence[Mapping[Any, Any]]) -> str:
    """``trial 3``, or ``trials 3, 4, 5``."""
    numbers = ", ".join(map(_number, point))
    return f"trial{'s' * (len(point) > 1)} {numbers}"


def _number(row: Mapping[Any, Any]) -> str:
    return str(row["folder"]) if missing(row.get("number")) else str(row["number"])


def _label(row: Mapping[Any, Any], axes: Sequence[Axis]) -> str:
    texts = [(axis, written(row.get(axis.key))) for axis in axes]
    return ", ".join(
        text if axis.kind == "choice" and axis.key.endswith(".name") else f"{axis.name} {text}"
        for axis, text in texts
        if text
    ) or _number(row)


def asked(folder: Path) -> dict[str, str]:
    """What ``multirun.yaml`` says was swept: the text after the ``=``, by config key."""
    try:
        hydra = read(folder / "multirun.yaml").get("hydra", {})
        params = hydra["sweeper"].get("params") or {}
        task = hydra["overrides"].get("task") or []
    except (ConfigError, KeyError, TypeError, AttributeError):
        return {}
    lines = [f"{key}={value}" for key, value in params.items()] if isinstance(params, dict) else []
    swept: dict[str, str] = {}
    for line in [*lines, *task]:
        key, _, text = str(line).partition("=")
        name = key.lstrip("+~").partition("@")[0].replace("/", ".")
        swept |= {name: text, f"{name}.name": text}
    return swept


def kind(values: Sequence[Any], text: str) -> Literal["log", "linear", "choice"]:
    """The scale of a parameter, by its values and what was asked (such as ``interval(0,1)``)."""
    if not values or not all(map(is_number, values)):
        return "choice"
    if min(values) <= 0:
        return "linear"
    if re.search(r"tag\(\s*log\b", text):
        return "log"
    numbers = sorted(set(map(float, values)))
    more_evenly = _widest_gap([math.log(one) for one in numbers]) < _widest_gap(numbers)
    return "log" if "interval(" not in text and more_evenly else "linear"


def is_number(value: object) -> bool:
    """Whether it is a number, not a truth value."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def _widest_gap(ascending: Sequence[float]) -> float:
    """Between neighbours, as a part of the whole width; of a single number the whole."""
    gaps = [high - low for low, high in pairwise(ascending)]
    return max(gaps) / sum(gaps) if gaps else 1.0


def config_of(run: Mapping[Any, Any], keys: Sequence[str]) -> list[tuple[str, str]]:
    """The config of a run as pairs of key and full value, for reading."""
    pairs = [(key, run.get(key)) for key in keys]
    return [(key, _full(value)) for key, value in pairs if not missing(value)]


def _full(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, default=str)
