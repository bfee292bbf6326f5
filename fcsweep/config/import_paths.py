"""Which code of the user's own a config names; finds it without importing anything."""

from __future__ import annotations

from importlib.machinery import PathFinder

from fcsweep.config.optimizers import CustomConfig
from fcsweep.config.schemas import RunConfig


def import_paths(config: RunConfig) -> dict[str, str]:
    """What a run imports of the user's own: each path by its key."""
    rule = config.optimizer
    return {"optimizer.rule": rule.rule} if isinstance(rule, CustomConfig) else {}


def source(path: str) -> str:
    """The file from which Python would import the package of an import path."""
    package = path.partition(":")[0].partition(".")[0]
    spec = PathFinder.find_spec(package)
    return str(spec.origin) if spec and spec.origin else "not found here"
