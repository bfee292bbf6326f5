"""How runs train: curves over epochs and steps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from textwrap import fill
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator

from fcsweep.analysis.style import (
    COLOURS,
    DASHES,
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

LOSSES = ("loss", "val_loss")
CURVES = (*LOSSES, "train_accuracy", "val_accuracy")
"""Columns that are drawn unless others are named."""
LARGEST = 1e100
"""Loss that is drawn."""
LONGEST = 20
"""Characters of a line of a label beside a panel."""
MOST_POINTS = 500
"""Of a curve; a longer one is drawn by the means of equal parts."""
LEAST_LOSS = 1e-4
"""Nats; what a net that has fitted everything still loses is not shown."""


@styled
def learning_curves(
    history: pd.DataFrame,
    groups: Mapping[str, Sequence[str]],
    columns: Sequence[str] = CURVES,
    *,
    unit: str = "nats",
    beside: bool = False,
) -> Figure:
    """A panel a column against the epoch: each group of runs in its colour, the others in grey.

    Of several runs in a group each is a thin line, and their mean a thick one.

    Args:
        history: of the runs.
        groups: label and folders, as `fcsweep.analysis.findings.groups` makes them.
        columns: of the history; but for the ``loss`` one is left out where no run has recorded it.
        unit: of the loss, as `fcsweep.analysis.findings.loss_unit` knows it.
        beside: the panels side by side, not one above the other.
    """
    columns = [one for one in columns if one == "loss" or len(history[one].dropna())]
    shape = (1, len(columns)) if beside else (len(columns), 1)
    figure = Drawing((WIDTH * shape[1], 2.35 * shape[0] + 0.3), layout="constrained")
    panels = np.atleast_1d(figure.subplots(*shape, sharex=True))
    grouped = {folder for folders in groups.values() for folder in folders}
    behind = thinned([one for one in history["folder"].unique() if one not in grouped], MOST_GREY)
    runs = dict(iter(history.groupby("folder", sort=False)))
    for panel, column in zip(panels, columns, strict=True):
        lines = [_points(runs[one], column) for one in behind]
        panel.add_collection(LineCollection(lines, colors=GREY, linewidths=0.6, alpha=0.45))
        for place, (name, folders) in enumerate(groups.items()):
            _draw_group(panel, place, name, [runs[one] for one in folders if one in runs], column)
        _finish_curves(panel, column, unit)
    for panel in panels if beside else panels[-1:]:
        panel.set_xlabel(label("epoch"))
    handles, names = panels[0].get_legend_handles_labels()
    if names:
        columns_of_legend = min(len(names), 3 if max(map(len, names)) < 16 else 1)
        figure.legend(handles, names, loc="outside upper center", ncols=columns_of_legend)
    return figure


@styled
def accuracies(history: pd.DataFrame) -> Figure:
    """Train and validation accuracy of one run, per epoch."""
    figure, panel = panel_of()
    for place, column in enumerate(("train_accuracy", "val_accuracy")):
        points = _points(history, column)
        name = label(column).removesuffix(" (fraction)")
        _plot(panel, place, points, label=name, marker="." if len(points) < 60 else None)
    panel.set(xlabel=label("epoch"), ylabel="accuracy (fraction)")
    panel.xaxis.set_major_locator(MaxNLocator(integer=True))
    panel.legend(loc="best")
    return figure


@styled
def loss_per_step(losses: pd.DataFrame, unit: str = "nats") -> Figure:
    """The loss of each minibatch against its step; a curve a run."""
    figure, panel = panel_of()
    for place, (_, run) in enumerate(losses.groupby("folder", sort=False)):
        _plot(panel, place % len(COLOURS), _means(run), linewidth=1.2)
    panel.set(xlabel=label("step"), ylabel=f"loss ({unit})")
    _fit_losses(panel, losses["loss"].to_numpy(float))
    return figure


@styled
def spread(groups: Mapping[str, Sequence[float]], objective: str = "val_accuracy") -> Figure:
    """The values of runs that differ in their seed alone: a dot a run, a line at their mean.

    Args:
        groups: label and values; the first is at the top.
        objective: what the values are.
    """
    figure, panel = panel_of(0.7 + 0.45 * len(groups))
    for place, values in enumerate(groups.values()):
        colour = COLOURS[place % len(COLOURS)]
        panel.scatter(values, [place] * len(values), color=colour, s=26, alpha=0.8)
        panel.vlines(float(np.mean(values)), place - 0.25, place + 0.25, color=INK, linewidth=1.5)
    panel.set_yticks(range(len(groups)), [fill(name, LONGEST) for name in groups])
    panel.set(xlabel=label(objective), ylim=(len(groups) - 0.5, -0.5))
    panel.grid(False, axis="y")
    return figure


@styled
def speeds(rates: pd.DataFrame) -> Figure:
    """Trials per second against the stack size, as `load_speeds` reads them."""
    figure, panel = panel_of(HEIGHT + 0.4)
    names = rates["task"] + " (" + rates["device"] + ")"
    for place, (name, part) in enumerate(rates.groupby(names, sort=False)):
        points = part[["stack", "trials_per_second"]].to_numpy(float)
        _plot(panel, place % len(COLOURS), points, label=name, marker="o", markersize=4)
    panel.set_xscale("log", base=2)
    logarithmic(panel, "y")
    panel.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    sizes = sorted({int(size) for size in rates["stack"]})
    panel.set_xticks(sizes, [str(size) for size in sizes])
    panel.set_xticks([], minor=True)
    panel.set(xlabel="stack (trials)", ylabel="speed (trials per second)")
    figure.legend(loc="outside upper center", ncols=1)
    return figure


def _plot(panel: Axes, place: int, points: np.ndarray, **style: Any) -> None:
    style = {"color": COLOURS[place], "linestyle": DASHES[place], **style}
    panel.plot(points[:, 0], points[:, 1], **style)


def _draw_group(
    panel: Axes, place: int, name: str, runs: Sequence[pd.DataFrame], column: str
) -> None:
    lines = [_points(run, column) for run in runs]
    if len(lines) > 1:  # repeats: thin lines, and their mean
        for points in lines:
            _plot(panel, place % len(COLOURS), points, linewidth=0.6, alpha=0.5, linestyle="-")
        lines = [_mean(lines)]
    for points in lines:
        alone = {"marker": "."} if len(points) == 1 else {}
        _plot(panel, place % len(COLOURS), points, label=name, **alone)


def _mean(lines: Sequence[np.ndarray]) -> np.ndarray:
    """``(epochs, 2)``: the mean at the epochs that every line has; of fewer it would jump."""
    heights = [dict(points.tolist()) for points in lines]
    common = sorted(set.intersection(*(set(one) for one in heights)))
    means = [[epoch, float(np.mean([one[epoch] for one in heights]))] for epoch in common]
    return np.array(means).reshape(-1, 2)


def _points(run: pd.DataFrame, column: str) -> np.ndarray:
    """``(epochs, 2)``: where the column has a value that can be drawn."""
    return _drawable(run[["epoch", column]].to_numpy(float))


def _drawable(points: np.ndarray) -> np.ndarray:
    """Without what is not finite, or so large that axes overflow."""
    return points[(np.abs(points) < LARGEST).all(axis=1)]


def _finish_curves(panel: Axes, column: str, unit: str) -> None:
    panel.set_ylabel(label(column).replace(" (fraction)", "\n(fraction)"))
    panel.xaxis.set_major_locator(MaxNLocator(integer=True))
    panel.autoscale_view()
    if column in LOSSES:
        panel.set_ylabel(f"{label(column).removesuffix(' (nats)')} ({unit})")
    if column in LOSSES and panel.lines:
        _fit_losses(panel, np.concatenate([np.asarray(line.get_ydata()) for line in panel.lines]))


def _fit_losses(panel: Axes, losses: np.ndarray) -> None:
    """Room for these losses; on a log axis where they fall by more than a decade.

    Runs in grey may leave it: one that diverges would leave no room for the others.
    """
    losses = losses[np.abs(losses) < LARGEST]
    if not len(losses):
        return
    high, low = losses.max(), max(losses.min(), min(LEAST_LOSS, losses.max()))
    if high > 10 * low > 0:
        logarithmic(panel, "y")
        panel.set_ylim(low / 1.3, high * 1.3)
    else:
        room = 0.05 * (high - low) or 0.1
        panel.set_ylim(low - room, high + room)


def _means(run: pd.DataFrame) -> np.ndarray:
    """``(points, 2)``: steps and losses, each the mean over equal parts of a long run."""
    values = _drawable(run[["step", "loss"]].to_numpy(float))
    if len(values) <= MOST_POINTS:
        return values
    return np.array([part.mean(axis=0) for part in np.array_split(values, MOST_POINTS)])
