"""Jobs launched under numbers of their own, which need not follow each other."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

from hydra.core.utils import JobReturn
from hydra.plugins.launcher import Launcher

Numbered = tuple[int, Sequence[str]]
"""A job: its number and its overrides."""


def launch_numbered(launcher: Launcher, jobs: Sequence[Numbered]) -> list[JobReturn]:
    """Launch jobs, each with its number; what they return, in the same order.

    At once where the launcher can number them (ours has a method of this name); else in runs of
    consecutive numbers, as Hydra's launchers count from the first.
    """
    ours: Any = launcher
    if hasattr(ours, "launch_numbered"):
        return ours.launch_numbered(jobs) if jobs else []
    returned: list[JobReturn] = []
    for _, run in itertools.groupby(enumerate(jobs), lambda job: job[1][0] - job[0]):
        numbers, overrides = zip(*(job for _, job in run), strict=True)
        returned += launcher.launch(list(overrides), numbers[0])
    return returned
