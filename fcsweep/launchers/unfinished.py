"""A launcher around another one, for only those jobs of a grid that are not finished."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from hydra.core.utils import JobReturn, JobStatus
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

from fcsweep.launchers.numbered import launch_numbered
from fcsweep.launchers.protocols import NumberingLauncher, Planned
from fcsweep.records.filenames import FINISHED, RESULT
from fcsweep.system.crew import Crew
from fcsweep.system.locks import wait_until_free
from fcsweep.system.parent import GRACE
from fcsweep.system.signals import end_if_asked

POLL = 0.1
"""Seconds between two looks at what other processes have done."""
BASIC = "hydra._internal.core_plugins.basic_launcher"
"""Module of Hydra's launcher that runs one job after the other."""

Jobs = Mapping[int, Sequence[str]]
"""Overrides, by the number of the job."""


class UnfinishedJobs(Launcher):
    """Hands another launcher the jobs that are not finished yet; a failed job costs only itself.

    Hydra's grid sweeper stops at the batch with the first failure and shows only that one. Here it
    goes on; the records tell which jobs failed.

    Args:
        launcher: of the jobs.
        finished: numbers of those that need not be launched.
    """

    def __init__(self, launcher: Launcher, finished: Sequence[int]) -> None:
        self.launcher, self.over = launcher, set(finished)
        self.failures: dict[int, BaseException] = {}

    def setup(
        self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig
    ) -> None:
        """Nothing to do: the other launcher is set up already."""

    def launch(
        self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int
    ) -> Sequence[JobReturn]:
        """Launch what is left; each job keeps its number."""
        jobs: Jobs = dict(enumerate(job_overrides, initial_job_idx))
        launched: dict[int, JobReturn] = {}
        for part in self.claims({n: one for n, one in jobs.items() if n not in self.over}):
            done = launch_numbered(self.launcher, [(number, jobs[number]) for number in part])
            launched |= zip(part, done, strict=True)
            self.over |= set(part)
        returned = [launched.get(number, JobReturn(overrides=one)) for number, one in jobs.items()]
        for number, one in enumerate(returned, initial_job_idx):
            if one.status is JobStatus.FAILED:
                one.status = JobStatus.COMPLETED  # a failed one raises its return_value
                self.failures[number] = one.return_value
            one.status, one.return_value = JobStatus.COMPLETED, None
        return returned

    def claims(self, jobs: Jobs) -> Iterator[list[int]]:
        """Numbers of jobs to launch together: all of them."""
        yield list(jobs)


class SharedOut(UnfinishedJobs):
    """The same where other processes may work on the grid.

    Each claims jobs that train together and that no other has claimed, until none are left.

    Args:
        launcher: of the jobs.
        finished: numbers of those that need not be launched.
        folder: of the sweep.
        crew: the processes that work on it.
    """

    def __init__(
        self, launcher: Launcher, finished: Sequence[int], folder: Path, crew: Crew
    ) -> None:
        super().__init__(launcher, finished)
        self.folder, self.crew, self.began = folder, crew, time.time()

    def claims(self, jobs: Jobs) -> Iterator[list[int]]:
        """The numbers of the jobs that this worker claims."""
        plan = self._plan(jobs)
        while part := self._claim(list(jobs), plan):
            for number in part:  # a job may outlive the worker that had it before
                wait_until_free(self.folder / str(number), GRACE)
            yield part

    def _plan(self, jobs: Jobs) -> Planned:
        """What is claimed at once: a stack, a job, or all jobs of a launcher of many at a time."""
        with self.crew.turn():
            workers = max([1, *(other.starts for other in self.crew.others())])
        if isinstance(self.launcher, NumberingLauncher):
            return self.launcher.plan(list(jobs.items()), workers)
        most = 1 if type(self.launcher).__module__ == BASIC else len(jobs)
        return lambda free: list(free[:most])

    def _claim(self, jobs: Sequence[int], plan: Planned) -> list[int]:
        """Claim jobs for this worker; none when all jobs are over."""
        while True:
            end_if_asked()
            with self.crew.turn():
                taken = {job for other in self.crew.others() for job in other.work}
                left = [job for job in jobs if not self._is_over(job)]
                part = plan([job for job in left if job not in taken])
                self.crew.take(part)
            if part or not left:
                return part
            time.sleep(POLL)

    def _is_over(self, job: int) -> bool:
        """Whether a job is finished, or failed since this process began."""
        path = self.folder / str(job) / RESULT
        if job not in self.over:
            with suppress(OSError, ValueError):
                failed = path.stat().st_mtime >= self.began
                status = json.loads(path.read_bytes())["status"]
                if status in FINISHED or (status == "failed" and failed):
                    self.over.add(job)
        return job in self.over
