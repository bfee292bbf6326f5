"""What a run and a sweep do around Hydra's own work: checks before, records and a table after.

Hydra parses, composes, makes the folders and launches. It leaves open that every job of a grid is
checked before the first is trained, that folders are never shared, that a failed job costs only
itself, and what is said and written when a sweep ends or is stopped.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from hydra._internal.callbacks import Callbacks
from hydra._internal.hydra import Hydra
from hydra._internal.utils import get_args_parser
from hydra.core.config_loader import ConfigLoader
from hydra.core.config_search_path import ConfigSearchPath
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.plugins import Plugins
from hydra.core.utils import JobReturn, JobStatus, run_job
from hydra.errors import HydraException
from hydra.types import HydraContext, RunMode, TaskFunction
from omegaconf import DictConfig

from fcsweep.cli.checks import (
    check_grid,
    check_search,
    elsewhere,
    folder_of,
    name_missing_values,
    refuse_lone_sweep,
    refuse_other_folder,
    require_data,
    require_device,
    require_own_code,
    require_trackers,
)
from fcsweep.cli.completion import by_shell
from fcsweep.cli.help import help_of
from fcsweep.cli.summary import Failure, advise, ending, refuse_failures, table_of
from fcsweep.cli.watching import watch
from fcsweep.composition.loader import CheckedLoader
from fcsweep.composition.secrets import hide_password
from fcsweep.config import RunConfig, typed
from fcsweep.launchers.starters.settings import starter_of
from fcsweep.launchers.starters.starter import require_program, started
from fcsweep.launchers.unfinished import SharedOut, UnfinishedJobs
from fcsweep.messages.errors import ConfigError, DataError, FolderError, StudyError
from fcsweep.messages.wording import one_line, printable
from fcsweep.records import ownership, sweep_table
from fcsweep.system.atomic import giving_way, writing
from fcsweep.system.crew import Crew, LostClaim, digest, others_at_work, others_when_left
from fcsweep.system.parent import end_with_sweep


class App(Hydra):
    """Hydra's program, with checks before and records after what it does.

    Attributes:
        folder: of the run or the sweep, once it is known.
    """

    folder: Path | None = None

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

    @staticmethod
    def get_shell_to_plugin_map(config_loader: ConfigLoader) -> Any:
        """Our completion in place of Hydra's."""
        return by_shell(config_loader)

    def app_help(self, config_name: str | None, args_parser: Any, args: Any) -> None:
        """Every key of every option, or what is asked for: ``--help optimizer``."""
        cfg = self.compose_config(config_name, [], RunMode.RUN)
        HydraConfig.instance().set_config(cfg)
        ours = self.format_config_groups(lambda group: not group.startswith("hydra"))
        hydras = self.format_config_groups(lambda group: group.startswith("hydra"))
        groups = f"== Groups: GROUP=OPTION ==\n{ours}of Hydra itself:\n{hydras.rstrip()}"
        told = cfg.hydra.help
        print(help_of(args.overrides, told.header, groups, told.footer))

    def run(
        self,
        config_name: str | None,
        task_function: TaskFunction,
        overrides: list[str],
        with_log_configuration: bool = True,
    ) -> JobReturn:
        """One run, as Hydra's, in a folder that is new or its own from before.

        Raises:
            UserError: A mistake; nothing was made. Failure: The run failed.
            SystemExit: It was stopped by a signal.
        """
        cfg = self.compose_config(config_name, overrides, RunMode.RUN, with_log_configuration)
        cfg.hydra.mode = RunMode.RUN
        refuse_lone_sweep(cfg)
        refuse_other_folder(cfg, "hydra.sweep.dir", "hydra.run.dir", "the folder of a run")
        hide_password(cfg)
        config = typed(cfg)
        require_device(config)
        require_own_code([config])
        require_trackers(config)
        callbacks = Callbacks(cfg)
        context = HydraContext(config_loader=self.config_loader, callbacks=callbacks)
        folder, made = folder_of(cfg, "hydra.run.dir")
        self.folder = folder
        with ownership.remove_if_unused(made), ownership.hold(folder, "hydra.run.dir"):
            if ownership.check_run(folder, config):
                ownership.remove_checkpoints(folder)  # if it was killed just before it did that
                print(printable(f"{folder} is done: {ending(folder)}"))
                return JobReturn(status=JobStatus.COMPLETED)
            keeps = config.solver.checkpoint_seconds is not None
            advise("go on" if keeps else "run it again", "hydra.run.dir", folder)
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
            UserError: A mistake in any job of a grid; nothing was made. Failure: Jobs failed.
            SystemExit: It was stopped by a signal.
        """
        cfg = self.compose_config(config_name, overrides, RunMode.MULTIRUN, with_log_configuration)
        refuse_other_folder(cfg, "hydra.run.dir", "hydra.sweep.dir", "the folder of a sweep")
        end_with_sweep()
        callbacks = Callbacks(cfg)
        context = HydraContext(config_loader=self.config_loader, callbacks=callbacks)
        with name_missing_values(cfg, "hydra.sweeper", "hydra.launcher"):
            sweeper: Any = Plugins.instance().instantiate_sweeper(
                config=cfg, hydra_context=context, task_function=task_function
            )
        grid = check_grid(sweeper, cfg, context)
        searches = check_search(sweeper, cfg, context)
        starter = starter_of(cfg.hydra.launcher)
        require_program(starter)
        starter = None if grid is None else starter  # a search has its own
        folder, made = folder_of(cfg, "hydra.sweep.dir")
        self.folder = folder
        ownership.check_sweep(folder, None)
        # A search holds its folder itself, as it does for other apps.
        key, total = "hydra.sweep.dir", None if grid is None else len(grid)
        crew = Crew(folder, starter.count if starter else 0, digest(grid), total)
        held = nullcontext() if searches else ownership.hold(folder, key, together=True)
        with ownership.remove_if_unused(made), held, nullcontext() if searches else crew:
            unfinished = _unfinished(sweeper, grid, cfg, folder, crew)
            advise("go on", "hydra.sweep.dir", folder)
            rows: Sequence[sweep_table.Row] = ()
            with writing(folder):
                try:
                    callbacks.on_multirun_start(config=cfg, config_name=config_name)
                    returned = None
                    if starter:
                        with started(starter, folder, Path.cwd()) as children:
                            watch(children.working, folder, total or 0)
                    else:
                        returned = sweeper.sweep(arguments=list(cfg.hydra.overrides.task))
                    callbacks.on_multirun_end(config=cfg, config_name=config_name)
                finally:
                    crew.leave()
                    if folder.is_dir() and not _was_refused(sys.exc_info()[1]):
                        wanted = cfg.hydra.launcher.get("ensemble") and not sys.exc_info()[1]
                        rows = self._table(crew, others_when_left(), bool(wanted))
            if unfinished is not None:  # a search has rules of its own for failures
                refuse_failures(rows, unfinished.failures)
        return returned

    def _table(self, crew: Crew, others: int, ensemble: bool) -> Sequence[sweep_table.Row]:
        """The table and the page, unless others still work: the last one writes them."""
        assert self.folder is not None
        with crew.turn():
            if not others:
                with giving_way():
                    sweep_table.end_lost(self.folder)
        if others:
            print(others_at_work(others))
        return () if others else table_of(self.folder, ensemble)


def _unfinished(
    sweeper: Any, grid: list[RunConfig] | None, cfg: DictConfig, folder: Path, crew: Crew
) -> UnfinishedJobs | None:
    """Let the sweeper of a grid launch what is missing in its folder; None if it is no grid."""
    if grid is None:
        return None
    with crew.turn():
        finished = ownership.check_sweep(folder, grid)
        others = sum(not other.starts for other in crew.others())
    if not elsewhere(cfg):
        require_data(job for n, job in enumerate(grid) if n not in finished)
    for number in finished:
        ownership.remove_checkpoints(folder / str(number))
    told = f"{len(finished)} finished, {len(grid) - len(finished)} to go"
    if others:
        told = f"{len(finished)} of {len(grid)} jobs done"
        print(printable(f"joining {folder} as worker {others + 1} of {others + 1}: {told}"))
    elif finished:
        print(printable(f"resuming {folder}: {told}"))
    sweeper.launcher = unfinished = SharedOut(sweeper.launcher, finished, folder, crew)
    return unfinished


def _was_refused(error: BaseException | None) -> bool:
    """Whether a search was refused its folder: what lies there is another one's."""
    refusals = ConfigError, DataError, FolderError, StudyError
    cause = error.__cause__ if isinstance(error, HydraException) else None
    return isinstance(error, LostClaim) or isinstance(cause, refusals)
