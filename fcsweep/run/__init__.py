"""A run: from a config to trained parameters and records.

=================  =============================================================================
``stack.py``       `run`, `run_many`: train trials of one shape as one stack
``trial.py``       a trial while it trains: its config, its records, its log
``build.py``       data, net, rule and Solver of a config
``own_code.py``    rules and models that a user names by import path
``checkpoint.py``  how a killed run resumes
``provenance.py``  where the numbers come from
=================  =============================================================================

Importing this package does not import torch: it imports a module when one of its names is used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fcsweep.run.build import device_of as device_of
    from fcsweep.run.stack import run as run
    from fcsweep.run.stack import run_many as run_many


def __getattr__(name: str) -> Any:
    if name in ("run", "run_many"):
        from fcsweep.run import stack

        return getattr(stack, name)
    if name == "device_of":
        from fcsweep.run.build import device_of

        return device_of
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
