"""Hyperparameter sweeps for small fully connected nets, written from scratch.

`compose`, `train` and `sweep` are the program from Python; `app` gives another Hydra app the
display of this one, and `stackable` trains its jobs together. Importing this package
imports nothing heavy; take what else you need from its modules, e.g. ``from fcsweep.nets import
FullyConnectedNet``.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fcsweep.cli.foreign.app import app as app
    from fcsweep.cli.foreign.stackable import stackable as stackable
    from fcsweep.notebook import compose as compose
    from fcsweep.notebook import sweep as sweep
    from fcsweep.notebook import train as train

PLACES = {
    "app": "fcsweep.cli.foreign.app",
    "stackable": "fcsweep.cli.foreign.stackable",
    **dict.fromkeys(("compose", "train", "sweep"), "fcsweep.notebook"),
}

__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    if name in PLACES:
        # by name: what lies below in the list of ARCHITECTURE.md imports this package, too
        return getattr(import_module(PLACES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
