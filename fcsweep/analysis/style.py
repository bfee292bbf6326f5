"""One style for every picture, and how a picture becomes a file."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from typing import Any, ParamSpec

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

P = ParamSpec("P")

INK, GREY = "#24292f", "#8c959f"
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#D55E00", "#56B4E9")
DASHES = ("-", "--", "-.", ":", (0, (6, 1, 1, 1, 1, 1)), (0, (3, 3)))

WIDTH, HEIGHT = 4.4, 3.1  # inches; at this size the text can be read on a phone
MOST_GREY = 100
"""Runs drawn in grey behind the labelled ones."""

STYLE: dict[Any, Any] = {
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "savefig.facecolor": "none",
    "text.color": INK,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "legend.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": GREY,
    "grid.alpha": 0.3,
    "grid.linewidth": 0.6,
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "axes.labelsize": 9,
    "axes.titlesize": 10,
    "legend.fontsize": 8.5,
    "legend.frameon": False,
    "lines.linewidth": 1.6,
    "svg.fonttype": "none",
    "svg.hashsalt": "fcsweep",
    "text.parse_math": False,  # a config value is a text, not a formula
}

LABELS = {
    "epoch": "epoch",
    "step": "step (updates)",
    "loss": "loss (nats)",
    "val_loss": "validation loss (nats)",
    "train_accuracy": "train accuracy (fraction)",
    "val_accuracy": "validation accuracy (fraction)",
    "learning_rate": "learning_rate (size of a step)",
    "weight_scale": "weight_scale (standard deviation)",
    "reg": "reg (strength of the L2 term)",
    "dropout": "dropout (probability)",
    "input_dropout": "input dropout (probability)",
    "batch_size": "batch_size (examples)",
    "num_epochs": "num_epochs (epochs)",
}


class Drawing(Figure):
    """A figure that a notebook shows."""

    def _repr_png_(self) -> bytes:
        return _render(self, "png", facecolor="white", dpi=100)


def styled(draw: Callable[P, Figure]) -> Callable[P, Figure]:
    """Make a function draw in our style, independent of the caller's."""

    @wraps(draw)
    def drawn(*args: P.args, **kwargs: P.kwargs) -> Figure:
        with mpl.rc_context(STYLE):
            return draw(*args, **kwargs)

    return drawn


def label(name: str) -> str:
    """The text of an axis, with its unit where it has one; of a config key its last part."""
    short = name.removesuffix(".name").rpartition(".")[2]
    return LABELS.get(short, short.replace("_", " ") if short in ("value",) else short)


def save(figure: Figure, path: str | Path) -> None:
    """Write a figure as a PNG or SVG file, by its suffix, on white."""
    Path(path).write_bytes(_render(figure, Path(path).suffix.lstrip("."), facecolor="white"))


def _render(figure: Figure, kind: str, **options: Any) -> bytes:
    memory = io.BytesIO()
    if kind == "svg":
        options["metadata"] = {name: None for name in ("Creator", "Date", "Format", "Type")}
    with mpl.rc_context(STYLE), _any_script():
        figure.savefig(memory, format=kind, **{"dpi": 160, **options})
    return memory.getvalue()


@contextmanager
def _any_script() -> Iterator[None]:
    """Draw a glyph that the font lacks as a box in a PNG, without a warning."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        yield


def panel_of(height: float = HEIGHT) -> tuple[Figure, Axes]:
    """A figure of the usual width, in inches, and its one panel."""
    figure = Drawing((WIDTH, height), layout="constrained")
    return figure, figure.subplots()


def thinned(items: Sequence[Any], most: int) -> list[Any]:
    """At most ``most`` of the items, evenly spaced."""
    if len(items) <= most:
        return list(items)
    return [items[round(n * (len(items) - 1) / (most - 1))] for n in range(most)]


def logarithmic(panel: Axes, which: str) -> None:
    """Give an axis of a panel, ``x`` or ``y``, a log scale with plain numbers."""
    {"x": panel.set_xscale, "y": panel.set_yscale}[which]("log", nonpositive="clip")
    axis = {"x": panel.xaxis, "y": panel.yaxis}[which]
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_formatter(FuncFormatter(lambda value, _: ""))
