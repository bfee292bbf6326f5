"""The decorator ``@fcsweep.app``, and what it puts around a Hydra app's own work."""

from __future__ import annotations

import functools
import logging
import os
from collections.abc import Callable
from typing import Any, ClassVar, Literal, NoReturn

from hydra._internal.callbacks import Callbacks
from hydra._internal.hydra import Hydra
from hydra._internal.utils import run_and_report
from hydra.core.plugins import Plugins
from hydra.core.utils import configure_log
from hydra.errors import HydraException
from hydra.types import HydraContext, RunMode, TaskFunction
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from fcsweep.cli.foreign.grid import Grid
from fcsweep.cli.foreign.search import Search
from fcsweep.cli.hydra_main import replaced
from fcsweep.launchers.protocols import PlanningSweeper
from fcsweep.messages.errors import ConfigError, UserError
from fcsweep.messages.wording import one_line, render
from fcsweep.system.command import command, leave
from fcsweep.system.signals import this_program

Direction = Literal["minimize", "maximize"]
Main = Callable[..., Any]

LAUNCHERS = ("hydra._internal.core_plugins", "hydra_plugins", "fcsweep.launchers")
"""Loggers that say of every job that it is launched."""
PREFIXED = "[%(asctime)s][HYDRA] %(message)s"
"""How Hydra writes what sweepers say, unless an app has chosen another form."""


def app(main: Main | None = None, *, direction: Direction | None = None) -> Main:
    """Give a Hydra app the live display, the table, the one-line errors and the page of fcsweep.

    It stands above ``@hydra.main(...)``. In sweeps the log of a job is in its folder only, with
    the stack trace of one that failed. An error of Hydra or of a sweep is one line; one of the task
    in a single run is told as Hydra does, and so is every one with ``HYDRA_FULL_ERROR=1``.

    Args:
        main: what ``hydra.main`` has made of the task.
        direction: which end of the value that a job returns is best: in grids, which have no key
            for it, the best job is named and the page is written only with it.

    Raises:
        ConfigError: another direction.
    """
    if direction not in (None, "minimize", "maximize"):
        expected = "expected minimize or maximize"
        raise ConfigError(f"the direction of fcsweep.app is {render(direction)}; {expected}")
    if main is None:
        return functools.partial(app, direction=direction)

    @functools.wraps(main)
    def program(*given: Any, **named: Any) -> Any:
        if given or named:  # a config from the app's own code
            return main(*given, **named)
        ours = type("App", (App,), {"direction": direction})
        with command(this_program(), errors=(UserError,)), replaced(ours, _report):
            return main()

    return program


class App(Hydra):
    """Hydra's program, with a display around its sweeps."""

    direction: ClassVar[Direction | None] = None

    def multirun(
        self,
        config_name: str | None,
        task_function: TaskFunction,
        overrides: list[str],
        with_log_configuration: bool = True,
    ) -> Any:
        """A sweep, as Hydra's, that ends with a table and a page however it ends.

        Raises:
            Failure: Jobs of a grid failed.
        """
        cfg = self.compose_config(config_name, overrides, RunMode.MULTIRUN, with_log_configuration)
        _say_less(cfg)
        callbacks = Callbacks(cfg)
        context = HydraContext(config_loader=self.config_loader, callbacks=callbacks)
        callbacks.on_multirun_start(config=cfg, config_name=config_name)
        sweeper: Any = Plugins.instance().instantiate_sweeper(
            config=cfg, hydra_context=context, task_function=task_function
        )
        arguments: Any = OmegaConf.to_container(cfg.hydra.overrides.task, resolve=False)
        kind = Search if _searches(sweeper) else Grid
        display = kind(sweeper, cfg, context, self.direction)
        try:
            with display:
                returned = sweeper.sweep(arguments=arguments)
            callbacks.on_multirun_end(config=cfg, config_name=config_name)
        finally:
            display.end()
        display.refuse_failures()
        return returned


def _searches(sweeper: Any) -> bool:
    return isinstance(sweeper, PlanningSweeper)


def _say_less(cfg: DictConfig) -> None:
    """Leave out of the screen what the display says better."""
    for name in LAUNCHERS:
        logging.getLogger(name).setLevel(logging.WARNING)
    if OmegaConf.select(cfg, "hydra.hydra_logging.formatters.simple.format") == PREFIXED:
        cfg.hydra.hydra_logging.formatters.simple.format = "%(message)s"
        configure_log(cfg.hydra.hydra_logging, cfg.hydra.verbose)


def _report(function: Callable[[], Any]) -> Any:
    """Call a function; tell a mistake in one line, and any other error as Hydra does."""

    def in_one_line() -> Any:
        try:
            return function()
        except (HydraException, UserError) as error:
            if os.environ.get("HYDRA_FULL_ERROR") == "1":
                raise
            _leave(error)

    return run_and_report(in_one_line)


def _leave(error: Exception) -> NoReturn:
    """End with an error of Hydra, and with what OmegaConf says of its cause."""
    text, cause = one_line(error), error.__cause__
    if isinstance(cause, OmegaConfBaseException):
        why = str(cause).partition("\n")[0]
        text = text if why in text else f"{text}: {why}"
    leave(f"error: {text}")
