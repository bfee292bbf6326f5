"""The stacked launcher: jobs that may share a stack train together, all others one by one."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from time import process_time

from hydra.core.utils import (
    JobReturn,
    configure_log,
    env_override,
    filter_overrides,
    run_job,
    setup_globals,
)
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, open_dict

from fcsweep.composition.folders import sweep_folder
from fcsweep.config import RunConfig
from fcsweep.launchers.grouping import stacks
from fcsweep.launchers.job import Bookkeeping
from fcsweep.launchers.logs import JobLog, log_to_all
from fcsweep.launchers.protocols import (
    CheckingLoader,
    Job,
    Numbered,
    Planned,
    RecordingTask,
    StackableTask,
)
from fcsweep.launchers.stack_size import Plan, StackSizes
from fcsweep.system.memory import without_collection

log = logging.getLogger(__name__)

Stack = tuple[list[Numbered], list[RunConfig]]
"""Jobs that train together, and their checked configs; a lone one has none."""


@dataclass(frozen=True)
class Sweep:
    """What is the same for all jobs of a sweep."""

    context: HydraContext
    task: TaskFunction
    config: DictConfig
    sizes: StackSizes

    def __post_init__(self) -> None:
        if not isinstance(self.task, StackableTask | RecordingTask):
            alone = "trains one job after another here"
            log.warning(f"hydra/launcher=stacked {alone}: only nets of fcsweep can share a stack")

    def launch(self, jobs: Sequence[Numbered]) -> list[JobReturn]:
        """Run the jobs, stack by stack; what they return, in the order of the jobs."""
        setup_globals()
        self._log_of_the_sweep()
        sweep_folder(self.config.hydra).mkdir(parents=True, exist_ok=True)
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

    def plan(self, jobs: Sequence[Numbered], workers: int) -> Planned:
        """Which jobs train together next; each alone if the task is not ours to stack.

        Args:
            jobs: to launch.
            workers: processes that share them.
        """
        configs = self._configs(jobs)
        if not configs:
            return lambda free: list(free[:1])
        numbers = (number for number, _ in jobs)
        return Plan(dict(zip(numbers, configs, strict=True)), self.sizes, workers)

    def _stacks(self, jobs: Sequence[Numbered]) -> list[Stack]:
        configs = self._configs(jobs)
        if not configs:
            return [([job], []) for job in jobs]
        return [
            ([jobs[n] for n in stack], [configs[n] for n in stack] if len(stack) > 1 else [])
            for stack in stacks(configs, self.sizes.most)
        ]

    def _configs(self, jobs: Sequence[Numbered]) -> list[RunConfig]:
        """The checked configs of the jobs; none if the task is not ours to stack."""
        loader = self.context.config_loader
        in_its_folder = self.config.hydra.job.chdir  # a process can be in one folder only
        stackable = isinstance(self.task, StackableTask) and isinstance(loader, CheckingLoader)
        if in_its_folder or not stackable:
            return []
        assert isinstance(loader, CheckingLoader)
        return [loader.check_job(self.config, list(overrides)) for _, overrides in jobs]

    def _compose(self, number: int, overrides: Sequence[str]) -> DictConfig:
        cfg = self.context.config_loader.load_sweep_config(self.config, list(overrides))
        with open_dict(cfg):
            cfg.hydra.job.id = cfg.hydra.job.num = number
        return cfg

    def _alone(self, number: int, overrides: Sequence[str]) -> list[JobReturn]:
        """As the basic launcher."""
        done = run_job(
            hydra_context=self.context,
            task_function=self.task,
            config=self._compose(number, overrides),
            job_dir_key="hydra.sweep.dir",
            job_subdir_key="hydra.sweep.subdir",
        )
        return [done]

    def _together(self, stack: list[Numbered], configs: list[RunConfig]) -> list[JobReturn]:
        """One training for all jobs; what goes wrong with one of them costs only that one."""
        with without_collection():
            books = [self._book(*one) for one in zip(stack, configs, strict=True)]
            with env_override(books[0].composed.hydra.job.env_set):
                like: JobLog | None = None
                for book in books:
                    book.begin(like)
                    like = like or book.log
                if ready := [book for book in books if book.began]:
                    self._train(ready)
        return [book.returned for book in books]

    def _book(self, numbered: Numbered, config: RunConfig) -> Bookkeeping:
        number, overrides = numbered
        folder = Path(str(self.config.hydra.sweep.dir), str(number))  # sweep.subdir is the number
        loader = self.context.config_loader
        assert isinstance(loader, CheckingLoader)
        files = loader.job_files(self.config, list(overrides), number, folder)
        compose = partial(self._compose, number, overrides)
        job = Job(number, config, folder)
        return Bookkeeping(self.context, self.task, job, overrides, compose, files)

    def _train(self, books: Sequence[Bookkeeping]) -> None:
        assert isinstance(self.task, StackableTask)
        logs = {folder: log for book in books for folder, log in book.logs.items()}
        # HydraConfig is that of one job: what differs between the jobs is handed over.
        with books[0].current(), log_to_all(logs):
            began = process_time()
            ended = self.task.train([book.job for book in books])
            seconds = process_time() - began
        if epochs := sum(one.epochs for one in ended):
            self.sizes.add(books[0].job.config, len(books), seconds / epochs)
        for book, one in zip(books, ended, strict=True):
            book.end(one)
