"""What a run and a sweep do around Hydra's own work: checks before, records and a table after.

Hydra parses, composes, makes the folders and launches. It leaves open that every job of a grid is
checked before the first is trained, that folders are never shared, that a failed job costs only
itself, and what is said and written when a sweep ends or is stopped.
"""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Any

from hydra._internal.callbacks import Callbacks
from hydra._internal.hydra import Hydra
from hydra._internal.utils import get_args_parser
from hydra.core.config_search_path import ConfigSearchPath
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, Quote, QuotedString
from hydra.core.plugins import Plugins
from hydra.core.utils import JobReturn, JobStatus, run_job
from hydra.errors import HydraException
from hydra.types import HydraContext, RunMode, TaskFunction
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from fcsweep.composition.loader import STAMP, CheckedLoader
from fcsweep.composition.secrets import hide_password, overrides_of
from fcsweep.config import Cifar10Config, RunConfig, typed
from fcsweep.launchers.resuming import Unfinished
from fcsweep.messages.errors import ConfigError
from fcsweep.messages.wording import one_line, printable
from fcsweep.records import ownership, reader, sweep_table
from fcsweep.system import signals
from fcsweep.system.atomic import giving_way, writing
from fcsweep.system.memory import nothing_collected
from fcsweep.terminal import sweep_view


class Failure(Exception):
    """A run or jobs of a sweep that failed; one line."""


class App(Hydra):
    """Hydra's program, with checks before and records after what it does."""

    @classmethod
    def create_main_hydra2(cls, task_name: str, config_search_path: ConfigSearchPath) -> App:
        """Hydra's constructor, with our loader."""
        app = cls(task_name=task_name, config_loader=CheckedLoader(config_search_path))
        GlobalHydra.instance().initialize(app)
        return app

    def get_mode(self, config_name: str | None, overrides: list[str]) -> Any:
        """As Hydra's, which composes the config to see what it says; ``-m`` says more than that."""
        known = get_args_parser().parse_args()
        return None if known.multirun else super().get_mode(config_name, overrides)

    def run(
        self,
        config_name: str | None,
        task_function: TaskFunction,
        overrides: list[str],
        with_log_configuration: bool = True,
    ) -> JobReturn:
        """One run, as Hydra's, in a folder that is new or its own from before.

        Raises:
            ConfigError: A mistake; nothing was made. Failure: The run failed.
            SystemExit: It was stopped by a signal.
        """
        cfg = self.compose_config(config_name, overrides, RunMode.RUN, with_log_configuration)
        cfg.hydra.mode = RunMode.RUN
        _refuse_lone_sweep(cfg)
        _refuse_other_folder(cfg, "hydra.sweep.dir", "hydra.run.dir", "the folder of a run")
        hide_password(cfg)
        config = typed(cfg)
        require_device(config)
        callbacks = Callbacks(cfg)
        context = HydraContext(config_loader=self.config_loader, callbacks=callbacks)
        folder, made = _folder(cfg, "hydra.run.dir")
        with ownership.unmade_if_unused(made), ownership.hold(folder, "hydra.run.dir"):
            if ownership.check_run(folder, config):
                ownership.remove_checkpoints(folder)  # if it was killed just before it did that
                print(printable(f"{folder} is done: {_ending(folder)}"))
                return JobReturn(status=JobStatus.COMPLETED)
            keeps = config.solver.checkpoint_seconds is not None
            _advise("go on" if keeps else "run it again", "hydra.run.dir", folder)
            with writing(folder):
                callbacks.on_run_start(config=cfg, config_name=config_name)
                done = run_job(
                    hydra_context=context,
                    task_function=task_function,
                    config=cfg,
                    job_dir_key="hydra.run.dir",
                    job_subdir_key=None,
                    configure_logging=with_log_configuration,
                )
            callbacks.on_run_end(config=cfg, config_name=config_name, job_return=done)
            if done.status is JobStatus.FAILED:
                error = done._return_value  # return_value would write a line of its own
                raise Failure(f"the run failed: {one_line(error)} (see {folder})") from error
        return done

    def multirun(
        self,
        config_name: str | None,
        task_function: TaskFunction,
        overrides: list[str],
        with_log_configuration: bool = True,
    ) -> Any:
        """A sweep, as Hydra's, that ends with ``trials.csv`` and a table however it ends.

        Raises:
            ConfigError: A mistake in any job of a grid; nothing was made. Failure: Jobs failed.
            SystemExit: It was stopped by a signal.
        """
        cfg = self.compose_config(config_name, overrides, RunMode.MULTIRUN, with_log_configuration)
        _refuse_other_folder(cfg, "hydra.run.dir", "hydra.sweep.dir", "the folder of a sweep")
        callbacks = Callbacks(cfg)
        context = HydraContext(config_loader=self.config_loader, callbacks=callbacks)
        sweeper: Any = Plugins.instance().instantiate_sweeper(
            config=cfg, hydra_context=context, task_function=task_function
        )
        grid = _checked_grid(sweeper, cfg, context)
        searches = _checked_search(sweeper, cfg, context)
        folder, made = _folder(cfg, "hydra.sweep.dir")
        # A search holds its folder itself, as it does for other apps.
        held = nullcontext() if searches else ownership.hold(folder, "hydra.sweep.dir")
        with ownership.unmade_if_unused(made), held:
            finished = ownership.check_sweep(folder, grid)
            if not _elsewhere(cfg):
                require_data(job for n, job in enumerate(grid or ()) if n not in finished)
            for number in finished:
                ownership.remove_checkpoints(folder / str(number))
            if finished:
                to_go = len(grid or ()) - len(finished)
                text = f"resuming {folder}: {len(finished)} finished, {to_go} to go"
                print(printable(text))
            unfinished = Unfinished(sweeper.launcher, finished) if grid is not None else None
            if unfinished is not None:
                sweeper.launcher = unfinished
            _advise("go on", "hydra.sweep.dir", folder)
            rows: Sequence[sweep_table.Row] = ()
            with writing(folder):
                try:
                    callbacks.on_multirun_start(config=cfg, config_name=config_name)
                    returned = sweeper.sweep(arguments=list(cfg.hydra.overrides.task))
                    callbacks.on_multirun_end(config=cfg, config_name=config_name)
                finally:
                    if folder.is_dir() and not _refused(sys.exc_info()[1]):
                        with giving_way():
                            sweep_table.end_lost(folder)
                        rows = _table(folder)
            if unfinished is not None:  # a search has rules of its own for failures
                _refuse_failures(rows, unfinished.failures)
        return returned


def require_device(config: RunConfig) -> None:
    """Refuse a GPU that this machine does not have; imports torch only if one is asked for.

    Raises:
        ConfigError: ``device`` names a GPU that torch cannot use.
    """
    if config.device.startswith("cuda"):
        from fcsweep.run import device_of

        device_of(config.device)


def require_data(configs: Iterable[RunConfig]) -> None:
    """Refuse data that are not on this machine and cannot be downloaded, each set once.

    Raises:
        ConfigError: One of the data sets is missing.
    """
    sets = {
        (one.data.name, one.data.root) for one in configs if isinstance(one.data, Cifar10Config)
    }
    for name, root in sorted(sets, key=repr):
        from fcsweep.data import DataError, require  # imports torch: not where data are built in

        try:
            require(name, root=root)
        except DataError as error:
            raise ConfigError(str(error)) from error


def _checked_grid(sweeper: Any, cfg: DictConfig, context: HydraContext) -> list[RunConfig] | None:
    """The configs of all jobs of a grid, in order; None if the sweeper is another one.

    Hydra's grid sweeper makes its folder before it looks at the jobs; here they come first.
    """
    if type(sweeper).__name__ != "BasicSweeper":  # its module is run twice, so not isinstance
        return None
    params = [f"{key}={value}" for key, value in (sweeper.params or {}).items()]
    arguments = [*params, *cfg.hydra.overrides.task]
    parsed = OverridesParser.create(context.config_loader).parse_overrides(arguments)
    for override in parsed:
        if override.is_sweep_override() and not override.is_discrete_sweep():
            what = f"{override.input_line} is a range to search"
            raise ConfigError(f"{what}; add hydra/sweeper=optuna (a grid takes values: a,b,c)")
    if sweeper.max_batch_size is not None and sweeper.max_batch_size < 1:
        given = f"hydra.sweeper.max_batch_size is {sweeper.max_batch_size}"
        raise ConfigError(f"{given}; expected a whole number >= 1 or null")
    _refuse_empty(parsed)
    (jobs,) = sweeper.split_arguments(parsed, None)
    loader: Any = context.config_loader
    configs = [loader.check_job(cfg, job) for job in jobs]
    for config in () if _elsewhere(cfg) else configs:
        require_device(config)
    sweeper.validate_batch_is_legal = lambda batch: None  # it would compose every job once more
    return configs


def _elsewhere(cfg: DictConfig) -> bool:
    """Whether the jobs run on other machines, with GPUs and data of their own."""
    return "slurm" in str(cfg.hydra.runtime.choices.get("hydra/launcher"))


def _checked_search(sweeper: Any, cfg: DictConfig, context: HydraContext) -> bool:
    """Whether the sweeper is ours for Optuna; if so its settings are checked, and its device.

    Raises:
        ConfigError: A mistake in them; nothing was made.
    """
    if not hasattr(sweeper, "planned"):  # its module is run twice, so not isinstance
        return False
    sweeper.planned = sweeper.plan(list(cfg.hydra.overrides.task))
    if not sweeper.planned.space.distributions and sweeper.planned.extend is None:
        example = "optimizer.learning_rate='tag(log,interval(1e-3,1))'"
        raise ConfigError(f"hydra/sweeper=optuna has nothing to search; give a range: {example}")
    require_device(typed(sweeper.planned.task))
    loader: Any = context.config_loader
    space = sweeper.planned.space
    jobs = [loader.check_job(cfg, space.overrides(corner)) for corner in space.corners()]
    sweeper.prepare = None if _elsewhere(cfg) else partial(require_data, jobs)
    if sys.stdout.isatty():
        from fcsweep.terminal.search_view import LiveProgress  # imports optuna, as the plan did

        sweeper.display = LiveProgress
    return True


def _refuse_empty(parsed: Sequence[Override]) -> None:
    """A glob that matches nothing would silently be a sweep of nothing."""
    for override in parsed:
        if override.is_sweep_override() and not list(override.sweep_iterator()):
            raise ConfigError(f"{override.input_line} matches nothing; expected at least one value")


def _refuse_other_folder(cfg: DictConfig, given: str, used: str, what: str) -> None:
    """Refuse a folder that would silently not be used, unless the one that is used is named too."""
    lines = {line.lstrip("+").partition("=")[0]: line for line in overrides_of(cfg)}
    if given in lines and used not in lines:
        raise ConfigError(f"{lines[given]} has no effect here; {what} is {used}")


def _refuse_lone_sweep(cfg: DictConfig) -> None:
    """An experiment that is a sweep, started as one run, would silently be something else."""
    sweeper = cfg.hydra.sweeper
    if sweeper is not None and sweeper.get("params"):
        keys = ", ".join(sweeper.params)
        raise ConfigError(f"hydra.sweeper.params is a sweep over {keys}; add -m")


def _folder(cfg: DictConfig, key: str) -> tuple[Path, list[Path]]:
    """The folder that ``cfg`` names under ``key``; if it has a stamp of ours, made, and by us.

    Also the folders that were made for it, innermost first.
    """
    group, _, name = key.rpartition(".")
    raw: Any = OmegaConf.to_container(OmegaConf.select(cfg, group), resolve=False)
    while True:
        try:
            folder = Path(str(OmegaConf.select(cfg, key)))
        except OmegaConfBaseException as error:
            raise ConfigError(f"{key} has no value: {str(error).splitlines()[0]}") from error
        if f"${{{STAMP}:" not in str(raw[name]):
            return folder, []
        if made := ownership.make(folder, key):
            return folder, made
        OmegaConf.clear_cache(cfg)  # another start had the same stamp: draw again


def _refused(error: BaseException | None) -> bool:
    """Whether a search was refused its folder: what lies there is another one's."""
    return isinstance(error, HydraException) and isinstance(error.__cause__, ConfigError)


def _table(folder: Path) -> Sequence[sweep_table.Row]:
    """Write the table of a sweep and the page, and show it, if anybody is there; what it holds."""
    rows = sweep_table.load(folder)
    with giving_way():
        sweep_table.write(folder, rows)
    try:
        sweep_view.show(rows)
    finally:
        _report(folder, rows)
    return rows


def _report(folder: Path, rows: Sequence[sweep_table.Row]) -> None:
    """Write the page of a sweep; that it cannot be is said, and changes nothing else."""
    if not rows:
        return
    for name in ("matplotlib", "PIL"):  # hydra.verbose=true would show every font that they try
        if logging.getLogger(name).level == logging.NOTSET:
            logging.getLogger(name).setLevel(logging.WARNING)
    try:
        with nothing_collected():
            from fcsweep.report import write  # imports pandas and matplotlib: not for --help

            page = write(folder)
    except Exception as error:
        print(f"report.html was not written: {one_line(error)}", file=sys.stderr)
    else:
        print(printable(f"report: {page}"))


def _refuse_failures(
    rows: Sequence[sweep_table.Row], errors: Mapping[int, BaseException], most: int = 5
) -> None:
    """Name the jobs that failed, with the reason from the record or, without one, the error."""
    failed = [row for row in rows if row.failed]
    each = [(str(row.folder), row.reason or _why(errors.get(row.number), row)) for row in failed]
    nowhere = errors.keys() - {row.number for row in rows}  # not even a folder could be made
    each += [(str(number), one_line(errors[number])) for number in sorted(nowhere)]
    if each:
        alike: dict[str, list[str]] = {}
        for name, reason in each:
            alike.setdefault(reason, []).append(name)
        told = [f"{_first(names, most)} ({reason})" for reason, names in alike.items()]
        count = f"{len(each)} of {len(rows) + len(nowhere)} jobs failed"
        raise Failure(f"{count}: {_first(told, most)}")


def _first(texts: Sequence[str], most: int) -> str:
    """The first texts, and how many there are more."""
    more = [f"{len(texts) - most} more"] if len(texts) > most else []
    return ", ".join([*texts[:most], *more])


def _why(error: BaseException | None, row: sweep_table.Row) -> str:
    return row.status if error is None else one_line(error)


def _ending(folder: Path) -> str:
    result: Mapping[str, Any] = reader.look(folder).result or {}
    value = result.get("value")
    reached = "null" if value is None else f"{value:.4f}"
    return f"{result.get('status')}, {result.get('objective')} {reached}"


def _advise(what: str, key: str, folder: Path) -> None:
    """Say how to go on after a signal: by the command that was given, with its folder named."""
    given = [word for word in sys.argv[1:] if not word.startswith(f"{key}=")]
    name = str(folder)
    if not re.fullmatch(r"[\w./-]+", name):  # a text in Hydra's grammar
        name = QuotedString(name, Quote.single).with_quotes()
    signals.advise(what, [*given, f"{key}={name}"])
