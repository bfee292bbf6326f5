"""Code of the user's own, named by import path on the command line or in YAML.

Only a run imports it, and what checks a run before it starts: no reader of records does, and a
rerun asks first. Importing this module does not import torch.
"""

from __future__ import annotations

import sys
from functools import lru_cache
from hashlib import sha256
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from fcsweep.config import CustomConfig, RunConfig
from fcsweep.messages.errors import ConfigError
from fcsweep.messages.wording import hint, join, one_line

if TYPE_CHECKING:
    from fcsweep.optim import Function, UpdateRule


def custom_rule(config: RunConfig) -> UpdateRule | Function:
    """The update rule of a run with ``optimizer=custom``, imported.

    Raises:
        ConfigError: it cannot be imported, is no rule, or does not fit the rest of the config.
    """
    from fcsweep.optim import UpdateRule

    assert isinstance(config.optimizer, CustomConfig)
    path = config.optimizer.rule
    rule = load("optimizer.rule", path)
    if isinstance(rule, UpdateRule):
        if unknown := config.optimizer.constants.keys() - rule.constants.keys():
            expected = join(set(rule.constants) - {"learning_rate"})
            raise ConfigError(
                f"optimizer.constants has {join(unknown)}; {path} takes {expected or 'none'}"
            )
        return rule
    if not callable(rule) or isinstance(rule, type):
        expected = "a function (w, dw, config) -> (next_w, config), or an UpdateRule"
        raise ConfigError(f"optimizer.rule is {path}, {rule!r:.60}; expected {expected}")
    if config.solver.checkpoint_seconds is not None:
        raise ConfigError(
            f"solver.checkpoint_seconds is {config.solver.checkpoint_seconds:g}, but {path} is a "
            "function, whose state no checkpoint holds; make it an UpdateRule, or set null"
        )
    return cast("Function", rule)


def load(key: str, path: str) -> Any:
    """What an import path leads to.

    Args:
        key: of the config, for the error.
        path: ``module:name``.

    Raises:
        ConfigError: the module cannot be imported, or has no such name.
    """
    module, _, name = path.partition(":")
    if module == "__main__":
        raise ConfigError(f"{key} is {path}; expected a module that a rerun can import, too")
    try:
        found = import_module(module)
    except Exception as error:
        missing = isinstance(error, ModuleNotFoundError) and error.name == module.partition(".")[0]
        advice = "; start where that module is, or put its folder on PYTHONPATH" if missing else ""
        raise ConfigError(f"{key} is {path}, {one_line(error)}{advice}") from error
    if not hasattr(found, name):
        names = [one for one in vars(found) if not one.startswith("_")]
        raise ConfigError(f"{key} is {path}; {module} has no {name}{hint(name, names)}")
    return getattr(found, name)


def source_sha256(key: str, path: str) -> str | None:
    """A sha256 of the file of an imported module; None if it has none. Arguments as of `load`."""
    load(key, path)
    return _sha256(path.partition(":")[0])


@lru_cache
def _sha256(module: str) -> str | None:
    """Of a module's file, read once: later changes of the file are not what was imported."""
    file = getattr(sys.modules[module], "__file__", None)
    return sha256(Path(file).read_bytes()).hexdigest() if file else None
