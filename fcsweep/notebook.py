"""The program from Python: a config, a run, a grid or a search, without the command line.

They take the words of the command line and do what it does: the same checks, folders, records and
tables. What it does to its process is left out: exit codes, handlers of signals outside of
training, settings of the memory. Hydra's global state and the logging are left as they were found.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import hydra.core.utils
from hydra._internal.utils import create_config_search_path
from hydra.core import global_hydra, hydra_config, singleton
from hydra.core.config_search_path import SearchPathQuery
from hydra.core.override_parser.types import Quote, QuotedString
from hydra.core.utils import JobRuntime
from hydra.errors import HydraException
from hydra.types import RunMode
from hydra.version import VersionBase, setbase
from omegaconf.basecontainer import BaseContainer

from fcsweep.cli.app import App
from fcsweep.cli.task import Task, save_config
from fcsweep.composition.loader import conf_dir
from fcsweep.config import RunConfig, typed
from fcsweep.launchers.logs import report_lost_lines
from fcsweep.messages.errors import ConfigError, UserError
from fcsweep.messages.wording import one_line

if TYPE_CHECKING:
    import pandas as pd

OF_THE_CALL = (global_hydra.GlobalHydra, hydra_config.HydraConfig, JobRuntime, VersionBase)
"""Hydra's global objects that a program sets; each call has its own."""


def compose(overrides: Sequence[str] = (), config_dir: str | Path | None = None) -> RunConfig:
    """The checked config that ``python -m fcsweep`` would train.

    Args:
        overrides: words of the command line, such as ``["optimizer=adam", "seed=1"]``.
        config_dir: a folder of your own groups and experiments, as ``--config-dir``.

    Raises:
        ConfigError: a mistake, in one line.
    """
    with _app(config_dir) as app:
        cfg = app.compose_config("config", _words(overrides), RunMode.RUN)
        return typed(cfg)


def train(
    overrides: Sequence[str] = (),
    folder: str | Path | None = None,
    config_dir: str | Path | None = None,
) -> pd.DataFrame:
    """Train one run with its records, as ``python -m fcsweep`` does; a finished one is read.

    Args:
        overrides: words of the command line.
        folder: of the run, ``hydra.run.dir``; None makes a new one in ``outputs/``.
        config_dir: a folder of your own groups and experiments, as ``--config-dir``.

    Returns:
        The row of ``load_runs``.

    Raises:
        UserError: a mistake, found before anything is made, or a run that failed.
        KeyboardInterrupt: it was stopped; the same call with its folder trains it again, or goes on
            from a checkpoint if ``solver.checkpoint_seconds`` keeps some.
    """
    with _app(config_dir) as app:
        words = _words(overrides, "hydra.run.dir", folder)
        app.run("config", Task(own_process=False), words)
        return _runs(app)


def sweep(
    overrides: Sequence[str] = (),
    folder: str | Path | None = None,
    config_dir: str | Path | None = None,
) -> pd.DataFrame:
    """Train a grid or a search with its records, as ``python -m fcsweep -m`` does.

    Finished runs in the folder are kept.

    Args:
        overrides: words of the command line, such as ``["optimizer=sgd,adam"]``.
        folder: of the sweep, ``hydra.sweep.dir``; None makes a new one in ``multirun/``.
        config_dir: a folder of your own groups and experiments, as ``--config-dir``.

    Returns:
        A row of ``load_runs`` for each run.

    Raises:
        UserError: a mistake, found before anything is made, or runs that failed.
        KeyboardInterrupt: it was stopped; the same call with its folder goes on.
    """
    with _app(config_dir) as app:
        words = _words(overrides, "hydra.sweep.dir", folder)
        app.multirun("config", Task(own_process=False), words)
        return _runs(app)


def _words(overrides: Sequence[str], key: str = "", folder: str | Path | None = None) -> list[str]:
    """The overrides, with the folder."""
    if isinstance(overrides, str) or not all(isinstance(word, str) for word in overrides):
        given = repr(overrides)
        raise TypeError(f"overrides is {given}; expected a list of texts: ['optimizer=adam']")
    if folder is None:
        return list(overrides)
    if given := [word for word in overrides if word.startswith(f"{key}=")]:
        raise ConfigError(f"folder is {folder}, and {given[0]} names another; give one of them")
    return [*overrides, f"{key}={QuotedString(str(folder), Quote.single).with_quotes()}"]


def _runs(app: App) -> pd.DataFrame:
    from fcsweep.records.frames import load_runs  # imports pandas: not to compose

    assert app.folder is not None
    return load_runs(app.folder)


@contextmanager
def _app(config_dir: str | Path | None) -> Iterator[App]:
    """The program, in a Hydra of its own."""
    search_path = create_config_search_path(str(conf_dir()))
    if config_dir is not None:
        if not Path(config_dir).is_dir():
            raise ConfigError(f"config_dir is {config_dir}; expected a folder")
        place = f"file://{Path(config_dir).absolute()}"
        search_path.prepend("command-line", place, SearchPathQuery(provider="schema"))
    with _hydra_as_found(), _logging_as_found(), report_lost_lines():
        setbase("1.3")
        try:
            yield App.create_main_hydra2("fcsweep", search_path)
        except HydraException as error:
            cause = error.__cause__
            raise cause if isinstance(cause, UserError) else UserError(one_line(error)) from error
        except ConfigError as error:
            if "add -m" in str(error):
                error.add_note("from Python, -m is fcsweep.sweep")
            raise


@contextmanager
def _hydra_as_found() -> Iterator[None]:
    """Let the block have Hydra's global state for itself."""
    state = singleton.Singleton
    instances, resolvers = state._instances, BaseContainer._resolvers
    saving = hydra.core.utils._save_config
    state._instances = {k: v for k, v in instances.items() if k not in OF_THE_CALL}
    BaseContainer._resolvers = dict(resolvers)
    hydra.core.utils._save_config = save_config
    try:
        yield
    finally:
        kept = {k: v for k, v in state._instances.items() if k not in OF_THE_CALL}
        state._instances = {**instances, **kept}
        BaseContainer._resolvers = resolvers
        hydra.core.utils._save_config = saving


@contextmanager
def _logging_as_found() -> Iterator[None]:
    """Let the block configure the root logger, without closing the handlers it has now."""
    root, registry = logging.getLogger(), vars(logging)
    handlers, level = root.handlers[:], root.level
    known: Any = {name: registry[name] for name in ("_handlers", "_handlerList")}
    registry |= {"_handlers": type(known["_handlers"])(), "_handlerList": []}
    root.handlers[:] = []
    try:
        yield
    finally:
        for handler in root.handlers:
            handler.close()
        root.handlers[:] = handlers
        root.setLevel(level)
        registry |= known
