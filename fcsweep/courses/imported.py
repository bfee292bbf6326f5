"""Code of the user's own, named by import path on the command line or in YAML.

Only a run imports it, and what checks a run before it starts: no reader of records does, unless it
was told to trust.
"""

from __future__ import annotations

import sys
from functools import lru_cache
from hashlib import sha256
from importlib import import_module
from pathlib import Path
from typing import Any

from fcsweep.messages.errors import ConfigError
from fcsweep.messages.wording import hint, one_line


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


def source_facts(key: str, path: str) -> dict[str, str | None]:
    """Of the file of an imported module its ``sha256``, and its ``file`` below its ``sys.path``.

    Both are None if there is no file. Arguments and errors as of `load`.
    """
    load(key, path)
    return dict(_facts(path.partition(":")[0]))


@lru_cache
def _facts(module: str) -> dict[str, str | None]:
    """Of a module's file, read once: later changes of the file are not what was imported."""
    file = getattr(sys.modules[module], "__file__", None)
    if not file:
        return {"file": None, "sha256": None}
    depth = module.count(".") + (Path(file).name == "__init__.py")
    return {
        "file": Path(*Path(file).parts[-depth - 1 :]).as_posix(),
        "sha256": sha256(Path(file).read_bytes()).hexdigest(),
    }


def forget() -> None:
    """Read the files of modules again: what was imported from them has been left behind."""
    _facts.cache_clear()
