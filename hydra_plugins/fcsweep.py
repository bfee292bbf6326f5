"""What Hydra finds of fcsweep by itself: plugins that only delegate.

Hydra runs this module at the start of every program in its environment, sometimes twice: nothing
heavy is imported here, and nothing is kept. There is no ``__init__.py`` beside it, which would hide
other plugins, and no postponed annotations, which its dataclasses would not survive.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from hydra.core.config_store import ConfigStore
from hydra.core.utils import JobReturn
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig


@dataclass
class StackedLauncherConf:
    """``hydra/launcher=stacked``."""

    _target_: str = "hydra_plugins.fcsweep.StackedLauncher"
    max_trials: Any = "auto"
    """Trials that train together at most: a whole number >= 1, or ``auto``."""


ConfigStore.instance().store(
    group="hydra/launcher", name="stacked", node=StackedLauncherConf, provider="fcsweep"
)


class StackedLauncher(Launcher):
    """Trains the jobs that may share a stack together; launches all others one by one."""

    def __init__(self, max_trials: Any) -> None:
        self.max_trials = max_trials

    def setup(
        self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig
    ) -> None:
        """Keep what a launch needs, and refuse a wrong ``max_trials`` before anything is made."""
        from fcsweep.launch import Sweep
        from fcsweep.stacks import max_trials

        self.sweep = Sweep(hydra_context, task_function, config, max_trials(self.max_trials))

    def launch(
        self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int
    ) -> Sequence[JobReturn]:
        """Launch jobs with consecutive numbers."""
        return self.launch_numbered(list(enumerate(job_overrides, initial_job_idx)))

    def launch_numbered(self, jobs: Sequence[tuple[int, Sequence[str]]]) -> list[JobReturn]:
        """Launch jobs, each with its number; what they return, in the same order."""
        return self.sweep.launch(jobs)
