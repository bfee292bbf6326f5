"""What Hydra finds of fcsweep: thin classes; their work is in the package of the same name.

Hydra executes this module at the start of every program in its environment, and executes it again
where it was imported before: no state here, and nothing heavy at its head. There is no
``__init__.py`` beside it, which would hide the plugins of others, and no postponed annotations,
which its dataclasses would not survive.
"""

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from hydra.core.config_search_path import ConfigSearchPath
from hydra.core.config_store import ConfigStore
from hydra.core.utils import JobReturn
from hydra.errors import CompactHydraException
from hydra.plugins.launcher import Launcher
from hydra.plugins.search_path_plugin import SearchPathPlugin
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

from fcsweep.messages.errors import UserError
from fcsweep.search.settings import (
    CONFLICT,
    accept_null_in_choices,
    register,
    upstream_installed,
    with_defaults,
)

register()
accept_null_in_choices()


@dataclass
class StackedLauncherConf:
    """``hydra/launcher=stacked``."""

    _target_: str = "hydra_plugins.fcsweep.StackedLauncher"
    max_trials: Any = "auto"
    """Trials that train together at most: a whole number >= 1, or ``auto``."""
    workers: Any = 1
    """Processes on this machine that share the sweep: a whole number >= 1, or ``auto``: one for
    each GPU, and one where there is none."""
    ensemble: Any = False
    """Whether the end of the sweep selects its ensemble, as ``python -m fcsweep.ensemble`` does."""


@dataclass
class SlurmLauncherConf:
    """``hydra/launcher=slurm``: the workers are jobs of Slurm."""

    _target_: str = "hydra_plugins.fcsweep.SlurmLauncher"
    max_trials: Any = "auto"
    """Trials that train together at most: a whole number >= 1, or ``auto``."""
    workers: Any = 1
    """Jobs of Slurm that share the sweep, each a worker: a whole number >= 1."""
    ensemble: Any = False
    """Whether the end of the sweep selects its ensemble, as ``python -m fcsweep.ensemble`` does."""
    partition: Any = None
    """Where they run; null is the partition that Slurm chooses by default."""
    gpus: Any = 0
    """GPUs of each worker: a whole number >= 0."""
    cpus: Any = 1
    """CPUs of each worker, and its threads: a whole number >= 1."""
    minutes: Any = None
    """After which Slurm ends a worker, which is then submitted again: a whole number >= 1; null is
    the limit of the partition."""
    additional: dict[str, Any] = field(default_factory=dict)
    """Further options of sbatch by their long names, such as ``{mem: 8G, account: me}``; one
    without a value is true."""


@dataclass
class RayLauncherConf:
    """``hydra/launcher=ray``: the workers are tasks of a cluster of Ray."""

    _target_: str = "hydra_plugins.fcsweep.RayLauncher"
    max_trials: Any = "auto"
    """Trials that train together at most: a whole number >= 1, or ``auto``."""
    workers: Any = 1
    """Tasks of Ray that share the sweep, each a worker: a whole number >= 1."""
    ensemble: Any = False
    """Whether the end of the sweep selects its ensemble, as ``python -m fcsweep.ensemble`` does."""
    address: Any = "auto"
    """Of the cluster, such as ``10.0.0.1:6379``; auto is that of RAY_ADDRESS, or the one that runs
    on this machine."""
    num_cpus: Any = 1
    """CPUs of each worker, and its threads: a number >= 0."""
    num_gpus: Any = 0
    """GPUs of each worker: a number >= 0."""


LAUNCHERS = {"stacked": StackedLauncherConf, "slurm": SlurmLauncherConf, "ray": RayLauncherConf}
for _name, _node in LAUNCHERS.items():
    ConfigStore.instance().store(group="hydra/launcher", name=_name, node=_node, provider="fcsweep")


class StackedLauncher(Launcher):
    """Trains the jobs that may share a stack together; launches all others one by one."""

    def __init__(self, max_trials: Any, workers: Any = 1, ensemble: Any = False) -> None:
        self.max_trials, self.workers, self.ensemble = max_trials, workers, ensemble

    def setup(
        self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig
    ) -> None:
        """Keep what a launch needs, and refuse a wrong value before anything is made."""
        from fcsweep.launchers.grouping import max_trials
        from fcsweep.launchers.stack_size import StackSizes
        from fcsweep.launchers.stacked import Sweep, require_ensemble

        require_ensemble(self.ensemble, task_function)
        sizes = StackSizes(max_trials(self.max_trials))
        self.sweep = Sweep(hydra_context, task_function, config, sizes)

    def launch(
        self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int
    ) -> Sequence[JobReturn]:
        """Launch jobs with consecutive numbers."""
        return self.launch_numbered(list(enumerate(job_overrides, initial_job_idx)))

    def launch_numbered(self, jobs: Sequence[tuple[int, Sequence[str]]]) -> list[JobReturn]:
        """Launch jobs, each with its number; what they return, in the same order."""
        return self.sweep.launch(jobs)

    def plan(
        self, jobs: Sequence[tuple[int, Sequence[str]]], workers: int
    ) -> Callable[[Sequence[int]], list[int]]:
        """Which jobs train together next, of those that are free, shared out to processes."""
        return self.sweep.plan(jobs, workers)


class StartingLauncher(StackedLauncher):
    """What a worker does that was started elsewhere: it launches jobs as `StackedLauncher` does.

    The process that starts the workers launches none.
    """

    def __init__(
        self, max_trials: Any, workers: Any = 1, ensemble: Any = False, **resources: Any
    ) -> None:
        super().__init__(max_trials, workers, ensemble)

    def launch_numbered(self, jobs: Sequence[tuple[int, Sequence[str]]]) -> list[JobReturn]:
        """Launch jobs, each with its number; what they return, in the same order."""
        from fcsweep.launchers.starters.settings import refuse_in_starting_process

        refuse_in_starting_process(type(self).__name__)
        return super().launch_numbered(jobs)


class SlurmLauncher(StartingLauncher):
    """Of a worker that is a job of Slurm."""


class RayLauncher(StartingLauncher):
    """Of a worker that is a task of Ray."""


class SearchConf(SearchPathPlugin):
    """Lets every app find ``hydra/sweeper=optuna``."""

    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        """After the app's own folder, so that an option of its own comes first."""
        search_path.append("fcsweep", "pkg://fcsweep.search.conf")


class OptunaSweeper(Sweeper):
    """Searches with Optuna; the keys are those of `fcsweep.search.settings.OptunaSweeperConf`."""

    display: Any | None = None
    """Shows the sweep; None for a line a trial."""
    prepare: Any | None = None
    """Called before the first job is launched; raises a `UserError` if that would be in vain."""
    planned: Any | None = None
    """A plan that was checked before."""

    def __init__(self, **settings: Any) -> None:
        self.settings = settings

    def setup(
        self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig
    ) -> None:
        """Keep what Hydra hands over."""
        self.hydra_context, self.task_function = hydra_context, task_function
        self.config = config
        self.settings = with_defaults(self.settings, config.hydra.sweeper)

    def plan(self, arguments: list[str]) -> Any:
        """The settings, checked, with nothing made yet."""
        from fcsweep.system.signals import held_back

        with held_back():  # optuna and sqlalchemy
            from fcsweep.search.plan import plan_of

        assert self.config is not None and self.hydra_context is not None  # set by setup
        return plan_of(self.settings, self.config, self.hydra_context, arguments)

    def sweep(self, arguments: list[str]) -> None:
        """Search until ``n_trials``, a target or a time limit is reached."""
        from fcsweep.search.sweep import sweep

        try:
            sweep(self, self.planned or self.plan(arguments))
        except UserError as error:
            raise CompactHydraException(str(error)) from error  # Hydra shows it as one line


if upstream_installed():
    sys.stderr.write(CONFLICT + "\n")
