"""Loss over learning rate: on a terminal of 80 columns, as a picture, as a table."""

from __future__ import annotations

import csv
import io
import math
from pathlib import Path

import numpy as np

from fcsweep.find_lr.suggestion import Suggestion
from fcsweep.find_lr.training import Losses
from fcsweep.system.atomic import write_atomically

ROWS = 12
LEFT = 8
"""Columns for the numbers of the losses."""


def chart(found: Losses, suggestion: Suggestion) -> str:
    """A column for each rate: ``*`` at its loss, ``x`` where it diverged or is far above."""
    known = found.mean[np.isfinite(found.mean)]
    low = float(known.min()) if len(known) else 0.0
    high = max(float(found.start.mean()), low + 1e-9)
    places = [_row(loss, low, high) for loss in found.mean]
    lines: list[str] = []
    for row in range(ROWS + 1):
        marks = "".join(("x" if row == 0 else "*") if place == row else " " for place in places)
        loss = high - (row - 1) * (high - low) / (ROWS - 1)
        lines.append(f"{'' if row == 0 else f'{loss:.4f}':>{LEFT - 2}} |{marks}".rstrip())
    lines += [f"{'loss':>{LEFT - 2}} +{'-' * len(places)}", *_under(found, suggestion)]
    return "\n".join(lines)


def _row(loss: float, low: float, high: float) -> int:
    """From 0, above the highest loss that is drawn, to `ROWS` for the least."""
    if not math.isfinite(loss) or loss > high + (high - low) / ROWS:
        return 0
    return 1 + round((ROWS - 1) * min(1.0, (high - loss) / (high - low)))


def _under(found: Losses, suggestion: Suggestion) -> list[str]:
    """The rates below their columns, and a sign at the suggestion."""
    marks, names = [" "] * (len(found.rates) + LEFT), ""
    logs = [math.log10(rate) for rate in found.rates]
    for place, log in enumerate(logs):
        whole = math.isclose(log, round(log), abs_tol=1e-3)
        if (whole or not place) and len(names) <= place + LEFT - 2:
            names = f"{names:<{place + LEFT - 1}}{found.rates[place]:g}"
    if suggestion.rate is not None:
        near = min(range(len(logs)), key=lambda n: abs(logs[n] - math.log10(suggestion.rate or 1)))
        marks[near + LEFT - 1] = "^"
    return [line for line in ("".join(marks).rstrip(), names) if line]


def write_table(found: Losses, path: Path) -> None:
    """Write ``learning_rate,loss``; the loss is empty where it diverged."""
    text = io.StringIO()
    out = csv.writer(text, lineterminator="\n")
    out.writerow(["learning_rate", "loss"])
    for rate, loss in zip(found.rates, found.mean.tolist(), strict=True):
        out.writerow([repr(rate), repr(loss) if math.isfinite(loss) else ""])
    write_atomically(path, text.getvalue().encode())


def write_picture(found: Losses, suggestion: Suggestion, path: Path) -> None:
    """Write loss over rate as a PNG or SVG file, by its suffix."""
    from fcsweep.analysis import style  # imports matplotlib

    @style.styled
    def drawn() -> style.Figure:
        figure, panel = style.panel_of()
        style.logarithmic(panel, "x")
        panel.plot(found.rates, found.mean, ".-", color=style.COLOURS[0])
        panel.axhline(found.start.mean(), color=style.GREY, ls="--", label="before training")
        for rate, loss in zip(found.rates, found.mean, strict=True):
            if not math.isfinite(loss):
                panel.axvline(rate, color=style.COLOURS[4], alpha=0.3)
        if suggestion.rate is not None:
            panel.axvline(
                suggestion.rate, color=style.COLOURS[2], label=f"suggestion {suggestion.rate:g}"
            )
        panel.set(xlabel=style.label("learning_rate"), ylabel="loss (training rows)")
        panel.set_ylim(0, 1.3 * found.start.mean())  # the largest losses would flatten the rest
        panel.legend()
        return figure

    style.save(drawn(), path)
