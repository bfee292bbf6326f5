"""A running job and its trial: which one it is, and what the study keeps of it.

In the sweeper's own process the study is at hand; a job in another process (joblib, Slurm) opens
the storage that the sweep's config names.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode, TaskFunction
from omegaconf import DictConfig

if TYPE_CHECKING:
    from optuna import Study
    from optuna.trial import Trial

RETURNED = "returned"
"""User attribute of a trial whose job has ended: its values."""


class Listener(Protocol):
    """Who shows what running trials report."""

    def reported(self, number: int, step: int, value: float) -> None:
        """A trial has reported."""
        ...


@dataclass
class Session:
    """What this process knows of the search."""

    study: Study
    listener: Listener | None = None
    trials: dict[int, Trial] = field(default_factory=dict)


_session: Session | None = None


def keep_returned(value: Any) -> None:
    """Keep what the running job returned, so that it is not run again if its batch is killed."""
    number, session = job_number(), opened()
    several = list(value) if isinstance(value, list | tuple) else [value]
    if number is None or session is None or not all(type(one) in (int, float) for one in several):
        return
    if all(map(math.isfinite, several)):
        trial_of(session, number).set_user_attr(RETURNED, several)


class Kept:
    """A task whose values are kept in the study as soon as it returns them."""

    def __init__(self, task: TaskFunction) -> None:
        functools.update_wrapper(self, task)
        self._task = task

    def __call__(self, cfg: DictConfig) -> Any:
        """Run the task."""
        value = self._task(cfg)
        keep_returned(value)
        return value


@contextmanager
def searching(study: Study, listener: Listener) -> Iterator[None]:
    """Let jobs of this process report to ``study`` while the block runs."""
    global _session
    before, _session = _session, Session(study, listener)
    try:
        yield
    finally:
        _session = before


def trial_of(session: Session, number: int) -> Trial:
    """The trial of a job."""
    from optuna.trial import Trial

    if number not in session.trials:
        trials: Any = session.study.get_trials(deepcopy=False)
        session.trials[number] = Trial(session.study, trials[number]._trial_id)
    return session.trials[number]


def job_number() -> int | None:
    """The number of the running job, if a search started it."""
    if not HydraConfig.initialized():
        return None
    hydra = HydraConfig.get()
    if hydra.mode != RunMode.MULTIRUN or not _is_ours(hydra):
        return None
    return int(hydra.job.num)


def _is_ours(hydra: Any) -> bool:
    target = str(hydra.sweeper.get("_target_", ""))
    return target.startswith("hydra_plugins.") and target.endswith(".OptunaSweeper")


def opened() -> Session | None:
    """The session of this process; in the process of a single job, opened by its config."""
    global _session
    if _session is None and job_number() is not None:
        import optuna

        from fcsweep.search.study.samplers import pruner_of, quiet
        from fcsweep.search.study.storage import storage_of, unmasked

        hydra: Any = HydraConfig.get()
        folder = Path(hydra.runtime.cwd, hydra.sweep.dir)
        with quiet():
            _session = Session(
                optuna.load_study(
                    study_name=hydra.sweeper.study_name or folder.name,
                    storage=storage_of(unmasked(hydra.sweeper.storage), folder),
                    sampler=optuna.samplers.RandomSampler(),
                    pruner=pruner_of(hydra.sweeper.pruner),
                )
            )
    return _session
