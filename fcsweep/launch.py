"""The stacked launcher's work: Hydra's bookkeeping for jobs that train together.

Hydra's ``run_job`` makes a job's folder, saves its config, sets up its log, calls the callbacks,
runs the task and collects what it returns. Here the two halves of that, before the task and after
it, are done for each job of a stack, with one training between them.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.core.utils import (
    JobReturn,
    JobRuntime,
    JobStatus,
    configure_log,
    env_override,
    filter_overrides,
    run_job,
    setup_globals,
)
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf, open_dict, read_write

from fcsweep.composition.yaml_dump import quick_yaml, save_config
from fcsweep.config import RunConfig
from fcsweep.logs import JobLog, said_to_all
from fcsweep.numbered import Numbered
from fcsweep.stacks import stacks
from fcsweep.system.atomic import write_atomically, writing
from fcsweep.system.memory import nothing_collected

log = logging.getLogger(__name__)

Stack = tuple[list[Numbered], list[RunConfig]]
"""Jobs that train together, and their checked configs; a lone one has none."""


class TrialError(Exception):
    """Why a trial of a stack failed, as its record says; the traceback is in its log."""


@dataclass(frozen=True)
class Ended:
    """How a trial of a stack ended."""

    value: float | None
    """What the task returns."""
    error: Exception | None
    """Why it has no end, one line; None if it has."""


Train = Callable[[Sequence[RunConfig], Sequence[Path], Sequence[logging.Logger]], list[Ended]]
"""Trains a stack; each trial has its config, its folder and its log."""


def stackable(train: Train) -> Callable[[TaskFunction], TaskFunction]:
    """Mark a task whose jobs ``train`` can train together."""

    def mark(task: TaskFunction) -> TaskFunction:
        setattr(task, STACKABLE, train)
        return task

    return mark


STACKABLE = "fcsweep_train"
"""The attribute of such a task."""


@dataclass(frozen=True)
class Sweep:
    """What is the same for all jobs of a sweep."""

    context: HydraContext
    task: TaskFunction
    config: DictConfig
    max_trials: int | None
    """In a stack; None for as many as are fastest."""

    def launch(self, jobs: Sequence[Numbered]) -> list[JobReturn]:
        """Run the jobs, stack by stack; what they return, in the order of the jobs."""
        setup_globals()
        self._log_of_the_sweep()
        Path(str(self.config.hydra.sweep.dir)).mkdir(parents=True, exist_ok=True)
        log.info("Launching %d jobs locally", len(jobs))
        returned: dict[int, JobReturn] = {}
        for stack, configs in self._stacks(jobs):
            for number, overrides in stack:
                log.info("\t#%d : %s", number, " ".join(filter_overrides(overrides)))
            done = self._together(stack, configs) if configs else self._alone(*stack[0])
            returned |= zip((number for number, _ in stack), done, strict=True)
            self._log_of_the_sweep()
        return [returned[number] for number, _ in jobs]

    def _log_of_the_sweep(self) -> None:
        configure_log(self.config.hydra.hydra_logging, self.config.hydra.verbose)

    def _stacks(self, jobs: Sequence[Numbered]) -> list[Stack]:
        """The jobs that train together; each alone if the task is not ours to stack."""
        loader: Any = self.context.config_loader
        in_its_folder = self.config.hydra.job.chdir  # a process can be in one folder only
        if in_its_folder or not hasattr(self.task, STACKABLE) or not hasattr(loader, "check_job"):
            return [([job], []) for job in jobs]
        configs = [loader.check_job(self.config, list(overrides)) for _, overrides in jobs]
        return [
            ([jobs[n] for n in stack], [configs[n] for n in stack] if len(stack) > 1 else [])
            for stack in stacks(configs, self.max_trials)
        ]

    def _composed(self, number: int, overrides: Sequence[str]) -> DictConfig:
        cfg = self.context.config_loader.load_sweep_config(self.config, list(overrides))
        with open_dict(cfg):
            cfg.hydra.job.id = cfg.hydra.job.num = number
        return cfg

    def _alone(self, number: int, overrides: Sequence[str]) -> list[JobReturn]:
        """As the basic launcher."""
        done = run_job(
            hydra_context=self.context,
            task_function=self.task,
            config=self._composed(number, overrides),
            job_dir_key="hydra.sweep.dir",
            job_subdir_key="hydra.sweep.subdir",
        )
        return [done]

    def _together(self, stack: list[Numbered], configs: list[RunConfig]) -> list[JobReturn]:
        """One training for all jobs; what goes wrong with one of them costs only that one."""
        with nothing_collected():
            jobs = [Job(self, self._composed(*numbered)) for numbered in stack]
        with env_override(jobs[0].config.hydra.job.env_set):
            for job in jobs:
                job.begin()
            ready = [job for job in jobs if job.returned.status is JobStatus.UNKNOWN]
            trained = [config for job, config in zip(jobs, configs, strict=True) if job in ready]
            ended = self._train(ready, trained) if ready else []
            for job, one in zip(ready, ended, strict=True):
                job.end(one)
        return [job.returned for job in jobs]

    def _train(self, jobs: list[Job], configs: list[RunConfig]) -> list[Ended]:
        train: Train = getattr(self.task, STACKABLE)
        logs = [job.log for job in jobs]
        # HydraConfig is that of one job: what differs between the jobs is handed over.
        with jobs[0].current(), said_to_all(logs):
            return train(configs, [job.folder for job in jobs], logs)


class Job:
    """A job of a stack: what `run_job` does around a task, in two halves."""

    def __init__(self, sweep: Sweep, config: DictConfig) -> None:
        self.sweep, self.config = sweep, config
        self.returned = JobReturn(
            overrides=OmegaConf.to_container(config.hydra.overrides.task),  # type: ignore[arg-type]
            task_name=JobRuntime.instance().get("name"),
            working_dir=os.getcwd(),
        )

    def begin(self) -> None:
        """Make the folder, the log and the saved config; tell the callbacks."""
        try:
            with self.current(), writing(self._folder()):
                self._prepare()
                self._save()
                with said_to_all([self.log]):
                    self.sweep.context.callbacks.on_job_start(
                        config=self.config, task_function=self.sweep.task
                    )
        except Exception as error:
            self.returned.status, self.returned.return_value = JobStatus.FAILED, error

    def end(self, ended: Ended) -> None:
        """Keep what came of it; tell the callbacks."""
        if ended.error is None:
            self.returned.status, self.returned.return_value = JobStatus.COMPLETED, ended.value
        else:
            self.returned.status, self.returned.return_value = JobStatus.FAILED, ended.error
        with self.current(), said_to_all([self.log]):
            self.sweep.context.callbacks.on_job_end(config=self.config, job_return=self.returned)

    @contextmanager
    def current(self) -> Iterator[None]:
        """Let ``HydraConfig`` and ``${hydra:...}`` be those of this job."""
        instance = HydraConfig.instance()
        before = instance.cfg
        instance.cfg = self.returned.hydra_cfg or self.config  # type: ignore[assignment]
        try:
            yield
        finally:
            instance.cfg = before

    def _folder(self) -> Path:
        hydra = self.config.hydra
        self.folder = Path(str(hydra.sweep.dir), str(hydra.sweep.subdir))
        return self.folder

    def _prepare(self) -> None:
        hydra = self.config.hydra
        with read_write(hydra.runtime), open_dict(hydra.runtime):
            hydra.runtime.output_dir = os.path.abspath(self.folder)
        self.returned.hydra_cfg = HydraConfig.instance().cfg = _hydra_of(self.config)  # type: ignore[assignment]
        own = [str(key) for key in self.config if key != "hydra"]
        task = self.returned.cfg = OmegaConf.masked_copy(self.config, own)
        OmegaConf.set_struct(task, OmegaConf.is_struct(self.config))
        self.folder.mkdir(parents=True, exist_ok=True)
        self.log = JobLog(hydra.job_logging, hydra.verbose)

    def _save(self) -> None:
        """As `run_job`: the first two byte for byte, whatever the launcher."""
        folder = self.folder / self.config.hydra.output_subdir
        save_config(self.returned.cfg, "config.yaml", folder)
        save_config(self.config.hydra.overrides.task, "overrides.yaml", folder)
        write_atomically(folder / "hydra.yaml", quick_yaml(self.returned.hydra_cfg).encode())


def _hydra_of(config: DictConfig) -> DictConfig:
    """As ``HydraConfig.set_config`` keeps it, but for a copy of Hydra's large node."""
    OmegaConf.set_readonly(config.hydra, True)
    kept = DictConfig({"hydra": config.hydra}, flags={"no_deepcopy_set_nodes": True})
    kept.hydra._set_parent(config)  # the run's values may be named in it
    return kept
