"""The task that Hydra runs: it trains what a config says, alone or as a stack."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

import hydra.core.utils
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig

from fcsweep.composition.yaml_dump import save_config
from fcsweep.config import typed
from fcsweep.launchers.logs import log_of
from fcsweep.launchers.protocols import Ending, Job, TrialError
from fcsweep.messages.errors import RecordError
from fcsweep.records import ownership
from fcsweep.search.pruning import reporting
from fcsweep.search.study.trial import job_number
from fcsweep.system.atomic import writing
from fcsweep.system.memory import keep_freed, keep_loaded
from fcsweep.system.parent import end_with_sweep
from fcsweep.system.signals import held_back
from fcsweep.trackers.observer import observers_of

if TYPE_CHECKING:
    from fcsweep.records.formats import Result


class Task:
    """What Hydra runs: a `StackableTask` and a `RecordingTask`.

    Args:
        own_process: whether the process is the program's, which may set it up for itself.
    """

    keeps_records = True

    def __init__(self, own_process: bool = True) -> None:
        self._own_process = own_process

    def __call__(self, cfg: DictConfig) -> float | None:
        """Train what ``cfg`` says in the folder that Hydra made for it; returns the objective."""
        with held_back():  # torch is imported here, not for --help
            from fcsweep.run import run
            from fcsweep.terminal.run_view import RunView
        end_with_sweep()
        self._settle()

        config, folder = typed(cfg), Path(HydraConfig.get().runtime.output_dir)
        number = job_number()
        told = observers_of(config)
        with _hold(folder), writing("standard output"):
            if number is not None:  # the search shows its trials
                return run(config, folder, reporting([number]), told).value
            shown = RunView(os.path.relpath(folder))
            return run(config, folder, observers=[shown, *told]).value

    def train(self, jobs: Sequence[Job]) -> list[Ending]:
        """Train jobs of a sweep together, each in the folder that Hydra made for it."""
        with held_back():
            from fcsweep.run import run_many
            from fcsweep.terminal.stack_view import StackView
        self._settle()

        searched = job_number() is not None  # the search shows its trials
        told = observers_of(jobs[0].config)
        with writing("standard output"):
            results = run_many(
                [job.config for job in jobs],
                [job.folder for job in jobs],
                reporting([job.number for job in jobs]) if searched else None,
                observers=[*([] if searched else [StackView()]), *told],
                logs=[log_of(job.folder) for job in jobs],
            )
        return [Ending(one.value, _error(one), one.epochs) for one in results]

    def _settle(self) -> None:
        """Set up memory and threads of the process, unless it is a notebook's."""
        if self._own_process:
            from fcsweep.kernels.threads import one_thread  # torch is there by now

            one_thread()
            keep_freed()
            keep_loaded()


task = Task()


def _error(result: Result) -> Exception | None:
    """Why a trial of a stack has no end, as its record says; the traceback is in its log."""
    kinds = {"failed": TrialError, "interrupted": RecordError}
    return kinds[result.status](result.reason or result.status) if result.status in kinds else None


def _hold(folder: Path) -> AbstractContextManager[None]:
    """Keep others out of the folder of a job, which may be in a process that outlives its sweep."""
    in_sweep = HydraConfig.get().mode == RunMode.MULTIRUN  # a lone run is held by the program
    return ownership.hold(folder, "hydra.sweep.dir") if in_sweep else nullcontext()


# Hydra's own leaves half a file when it is killed. At import, because a parallel launcher's worker
# imports this module for the task.
hydra.core.utils._save_config = save_config
