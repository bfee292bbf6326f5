"""Which code of the user's own a config names; finds it without importing anything."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.machinery import PathFinder

from fcsweep.config.data_sets import CustomDataConfig
from fcsweep.config.optimizers import CustomConfig
from fcsweep.config.schemas import RunConfig, TorchConfig

TRUST = "import the code that a config names by import path, such as model.build"
"""What the flag ``--trust`` is for."""


def import_paths(config: RunConfig) -> dict[str, str]:
    """What a run imports of the user's own: each path by its key."""
    rule, model, data = config.optimizer, config.model, config.data
    return {
        **({"optimizer.rule": rule.rule} if isinstance(rule, CustomConfig) else {}),
        **({"model.build": model.build} if isinstance(model, TorchConfig) else {}),
        **({"data.load": data.load} if isinstance(data, CustomDataConfig) else {}),
    }


def refusal(folder: object, paths: Mapping[str, str], who: str) -> str | None:
    """What is said of a folder whose use would import code; None if it names none.

    Args:
        folder: of a run.
        paths: as of `import_paths`.
        who: would import it, such as ``a rerun``.
    """
    if not paths:
        return None
    key, path = next(iter(paths.items()))
    return (
        f"{folder} was trained with {key}={path}; {who} imports it ({source(path)}): if you "
        "trust that code, add --trust"
    )


def source(path: str) -> str:
    """The file from which Python would import the package of an import path."""
    package = path.partition(":")[0].partition(".")[0]
    spec = PathFinder.find_spec(package)
    return str(spec.origin) if spec and spec.origin else "not found here"
