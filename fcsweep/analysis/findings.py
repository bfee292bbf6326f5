"""What a sweep found: what was searched, which run won, how each one ended, what mattered.

Functions of the tables of `fcsweep.records.frames`. ``reg``, ``weight_scale`` and the like are
config keys (``model.weight_scale``); accuracies are fractions.
"""

from __future__ import annotations

import json
import math
import re
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd

from fcsweep.config import read
from fcsweep.messages.errors import ConfigError
from fcsweep.messages.wording import printable
from fcsweep.records.frames import column
from fcsweep.records.sweep_table import Spread, repeats, spread_of

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


Direction = Literal["maximize", "minimize"]


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


def differing(runs: pd.DataFrame) -> list[str]:
    """The config keys with more than one value among the runs that have them."""
    return [key for key in config_keys(runs) if column(runs, key).nunique() > 1]


def config_keys(runs: pd.DataFrame) -> list[str]:
    """The columns that stand for config keys."""
    groups = ("model.", "optimizer.", "data.", "solver.")
    top = ("seed", "device", "dtype", "objective", "target")
    return [name for name in runs.columns if str(name).startswith(groups) or name in top]


def configs_of(runs: pd.DataFrame) -> list[dict[str, Any]]:
    """The config of each run by its dotted keys, without those that it does not have."""
    rows = _rows(runs.loc[:, config_keys(runs)])
    return [{key: value for key, value in row.items() if not missing(value)} for row in rows]


def axes(folder: str | Path, runs: pd.DataFrame) -> list[Axis]:
    """What a sweep searched: the keys it names that differ between its runs, else all that differ.

    A scale is logarithmic where the sweep says ``tag(log, ...)``; without a word of the sweep,
    where positive numbers lie more evenly on it (0.01, 0.03, 0.1, but not 0.5, 0.9, 0.99).

    Args:
        folder: of the sweep; its ``multirun.yaml`` tells what was asked.
        runs: as `fcsweep.records.frames.load_runs` reads them.
    """
    texts, differ = asked(Path(folder)), differing(runs)
    named = [key for key in texts if key in differ]
    return [Axis(key, kind(column(runs, key), texts.get(key, ""))) for key in named or differ]


def plane(runs: pd.DataFrame, searched: Sequence[Axis]) -> list[Axis]:
    """The two parameters that matter most by `importance`, or the first two; fewer if so many are.

    Raises:
        ConfigError: the runs differ in no parameter.
    """
    axes = [axis for axis in searched if axis.key != "seed"]
    if not axes:
        raise ConfigError("the runs of this sweep differ in no parameter but the seed")
    parts = importance(runs, axes)
    ranked = sorted(axes, key=lambda axis: -parts.get(axis.key, 0.0))
    return [axis for axis in axes if axis in ranked[:2]]


def best(runs: pd.DataFrame, direction: Direction = "maximize") -> pd.Series | None:
    """The run with the best value, the first of equals; None if none has one.

    Of points, as `fcsweep.analysis.repeats.points` makes them, the one with the best mean among
    those whose seeds all have a value; where there is none, among all.
    """
    values = column(runs, "value")
    if "valued" in runs:
        complete = values.where(runs["valued"] == runs["seeds"])
        values = complete if complete.notna().any() else values
    if not values.notna().any():
        return None
    return runs.loc[values.idxmax() if direction == "maximize" else values.idxmin()]


def verdicts(runs: pd.DataFrame) -> pd.Series:
    """How each run ended, as one of `VERDICTS`."""

    def verdict(run: Any) -> str:
        if run.status == "diverged":
            return DIVERGED
        if math.isnan(run.value):
            return UNKNOWN
        if run.target <= run.value:  # false for a target that is missing
            return HITS
        return LEARNS if run.best_train_accuracy > CHANCE else LEARNS_NOTHING

    named = runs[["status", "value", "target", "best_train_accuracy"]].itertuples()
    return pd.Series([verdict(run) for run in named], index=runs.index, dtype="str")


def importance(
    runs: pd.DataFrame, searched: Sequence[Axis], direction: Direction = "maximize"
) -> dict[str, float]:
    """The part of each parameter in how the values of completed runs differ; the largest first.

    Optuna's own estimate (PED-ANOVA); empty if there are under two parameters or ten such runs,
    or all their values are equal.
    """
    parts = [axis for axis in searched if axis.key != "seed"]
    done = runs.loc[runs["status"] == "completed"]
    done = done.dropna(subset=["value", *(axis.key for axis in parts)])
    parts = [axis for axis in parts if column(done, axis.key).nunique() > 1]
    if len(parts) < 2 or len(done) < LEAST_FOR_IMPORTANCE or column(done, "value").nunique() < 2:
        return {}
    return _importance(done, parts, direction)


def groups(runs: pd.DataFrame, searched: Sequence[Axis], most: int = 6) -> dict[str, list[str]]:
    """Which runs to tell apart in a picture: a label and the folders of the runs it stands for.

    Runs that differ in their seed alone share a label. With more labels than ``most``, the best
    ``most - 1`` points, each by the numbers of its runs.
    """
    told = [axis for axis in searched if axis.key != "seed"]
    found: dict[str, list[str]] = {}
    for row in runs.to_dict("records"):
        found.setdefault(_label(row, told), []).append(str(row["folder"]))
    if len(found) <= most:
        return found
    rows = _rows(runs)
    points = [[rows[n] for n in places] for places in repeats(configs_of(runs))]
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
    values = [None if missing(run[name]) else float(run[name]) for run in runs]
    return spread_of(zip((run.get("seed") for run in runs), values, strict=True), kind)


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
    return reached.reindex(column(history, "folder").unique()).astype("Int64")


def loss_unit(runs: pd.DataFrame) -> str:
    """``nats`` for softmax, ``margin units`` for svm."""
    units = {"softmax": "nats", "svm": "margin units"}
    used = runs["model.loss_function"].dropna().unique() if "model.loss_function" in runs else []
    return " or ".join(units.get(one, str(one)) for one in used) or "nats"


def standard_error(run: Mapping[Any, Any]) -> float | None:
    """Of a validation accuracy: ``sqrt(p (1 - p) / rows)``, as for that many coin throws.

    Args:
        run: a row of the runs; its config names the rows it was judged by.
    """
    from fcsweep.config import GROUPS

    data, value = GROUPS["data"].get(str(run.get("data.name"))), run["value"]
    if run["objective"] != "val_accuracy" or data is None or not 0 < value < 1:
        return None
    named = [run.get("data.num_val"), run.get("solver.num_val_samples"), data.rows.val]
    rows = min(int(count) for count in named if not missing(count))
    return math.sqrt(value * (1 - value) / rows)


def written(value: object, digits: int = 3) -> str:
    """A value for people: floats to so many digits, nothing for a missing one."""
    if missing(value):
        return ""
    return f"{value:.{digits}g}" if isinstance(value, float) else printable(value)


def missing(value: Any) -> bool:
    """Whether a cell of a table is empty."""
    return value is None or value is pd.NA or (isinstance(value, float) and math.isnan(value))


def _rows(runs: pd.DataFrame) -> list[dict[Any, Any]]:
    return runs.to_dict("records")


def _trial_names(point: Sequence[Mapping[Any, Any]]) -> str:
    """``trial 3``, or ``trials 3, 4, 5``."""
    numbers = ", ".join(map(_number, point))
    return f"trial{'s' * (len(point) > 1)} {numbers}"


def _number(row: Mapping[Any, Any]) -> str:
    return str(row["folder"]) if missing(row["number"]) else str(row["number"])


def _label(row: Mapping[Any, Any], told: Sequence[Axis]) -> str:
    texts = [(axis, written(row.get(axis.key))) for axis in told]
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


def kind(values: pd.Series, text: str) -> Literal["log", "linear", "choice"]:
    """The scale of a parameter, by its values and what was asked (such as ``interval(0,1)``)."""
    if not pd.api.types.is_numeric_dtype(values) or pd.api.types.is_bool_dtype(values):
        return "choice"
    if _ends(values)[0] <= 0:
        return "linear"
    if re.search(r"tag\(\s*log\b", text):
        return "log"
    numbers = np.unique(values.dropna().to_numpy(float))
    more_evenly = _widest_gap(np.log(numbers)) < _widest_gap(numbers)
    return "log" if "interval(" not in text and more_evenly else "linear"


def _ends(values: pd.Series) -> tuple[float, float]:
    numbers = [float(value) for value in values.dropna().tolist()]
    return min(numbers), max(numbers)


def _widest_gap(ascending: np.ndarray) -> float:
    """Between neighbours, as a part of the whole width; of a single number the whole."""
    gaps = np.diff(ascending)
    return float(gaps.max() / gaps.sum()) if len(gaps) else 1.0


def _importance(
    runs: pd.DataFrame, searched: Sequence[Axis], direction: Direction
) -> dict[str, float]:
    """As a study of Optuna sees them: one in memory, made of the records."""
    with warnings.catch_warnings():  # tqdm asks for ipywidgets when it is imported in a notebook
        warnings.simplefilter("ignore")
        import optuna
        from optuna.distributions import (
            BaseDistribution,
            CategoricalDistribution,
            FloatDistribution,
        )

    def distribution(axis: Axis) -> BaseDistribution:
        values = column(runs, axis.key)
        if axis.kind == "choice":
            return CategoricalDistribution(sorted(values.unique()))
        return FloatDistribution(*_ends(values), log=axis.kind == "log")

    space = {axis.key: distribution(axis) for axis in searched}
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)  # of the new study
    try:
        study = optuna.create_study(direction=direction)
        for row in runs.to_dict("records"):
            params = {
                axis.key: row[axis.key] if axis.kind == "choice" else float(row[axis.key])
                for axis in searched
            }
            study.add_trial(
                optuna.create_trial(params=params, distributions=space, value=row["value"])
            )
        return optuna.importance.get_param_importances(study)
    finally:
        optuna.logging.set_verbosity(before)


def config_of(run: Mapping[Any, Any], keys: Sequence[str]) -> list[tuple[str, str]]:
    """The config of a run as pairs of key and full value, for reading."""
    pairs = [(key, run[key]) for key in keys]
    return [(key, _full(value)) for key, value in pairs if not missing(value)]


def _full(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, default=str)
