"""What a tracker is asked to do, and which there are."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from importlib.util import find_spec
from typing import Protocol

from fcsweep.config.allowed import TRACKERS
from fcsweep.messages.errors import ConfigError
from fcsweep.system.signals import held_back
from fcsweep.trackers.contents import End, Row, Tracked


class Tracker(Protocol):
    """A tracker. Every method may raise what its package raises."""

    @property
    def place(self) -> str:
        """Where runs go, for users who look for them."""
        ...

    def start(self, run: Tracked) -> None:
        """Begin a run, in place of what is known of it from before."""
        ...

    def log(self, run: Tracked, rows: Sequence[Row]) -> None:
        """Add epochs to a run that was begun, in order."""
        ...

    def end(self, run: Tracked, end: End) -> None:
        """End a run that was begun."""
        ...


def require(names: Sequence[str]) -> None:
    """Refuse trackers whose package is not installed.

    Raises:
        ConfigError: with the command that installs it.
    """
    for name in names:
        found = find_spec(name)
        if found is None or found.origin is None:  # wandb makes a folder of this name
            what = f"tracker {name} needs a package"
            raise ConfigError(f"{what}; pip install 'fcsweep[{name}]'")


def open_tracker(name: str) -> Tracker:
    """A tracker, by the name of its package.

    Raises:
        Exception: whatever keeps the package from working.
    """
    assert name in TRACKERS.words
    with held_back():  # packages of thousands of modules
        module = import_module(f"fcsweep.trackers.{name}")
        return module.open_tracker()
