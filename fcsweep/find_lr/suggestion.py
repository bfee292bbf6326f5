"""Which learning rate to take, by the losses of many after an epoch.

The range test of Smith ("Cyclical learning rates", 2017) raises the rate while a single net trains,
so that each loss also depends on the rates before. Here each rate has a net of its own, from the
same initial weights over the same minibatches: the least loss is the best rate for one epoch. Over
more epochs a smaller rate does better; a third is the step by which Bengio ("Practical
recommendations", 2012) goes down from a rate that is too large. ``docs/guide.md`` has measurements.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fcsweep.find_lr.training import Losses

PART = 3
"""By which the rate of the least loss is divided."""


@dataclass(frozen=True)
class Suggestion:
    """A learning rate; None where the losses suggest none."""

    rate: float | None
    reason: str
    """One sentence, without a full stop."""


def suggest(found: Losses) -> Suggestion:
    """The rate to take, and why."""
    if not np.isfinite(found.mean).any():
        return Suggestion(None, f"every rate diverges; try --from {found.rates[0] / 1000:g}")
    best = int(np.nanargmin(found.mean))
    rate, loss, start = found.rates[best], found.mean[best], found.start.mean()
    if not _learns(found, best):
        why = f"the least loss, {loss:.4f}, is not below the {start:.4f} before training"
        return Suggestion(None, f"{why}; try more --epochs, or another model.weight_scale")
    why = f"a third of {rate:g}, which has the least loss, {loss:.4f} ({start:.4f} before)"
    return Suggestion(
        float(f"{rate / PART:.2g}"), f"{why}{_first_diverging(found)}{_end(found, best)}"
    )


def _learns(found: Losses, best: int) -> bool:
    """Whether the loss fell by more than two standard errors, over the blocks of rows."""
    fell = found.start - found.blocks[:, best]
    error = fell.std(ddof=1) / len(fell) ** 0.5 if len(fell) > 1 else 0.0
    return bool(fell.mean() > 2 * error)


def _first_diverging(found: Losses) -> str:
    lost = [rate for rate, loss in zip(found.rates, found.mean, strict=True) if np.isnan(loss)]
    return f"; {lost[0]:g} diverges" if lost else ""


def _end(found: Losses, best: int) -> str:
    """What to do where the least loss is at an end of the range."""
    if best == 0:
        return f"; the range ends there: try --from {found.rates[0] / 1000:g}"
    if best == len(found.rates) - 1:
        return f"; the range ends there: try --to {found.rates[-1] * 1000:g}"
    return ""
