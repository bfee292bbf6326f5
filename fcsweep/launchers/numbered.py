"""Launch jobs with given numbers, which need not be consecutive, by any launcher."""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager, suppress
from importlib import import_module
from typing import Any

from hydra.core.utils import JobReturn, JobStatus, env_override
from hydra.plugins.launcher import Launcher

from fcsweep.launchers.protocols import Numbered, NumberingLauncher
from fcsweep.messages.errors import UserError
from fcsweep.system.parent import sweeping

PATIENCE = 5.0
"""Seconds that a killed process may take to end."""


class ProcessLost(UserError):
    """The process of a job, or of several, was killed."""


def launch_numbered(launcher: Launcher, jobs: Sequence[Numbered]) -> list[JobReturn]:
    """Launch jobs, each with its number; returns their results in the same order.

    One call for a `NumberingLauncher`; for others one call per run of consecutive numbers, because
    Hydra's launchers count up from the first.

    Raises:
        ProcessLost: a worker of ``joblib`` was killed, which stops all of them.
    """
    if isinstance(launcher, NumberingLauncher):
        return launcher.launch_numbered(jobs) if jobs else []
    returned: list[JobReturn] = []
    with _processes_may_be_killed(launcher):
        for _, run in itertools.groupby(enumerate(jobs), lambda job: job[1][0] - job[0]):
            numbers, overrides = zip(*(job for _, job in run), strict=True)
            returned += launcher.launch(list(overrides), numbers[0])
    return returned


@contextmanager
def _processes_may_be_killed(launcher: Launcher) -> Generator[None]:
    """With submitit, wait for the other jobs; with joblib, raise a `ProcessLost`."""
    if type(launcher).__module__.startswith("hydra_plugins.hydra_submitit_launcher"):
        with env_override(_few_threads(launcher)), _waiting_for_all():
            yield
        return
    if not type(launcher).__module__.startswith("hydra_plugins.hydra_joblib_launcher"):
        yield
        return
    try:
        with sweeping():
            yield
    except BaseException as error:
        _end_workers()
        if type(error).__name__ != "TerminatedWorkerError":
            raise
        raise ProcessLost(
            "a worker process was killed, perhaps for lack of memory, and the others ended with "
            "it; run the same command to resume the unfinished jobs"
        ) from error


def _end_workers() -> None:
    """End the workers of joblib and wait for it: they hold the folders of their jobs until then.

    joblib does so itself, unless a signal has interrupted it where it does not expect one.
    """
    import psutil

    workers: list[int] = []
    for child in psutil.Process().children():
        with suppress(psutil.Error):
            if "LokyProcess" in " ".join(child.cmdline()):
                child.kill()
                workers.append(child.pid)
    until = time.monotonic() + PATIENCE
    while not all(map(_has_ended, workers)) and time.monotonic() < until:
        time.sleep(0.01)


def _has_ended(child: int) -> bool:
    """Whether a child has ended; how it ended is left for joblib to ask."""
    try:
        how = os.WEXITED | os.WNOHANG | os.WNOWAIT
        return os.waitid(os.P_PID, child, how) is not None
    except (ChildProcessError, AttributeError):  # joblib has asked; or this is Windows
        return True


def _few_threads(launcher: Any) -> dict[str, str]:
    """For jobs that all run here at once: a thread for each CPU that a job asks for, else one.

    joblib limits threads by itself; Slurm shows a job only the CPUs that it asked for.
    """
    if type(launcher).__name__ != "LocalLauncher" or "OMP_NUM_THREADS" in os.environ:
        return {}
    return {"OMP_NUM_THREADS": str(launcher.params.get("cpus_per_task") or 1)}


@contextmanager
def _waiting_for_all() -> Generator[None]:
    """Let submitit's launcher wait for all jobs, not raise for the first without a result."""
    submitit: Any = import_module("submitit")  # of the extra "slurm": there or not, to pyright too
    before: Any = submitit.AutoExecutor

    class Executor(submitit.AutoExecutor):
        def map_array(self, fn: Any, *iterable: Any) -> list[Any]:
            return [_Waited(job) for job in before.map_array(self, fn, *iterable)]

    submitit.AutoExecutor = Executor
    try:
        yield
    finally:
        submitit.AutoExecutor = before


class _Waited:
    """A job of submitit, with an end for the one whose process was killed."""

    def __init__(self, job: Any) -> None:
        self._job = job

    def results(self) -> list[JobReturn]:
        """What the job has returned, when it has ended."""
        try:
            return self._job.results()
        except Exception as error:  # several kinds, with the log of the job as their text
            killed = ProcessLost(f"its process was killed (see {self._job.paths.folder})")
            killed.__cause__ = error
            lost = JobReturn(status=JobStatus.FAILED)
            lost.return_value = killed
            return [lost]
