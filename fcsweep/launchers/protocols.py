"""What a task, a trainer, a launcher and a sweeper offer each other."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from hydra.types import TaskFunction

from fcsweep.config import RunConfig
from fcsweep.messages.errors import UserError


class TrialError(UserError):
    """Why a trial of a stack failed, as its record says; the traceback is in its log."""


@dataclass(frozen=True)
class Ended:
    """How a trial of a stack ended."""

    value: float | None
    """What the task returns."""
    error: Exception | None
    """Why it has no end, one line; None if it has."""


Train = Callable[[Sequence[RunConfig], Sequence[Path], Sequence[logging.Logger]], list[Ended]]
"""Trains a stack; each trial has its config, its folder and its log."""


def stackable(train: Train) -> Callable[[TaskFunction], TaskFunction]:
    """Mark a task whose jobs ``train`` can train together."""

    def mark(task: TaskFunction) -> TaskFunction:
        setattr(task, STACKABLE, train)
        return task

    return mark


STACKABLE = "fcsweep_train"
"""The attribute of such a task."""
