"""A launcher around another one, for only those jobs of a sweep that are not finished."""

from __future__ import annotations

from collections.abc import Sequence

from hydra.core.utils import JobReturn, JobStatus
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

from fcsweep.launchers.numbered import launch_numbered


class Unfinished(Launcher):
    """Hands another launcher the jobs that are not finished yet; a failed job costs only itself.

    Hydra's grid sweeper stops at the batch with the first failure and shows only that one. Here it
    goes on; the records tell which jobs failed.
    """

    def __init__(self, launcher: Launcher, finished: Sequence[int]) -> None:
        self.launcher, self.finished = launcher, frozenset(finished)
        self.failures: dict[int, BaseException] = {}

    def setup(
        self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig
    ) -> None:
        """Nothing to do: the other launcher is set up already."""

    def launch(
        self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int
    ) -> Sequence[JobReturn]:
        """Launch what is left; each job keeps its number."""
        jobs = list(enumerate(job_overrides, initial_job_idx))
        left = [job for job in jobs if job[0] not in self.finished]
        numbers = [number for number, _ in left]
        launched = dict(zip(numbers, launch_numbered(self.launcher, left), strict=True))
        returned = [launched.get(number, JobReturn(overrides=one)) for number, one in jobs]
        for number, one in enumerate(returned, initial_job_idx):
            if one.status is JobStatus.FAILED:
                one.status = JobStatus.COMPLETED  # a failed one raises its return_value
                self.failures[number] = one.return_value
            one.status, one.return_value = JobStatus.COMPLETED, None
        return returned
