"""What a search found: values over parameters and trials."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from fcsweep.analysis.findings import (
    DIVERGED,
    HITS,
    LEARNS,
    LEARNS_NOTHING,
    UNKNOWN,
    Axis,
    directions_in,
    rows_of,
)
from fcsweep.analysis.style import (
    COLOURS,
    GREY,
    HEIGHT,
    INK,
    MOST_GREY,
    WIDTH,
    Drawing,
    label,
    logarithmic,
    panel_of,
    styled,
    thinned,
)
from fcsweep.objectives import OBJECTIVES, Direction, words_of
from fcsweep.records.frames import column

VALUES = mpl.colormaps["cividis"].resampled(16)

TOP = 5
"""Runs that stand out in the parallel view."""

FRACTIONS = tuple(one.words for one in OBJECTIVES.values() if one.fraction)
VALUED = (HITS, LEARNS, "completed")
"""What has a colour by its value."""

MARKS: dict[str, dict[str, Any]] = {
    HITS: {"marker": "*", "s": 110},
    LEARNS: {"marker": "o", "s": 30},
    LEARNS_NOTHING: {"marker": "o", "s": 22, "facecolors": "none", "edgecolors": GREY},
    DIVERGED: {"marker": "x", "s": 28, "color": COLOURS[4]},
    "completed": {"marker": "o", "s": 30},
    "pruned": {"marker": "v", "s": 22, "facecolors": "none", "edgecolors": GREY},
    "failed": {"marker": "x", "s": 28, "color": COLOURS[4]},
    UNKNOWN: {"marker": "|", "s": 28, "color": GREY},
}


@styled
def landscape(
    runs: pd.DataFrame,
    verdicts: pd.Series,
    x: Axis,
    y: Axis | None = None,
    title: str | None = None,
) -> Figure:
    """Each run at its two parameters: its value as a colour, how it ended as a mark.

    Args:
        runs: of one sweep.
        verdicts: of the same runs, as `findings.verdicts` gives them, or how trials of another app
            ended: one of `MARKS`.
        x: the parameter on the horizontal axis.
        y: the one on the vertical axis; the value if only one was searched.
        title: above the picture.
    """
    figure, panel = panel_of(HEIGHT + 0.35)
    across = _positions(panel, x, column(runs, x.key), "x")
    up = _positions(panel, y, column(runs, y.key), "y") if y else _heights(panel, runs)
    learned = runs["value"].to_numpy()[verdicts.isin(VALUED).to_numpy()]
    scale = Normalize(learned.min(), learned.max()) if len(learned) else None
    coloured = None
    for name, mark in MARKS.items():
        here = (verdicts == name).to_numpy()
        if not here.any():
            continue
        points = across[here], up[here]
        if name in VALUED:
            values = runs["value"].to_numpy()[here]
            style: dict[str, Any] = {
                "c": values,
                "cmap": VALUES,
                "norm": scale,
                "edgecolors": INK,
                "linewidths": 0.5,
            }
            coloured = panel.scatter(*points, **mark, **style, label=name, zorder=3)
        else:
            panel.scatter(*points, **mark, linewidths=1.1, label=name)
    if coloured is not None:
        figure.colorbar(coloured, ax=panel, label=_objective(runs))
    if title:
        panel.set_title(title)
    figure.legend(loc="outside upper center", ncols=2, handletextpad=0.2)
    return figure


@styled
def parallel(
    runs: pd.DataFrame, axes: Sequence[Axis], direction: Direction | None = None
) -> Figure:
    """Every run as a line over its parameters to its value; the five best are blue."""
    figure = Drawing((max(WIDTH, 1.25 * (len(axes) + 1)), HEIGHT), layout="constrained")
    panel = figure.subplots()
    shown = runs.dropna(subset=["value", *[axis.key for axis in axes]])
    shown = shown.sort_values("value", ascending=not _is_low(runs, direction))
    shown = shown.iloc[thinned(range(len(shown)), 2 * MOST_GREY)]
    if not len(shown):
        panel.set(xticks=[], yticks=[], title="no run has a value")
        return figure
    scales = [_scale(axis, shown[axis.key]) for axis in axes]
    value = _objective(runs).replace("best ", "").replace(" accuracy", "\naccuracy")
    scales.append(_scale(Axis(value, "linear"), shown["value"]))
    heights = np.column_stack([heights for heights, _ in scales])
    for line in heights[:-TOP]:
        panel.plot(line, color=GREY, alpha=0.5, linewidth=0.7)
    for line in heights[-TOP:]:
        panel.plot(line, color=COLOURS[0], linewidth=1.6)
    for place, (_, ticks) in enumerate(scales):
        panel.axvline(place, color=INK, linewidth=0.8)
        for height, text in ticks:
            panel.annotate(text, (place, height), (3, 2), textcoords="offset points", fontsize=7.5)
    names = [*(axis.name for axis in axes), value]
    panel.set_xticks(range(len(names)), names)
    panel.set(yticks=[], xlim=(-0.1, len(names) - 0.6), ylim=(-0.05, 1.1))
    panel.grid(False)
    for side in panel.spines.values():
        side.set_visible(False)
    panel.tick_params(length=0)
    return figure


@styled
def progress(runs: pd.DataFrame, verdicts: pd.Series, direction: Direction | None = None) -> Figure:
    """The value of each trial by its number, the best so far, and the target if there is one."""
    figure, panel = panel_of()
    numbers, values = _numbers(runs), runs["value"].to_numpy(float)
    pruned = (runs["status"] == "pruned").to_numpy()
    diverged = (verdicts == DIVERGED).to_numpy()
    styles: list[tuple[str, Any, dict[str, Any]]] = [
        ("completed", ~pruned & ~diverged, {"marker": "o", "color": COLOURS[0]}),
        ("pruned", pruned, {"marker": "v", "facecolors": "none", "edgecolors": GREY}),
        ("diverged", diverged, {"marker": "x", "color": COLOURS[4]}),
    ]
    for name, here, style in styles:
        here = here & ~np.isnan(values)
        if here.any():
            style |= {"s": 18, "linewidths": 1, "zorder": 3}
            panel.scatter(numbers[here], values[here], label=name, **style)
    order = np.argsort(numbers, kind="stable")
    low = _is_low(runs, direction)
    better = np.fmin if low else np.fmax
    panel.step(
        numbers[order],
        better.accumulate(values[order]),
        where="post",
        color=COLOURS[1],
        label="best so far",
    )
    targets = runs["target"].dropna().tolist()
    if targets:
        target = min(targets) if low else max(targets)
        panel.axhline(target, color=INK, linestyle=":", linewidth=1, label=f"target {target:g}")
    objective = _objective(runs)
    unit = " (fraction)" if objective.endswith(FRACTIONS) else ""
    panel.set(xlabel="trial (number)", ylabel=objective + unit)
    panel.xaxis.set_major_locator(MaxNLocator(integer=True))
    figure.legend(loc="outside upper center", ncols=3)
    return figure


@styled
def importance(parts: Mapping[str, float]) -> Figure:
    """The part of the variation of the values that each parameter explains alone."""
    figure = Drawing((WIDTH, 0.7 + 0.38 * len(parts)), layout="constrained")
    panel = figure.subplots()
    if not parts:
        panel.set(xticks=[], yticks=[], title="too few runs, or parameters, to tell them apart")
        return figure
    names = [label(key).partition(" (")[0] for key in parts]
    bars = panel.barh(names[::-1], list(parts.values())[::-1], color=COLOURS[0], height=0.6)
    panel.bar_label(bars, fmt="%.2f", padding=3, color=INK)
    panel.set(xlabel="explained variation (fraction)", xlim=(0, 1.12))
    panel.grid(False, axis="y")
    return figure


def _heights(panel: Axes, runs: pd.DataFrame) -> np.ndarray:
    """The values as heights; a run without one lies at the bottom."""
    panel.set_ylabel(_objective(runs))
    values = runs["value"].to_numpy(float)
    return np.where(np.isnan(values), np.nanmin(values, initial=1.0), values)


def _positions(panel: Axes, axis: Axis, values: pd.Series, which: str) -> np.ndarray:
    """The positions of the values on an axis of the panel; sets its scale and label."""
    set_ = {"x": panel.set_xlabel, "y": panel.set_ylabel}[which]
    set_(label(axis.key))
    if axis.kind == "choice":
        names = sorted(values.dropna().unique())
        ticks = {"x": panel.set_xticks, "y": panel.set_yticks}[which]
        ticks(range(len(names)), [str(name) for name in names])
        places = {name: float(place) for place, name in enumerate(names)}
        return np.array([places.get(value, math.nan) for value in values])
    if axis.kind == "log":
        logarithmic(panel, which)
    return values.to_numpy(float, na_value=math.nan)


def _scale(axis: Axis, values: pd.Series) -> tuple[np.ndarray, list[tuple[float, str]]]:
    """The values as heights in [0, 1], and the texts at some heights."""
    if axis.kind == "choice":
        names = sorted(values.unique())
        step = 1 / max(1, len(names) - 1)
        heights = {name: place * step for place, name in enumerate(names)}
        return values.map(heights).to_numpy(float), [(h, str(n)) for n, h in heights.items()]
    numbers = values.to_numpy(float)
    numbers = np.log10(numbers) if axis.kind == "log" else numbers
    low, high = float(numbers.min()), float(numbers.max())
    width = (high - low) or 1.0
    shown = [low + part * (high - low) for part in ((0.0, 0.5, 1.0) if high > low else (0.0,))]
    texts = [f"{10**one if axis.kind == 'log' else one:.2g}" for one in shown]
    return (numbers - low) / width, [
        ((one - low) / width, text) for one, text in zip(shown, texts, strict=True)
    ]


def _numbers(runs: pd.DataFrame) -> np.ndarray:
    """The numbers of the trials; their places in the table if one is missing or not unique."""
    numbers = runs["number"]
    if len(numbers.dropna().unique()) < len(numbers):
        return np.arange(len(runs))
    return numbers.to_numpy(int)


def _is_low(runs: pd.DataFrame, direction: Direction | None) -> bool:
    """Whether the lowest value is the best: by ``direction``, or by their objective."""
    return (direction or next(iter(directions_in(rows_of(runs))), None)) == "minimize"


def _objective(runs: pd.DataFrame) -> str:
    names = runs["objective"].dropna().unique()
    only = str(names[0]) if len(names) == 1 else "value"
    name = f"best {words_of(only)}" if only in OBJECTIVES else only
    return f"{runs['judged'].iloc[0]} {name}" if "judged" in runs else name
