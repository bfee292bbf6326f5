"""A job of a stack: what Hydra's ``run_job`` does around a task, in two halves."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from hydra.core.hydra_config import HydraConfig
from hydra.core.utils import (
    JobReturn,
    JobRuntime,
    JobStatus,
)
from omegaconf import DictConfig, OmegaConf, open_dict, read_write

from fcsweep.composition.yaml_dump import quick_yaml, save_config
from fcsweep.launchers.logs import JobLog, said_to_all
from fcsweep.launchers.protocols import Ended
from fcsweep.system.atomic import write_atomically, writing

if TYPE_CHECKING:
    from fcsweep.launchers.stacked import Sweep


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
