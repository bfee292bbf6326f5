"""The starter that ``hydra.launcher`` asks for: its keys, checked."""

from __future__ import annotations

from typing import Any

from fcsweep.launchers.starters.command import is_worker
from fcsweep.launchers.starters.local import Local, gpus_here
from fcsweep.launchers.starters.starter import Starter
from fcsweep.messages.errors import ConfigError
from fcsweep.messages.wording import render

KEY = "hydra.launcher"


def starter_of(launcher: Any) -> Starter | None:
    """The starter of a sweep's workers; None if this process is the only one, or one of them.

    Args:
        launcher: Hydra's node of it.

    Raises:
        ConfigError: a key of it has a value that it cannot have.
    """
    count = _workers(launcher)
    return None if is_worker() or count == 1 else Local(count, f"{KEY}.workers is {count}")


def _workers(launcher: Any) -> int:
    """``hydra.launcher.workers``; one for a launcher without that key."""
    given = launcher.get("workers", 1)
    if given == "auto":
        return max(len(gpus_here()), 1)
    if isinstance(given, int) and not isinstance(given, bool) and given >= 1:
        return given
    raise ConfigError(f"{KEY}.workers is {render(given)}; expected auto or a whole number >= 1")
