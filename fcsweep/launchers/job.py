"""Hydra's bookkeeping for a job of a stack: what ``run_job`` does around a task, in two halves."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.core.utils import JobReturn, JobRuntime, JobStatus
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf, open_dict, read_write

from fcsweep.composition.yaml_dump import as_yaml, quick_yaml
from fcsweep.launchers.logs import JobLog, log_to_all
from fcsweep.launchers.protocols import Ending
from fcsweep.system.atomic import write_atomically, writing


class Bookkeeping:
    """What Hydra does for a job before and after it is trained.

    Its config is composed on first use: that can take longer than a short training.

    Args:
        context: of the sweep.
        task: that Hydra runs.
        number: of the job in its sweep.
        folder: of the job.
        overrides: of the job.
        compose: composes its config.
        files: what to save, if that is known without the config.

    Attributes:
        returned: what the launcher returns of the job.
        log: of the job, once it has begun.
    """

    def __init__(
        self,
        context: HydraContext,
        task: TaskFunction,
        number: int,
        folder: Path,
        overrides: Sequence[str],
        compose: Callable[[], DictConfig],
        files: Mapping[str, bytes] | None,
    ) -> None:
        self.number, self.folder, self.task = number, folder, task
        self._context, self._compose = context, compose
        self._files = files
        self.log: JobLog | None = None
        self.returned = StackedReturn(self, overrides)

    @cached_property
    def composed(self) -> DictConfig:
        """The config of the job, as Hydra composed it."""
        composed = self._compose()
        runtime = composed.hydra.runtime
        with read_write(runtime), open_dict(runtime):
            runtime.output_dir = os.path.abspath(self.folder)
        return composed

    @cached_property
    def hydra_cfg(self) -> DictConfig:
        """As ``HydraConfig.set_config`` keeps it, without copying Hydra's large node."""
        OmegaConf.set_readonly(self.composed.hydra, True)
        kept = DictConfig({"hydra": self.composed.hydra}, flags={"no_deepcopy_set_nodes": True})
        kept.hydra._set_parent(self.composed)  # the run's values may be named in it
        return kept

    @cached_property
    def task_cfg(self) -> DictConfig:
        """The task's own part."""
        own = [str(key) for key in self.composed if key != "hydra"]
        task = OmegaConf.masked_copy(self.composed, own)
        OmegaConf.set_struct(task, OmegaConf.is_struct(self.composed))
        return task

    @property
    def logs(self) -> dict[Path, JobLog]:
        """The log of the job by its folder; nothing before it has begun."""
        return {} if self.log is None else {self.folder: self.log}

    @property
    def began(self) -> bool:
        """Whether the job can be trained."""
        return self.returned.status is JobStatus.UNKNOWN

    def begin(self, like: JobLog | None) -> None:
        """Make the folder, the log and the saved config; call the callbacks.

        Args:
            like: the log of a job of the same stack, if there is one.
        """
        try:
            with writing(self.folder):
                self._save()
                self.log = self._make_log(like)
                if self._callbacks:
                    with self.current(), log_to_all(self.logs):
                        self._context.callbacks.on_job_start(
                            config=self.composed, task_function=self.task
                        )
        except Exception as error:
            self.returned.status, self.returned.return_value = JobStatus.FAILED, error

    def end(self, ended: Ending) -> None:
        """Keep its result; call the callbacks."""
        if ended.error is None:
            self.returned.status, self.returned.return_value = JobStatus.COMPLETED, ended.value
        else:
            self.returned.status, self.returned.return_value = JobStatus.FAILED, ended.error
        if self._callbacks:
            with self.current(), log_to_all(self.logs):
                self._context.callbacks.on_job_end(config=self.composed, job_return=self.returned)

    @property
    def _callbacks(self) -> bool:
        callbacks: Any = self._context.callbacks
        return bool(callbacks.callbacks)

    @contextmanager
    def current(self) -> Generator[None]:
        """Make ``HydraConfig`` and ``${hydra:...}`` refer to this job."""
        instance = HydraConfig.instance()
        before = instance.cfg
        instance.cfg = self.hydra_cfg  # type: ignore[assignment]
        try:
            yield
        finally:
            instance.cfg = before

    def _make_log(self, like: JobLog | None) -> JobLog:
        if like is not None and (log := like.in_folder(self.folder)):
            return log
        hydra = self.composed.hydra
        with self.current():
            return JobLog(hydra.job_logging, hydra.verbose, self.folder)

    def _save(self) -> None:
        """As `run_job`: the first two byte for byte, whatever the launcher."""
        kept = ".hydra" if self._files else self.composed.hydra.output_subdir
        self.folder.mkdir(parents=True, exist_ok=True)
        if kept is None:
            return
        folder = self.folder / kept
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in (self._files or self.rendered()).items():
            write_atomically(folder / name, content)

    def rendered(self) -> dict[str, bytes]:
        """The files that Hydra saves of the job, from its composed config."""
        texts = {
            "config.yaml": as_yaml(self.task_cfg),
            "overrides.yaml": as_yaml(self.composed.hydra.overrides.task),
            "hydra.yaml": quick_yaml(self.hydra_cfg),
        }
        return {name: text.encode() for name, text in texts.items()}


class StackedReturn(JobReturn):
    """What the launcher returns of a job; its configs are composed on first use.

    Attributes:
        folder: of the job.
    """

    def __init__(self, book: Bookkeeping, overrides: Sequence[str]) -> None:
        self._book, self.folder = book, book.folder
        super().__init__(
            overrides=list(overrides),
            task_name=JobRuntime.instance().get("name"),
            working_dir=os.getcwd(),
        )

    @property
    def cfg(self) -> DictConfig:
        """The task's own part of the config."""
        return self._book.task_cfg

    @cfg.setter
    def cfg(self, value: Any) -> None:  # pyright: ignore[reportIncompatibleVariableOverride]
        """The constructor sets it to None."""

    @property
    def hydra_cfg(self) -> DictConfig:
        """Hydra's part of the config."""
        return self._book.hydra_cfg

    @hydra_cfg.setter
    def hydra_cfg(self, value: Any) -> None:  # pyright: ignore[reportIncompatibleVariableOverride]
        """The constructor sets it to None."""


def folder_of(done: JobReturn) -> Path | None:
    """Where a job ran, absolute; None if it did not begin."""
    if isinstance(done, StackedReturn):
        return Path(os.path.abspath(done.folder))
    if done.hydra_cfg is None:
        return None
    return Path(str(OmegaConf.select(done.hydra_cfg, "hydra.runtime.output_dir")))
