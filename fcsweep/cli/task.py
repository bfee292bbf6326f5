"""The task that Hydra runs: it trains what a config says, alone or as a stack."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

import hydra
import hydra._internal.hydra
import hydra._internal.utils
import hydra.core.utils
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig

from fcsweep.composition.yaml_dump import save_config
from fcsweep.config import RunConfig, typed
from fcsweep.launchers.protocols import Ended, TrialError, stackable
from fcsweep.messages.errors import RecordError
from fcsweep.records import ownership
from fcsweep.search.pruning import job_number, reporting
from fcsweep.system.atomic import writing
from fcsweep.system.memory import keep_freed, keep_loaded
from fcsweep.system.signals import held_back

if TYPE_CHECKING:
    from fcsweep.records.formats import Result
    from fcsweep.search.outcomes import Outcome


def train_stack(
    configs: Sequence[RunConfig], folders: Sequence[Path], logs: Sequence[logging.Logger]
) -> list[Ended]:
    """Train jobs of a sweep together, each in the folder that Hydra made for it."""
    with held_back():
        from fcsweep.run import run_many
        from fcsweep.terminal.stack_view import shown_stack
    keep_freed()
    keep_loaded()

    if job_number() is not None:  # the search shows its trials
        numbers = [int(folder.name) for folder in folders]
        results = run_many(configs, folders, reporting(numbers), logs)
    else:
        with writing("standard output"), shown_stack(folders, configs) as on_epoch:
            results = run_many(configs, folders, on_epoch, logs)
    return [Ended(result.value, _error(result)) for result in results]


def _error(result: Result) -> Exception | None:
    """Why a trial of a stack has no end, as its record says; the traceback is in its log."""
    kinds = {"failed": TrialError, "interrupted": RecordError}
    return kinds[result.status](result.reason or result.status) if result.status in kinds else None


@stackable(train_stack)
def task(cfg: DictConfig) -> float | None:
    """Train what ``cfg`` says in the folder that Hydra made for it; returns the objective."""
    with held_back():  # torch is imported here, not for --help
        from fcsweep.run import run
        from fcsweep.terminal.run_view import shown
    keep_freed()
    keep_loaded()

    config, folder = typed(cfg), Path(HydraConfig.get().runtime.output_dir)
    number = job_number()
    with _held(folder):
        if number is not None:  # the search shows its trials
            return run(config, folder, reporting([number])).value
        with writing("standard output"), shown(os.path.relpath(folder), config) as on_epoch:
            return run(config, folder, on_epoch).value


def _held(folder: Path) -> AbstractContextManager[None]:
    """Keep others out of the folder of a job, which may be in a process that outlives its sweep."""
    in_sweep = HydraConfig.get().mode == RunMode.MULTIRUN  # a lone run is held by the program
    return ownership.hold(folder, "hydra.sweep.dir") if in_sweep else nullcontext()


def recorded(folder: Path) -> Outcome | None:
    """What the records of a run prove, for a search."""
    from fcsweep.search.outcomes import recorded  # imports optuna

    return recorded(folder)


setattr(task, "recorded", recorded)  # noqa: B010  read by the sweeper from the task function

# Hydra's own leaves half a file when it is killed. At import, because a parallel launcher's worker
# imports this module for the task.
hydra.core.utils._save_config = save_config
