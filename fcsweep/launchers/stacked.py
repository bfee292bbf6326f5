"""The stacked launcher: jobs that may share a stack train together, all others one by one."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
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
from fcsweep.launchers.modules import modules_task, stacks_of
from fcsweep.launchers.modules import train as train_modules
from fcsweep.launchers.protocols import (
    CheckingLoader,
    Job,
    ModulesTask,
    Numbered,
    Planned,
    RecordingTask,
    StackableTask,
)
from fcsweep.launchers.stack_size import Plan, StackSizes
from fcsweep.messages.errors import ConfigError
from fcsweep.messages.wording import render
from fcsweep.system.memory import without_collection

log = logging.getLogger(__name__)

Stack = tuple[list[Numbered], list[RunConfig]]
"""Jobs that train together, and their checked configs; a lone one has none."""

Run = tuple[list[Numbered], Callable[[], list[JobReturn]]]
"""Jobs that train together, and what launches them."""


def require_ensemble(given: object, task: TaskFunction) -> None:
    """Refuse ``hydra.launcher.ensemble`` where it is no answer, or the trials are not fcsweep's.

    Raises:
        ConfigError: it is neither true nor false, or true for another app.
    """
    key = "hydra.launcher.ensemble"
    if not isinstance(given, bool):
        raise ConfigError(f"{key} is {render(given)}; expected true or false")
    if given and not isinstance(task, RecordingTask):
        raise ConfigError(f"{key} is true; only trials of fcsweep's own have an ensemble")


@dataclass(frozen=True)
class Sweep:
    """What is the same for all jobs of a sweep."""

    context: HydraContext
    task: TaskFunction
    config: DictConfig
    sizes: StackSizes

    def __post_init__(self) -> None:
        ours = isinstance(self.task, StackableTask | RecordingTask)
        if not ours and modules_task(self.task) is None:
            alone = "trains one job after another here"
            what = (
                "only nets of fcsweep, and modules of a task with @fcsweep.stackable, share a stack"
            )
            log.warning(f"hydra/launcher=stacked {alone}: {what}")

    def launch(self, jobs: Sequence[Numbered]) -> list[JobReturn]:
        """Run the jobs, stack by stack; what they return, in the order of the jobs."""
        setup_globals()
        self._log_of_the_sweep()
        sweep_folder(self.config.hydra).mkdir(parents=True, exist_ok=True)
        log.info("Launching %d jobs locally", len(jobs))
        returned: dict[int, JobReturn] = {}
        for stack, run in self._runs(jobs):
            for number, overrides in stack:
                log.info("\t#%d : %s", number, " ".join(filter_overrides(overrides)))
            returned |= zip((number for number, _ in stack), run(), strict=True)
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

    def _runs(self, jobs: Sequence[Numbered]) -> Iterator[Run]:
        """Jobs that train together, and what launches them."""
        modules = modules_task(self.task)
        if modules is not None and not self.config.hydra.job.chdir:
            yield from self._runs_of_modules(jobs, modules)
            return
        for stack, configs in self._stacks(jobs):
            together = partial(self._together, stack, configs)
            yield stack, together if configs else partial(self._alone, *stack[0])

    def _runs_of_modules(self, jobs: Sequence[Numbered], task: ModulesTask) -> Iterator[Run]:
        all_books = [*map(self._own_book, jobs)]
        for positions, like in stacks_of(all_books, task, self.sizes.given):
            stack = [jobs[position] for position in positions]
            if len(stack) == 1:
                yield stack, partial(self._alone, *stack[0])
                continue
            books = [all_books[position] for position in positions]
            yield stack, partial(self._begin, books, partial(train_modules, task=task, like=like))

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
            books = [self._book(*one) for one in stack]
            return self._begin(books, partial(self._train, dict(zip(books, configs, strict=True))))

    def _begin(
        self, books: Sequence[Bookkeeping], train: Callable[[Sequence[Bookkeeping]], None]
    ) -> list[JobReturn]:
        """Begin jobs, and train those that could."""
        with env_override(books[0].composed.hydra.job.env_set):
            like: JobLog | None = None
            for book in books:
                book.begin(like)
                like = like or book.log
            if ready := [book for book in books if book.began]:
                train(ready)
        return [book.returned for book in books]

    def _own_book(self, numbered: Numbered) -> Bookkeeping:
        """Of a job of another app."""
        number, overrides = numbered
        composed = self._compose(number, overrides)
        folder = Path(str(composed.hydra.sweep.dir), str(composed.hydra.sweep.subdir))
        args = self.context, self.task, number, folder, overrides
        return Bookkeeping(*args, lambda: composed, None)

    def _book(self, number: int, overrides: Sequence[str]) -> Bookkeeping:
        folder = Path(str(self.config.hydra.sweep.dir), str(number))  # sweep.subdir is the number
        loader = self.context.config_loader
        assert isinstance(loader, CheckingLoader)
        files = loader.job_files(self.config, list(overrides), number, folder)
        compose = partial(self._compose, number, overrides)
        return Bookkeeping(self.context, self.task, number, folder, overrides, compose, files)

    def _train(
        self, configs: Mapping[Bookkeeping, RunConfig], books: Sequence[Bookkeeping]
    ) -> None:
        assert isinstance(self.task, StackableTask)
        logs = {folder: log for book in books for folder, log in book.logs.items()}
        # HydraConfig is that of one job: what differs between the jobs is handed over.
        with books[0].current(), log_to_all(logs):
            began = process_time()
            ended = self.task.train([Job(one.number, configs[one], one.folder) for one in books])
            seconds = process_time() - began
        if epochs := sum(one.epochs for one in ended):
            self.sizes.add(configs[books[0]], len(books), seconds / epochs)
        for book, one in zip(books, ended, strict=True):
            book.end(one)
