"""Hydra's bookkeeping for a job of a stack: what ``run_job`` does around a task, in two halves."""

from __future__ import annotations

import os
from collections.abc import Generator
from contextlib import contextmanager

from hydra.core.hydra_config import HydraConfig
from hydra.core.utils import JobReturn, JobRuntime, JobStatus
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf, open_dict, read_write

from fcsweep.composition.folders import job_folder
from fcsweep.composition.yaml_dump import quick_yaml, save_config
from fcsweep.config import RunConfig
from fcsweep.launchers.logs import JobLog, said_to_all
from fcsweep.launchers.protocols import Ended, Job
from fcsweep.system.atomic import write_atomically, writing


class Bookkeeping:
    """What Hydra does for a job before and after it is trained.

    Args:
        context: of the sweep.
        task: that Hydra runs.
        composed: the config of the job, as Hydra composed it.
        config: the same, checked.

    Attributes:
        returned: what the launcher returns of the job.
    """

    def __init__(
        self, context: HydraContext, task: TaskFunction, composed: DictConfig, config: RunConfig
    ) -> None:
        hydra = composed.hydra
        self._context, self._task, self._composed = context, task, composed
        self.job = Job(hydra.job.num, config, job_folder(hydra))
        self.returned = JobReturn(
            overrides=OmegaConf.to_container(hydra.overrides.task),  # type: ignore[arg-type]
            task_name=JobRuntime.instance().get("name"),
            working_dir=os.getcwd(),
        )

    @property
    def began(self) -> bool:
        """Whether the job can be trained."""
        return self.returned.status is JobStatus.UNKNOWN

    def begin(self) -> None:
        """Make the folder, the log and the saved config; tell the callbacks."""
        try:
            with self.current(), writing(self.job.folder):
                self._prepare()
                self._save()
                with said_to_all({self.job.folder: self.log}):
                    self._context.callbacks.on_job_start(
                        config=self._composed, task_function=self._task
                    )
        except Exception as error:
            self.returned.status, self.returned.return_value = JobStatus.FAILED, error

    def end(self, ended: Ended) -> None:
        """Keep what came of it; tell the callbacks."""
        if ended.error is None:
            self.returned.status, self.returned.return_value = JobStatus.COMPLETED, ended.value
        else:
            self.returned.status, self.returned.return_value = JobStatus.FAILED, ended.error
        with self.current(), said_to_all({self.job.folder: self.log}):
            self._context.callbacks.on_job_end(config=self._composed, job_return=self.returned)

    @contextmanager
    def current(self) -> Generator[None]:
        """Let ``HydraConfig`` and ``${hydra:...}`` be those of this job."""
        instance = HydraConfig.instance()
        before = instance.cfg
        instance.cfg = self.returned.hydra_cfg or self._composed  # type: ignore[assignment]
        try:
            yield
        finally:
            instance.cfg = before

    def _prepare(self) -> None:
        hydra, folder = self._composed.hydra, self.job.folder
        with read_write(hydra.runtime), open_dict(hydra.runtime):
            hydra.runtime.output_dir = os.path.abspath(folder)
        kept = _hydra_of(self._composed)
        self.returned.hydra_cfg = HydraConfig.instance().cfg = kept  # type: ignore[assignment]
        own = [str(key) for key in self._composed if key != "hydra"]
        task = self.returned.cfg = OmegaConf.masked_copy(self._composed, own)
        OmegaConf.set_struct(task, OmegaConf.is_struct(self._composed))
        folder.mkdir(parents=True, exist_ok=True)
        self.log = JobLog(hydra.job_logging, hydra.verbose)

    def _save(self) -> None:
        """As `run_job`: the first two byte for byte, whatever the launcher."""
        hydra = self._composed.hydra
        folder = self.job.folder / hydra.output_subdir
        save_config(self.returned.cfg, "config.yaml", folder)
        save_config(hydra.overrides.task, "overrides.yaml", folder)
        write_atomically(folder / "hydra.yaml", quick_yaml(self.returned.hydra_cfg).encode())


def _hydra_of(config: DictConfig) -> DictConfig:
    """As ``HydraConfig.set_config`` keeps it, but for a copy of Hydra's large node."""
    OmegaConf.set_readonly(config.hydra, True)
    kept = DictConfig({"hydra": config.hydra}, flags={"no_deepcopy_set_nodes": True})
    kept.hydra._set_parent(config)  # the run's values may be named in it
    return kept
