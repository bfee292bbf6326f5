"""How a running job reports to the search that started it, and learns whether to stop.

In the sweeper's own process the study is at hand; a job in another process (joblib, Slurm) opens
the storage that the sweep's config names. Outside a search every call answers "go on".
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode

if TYPE_CHECKING:
    from optuna import Study
    from optuna.trial import Trial

    from fcsweep.records.events import Report

PRUNED_AT = "pruned_at"
"""User attribute of a trial that was told to stop: the step."""

RETURNED = "returned"
"""User attribute of a trial whose job has ended: its values."""


class Listener(Protocol):
    """Who shows what running trials report."""

    def reported(self, number: int, step: int, value: float) -> None:
        """A trial has reported."""
        ...


@dataclass
class _Session:
    study: Study
    listener: Listener | None = None
    trials: dict[int, Trial] = field(default_factory=dict)


_session: _Session | None = None


def should_prune(value: float, step: int) -> bool:
    """Report the objective of the running job, and learn whether to stop it.

    The one call that a task of any Hydra app needs::

        for epoch in range(1, 21):
            ...
            if should_prune(accuracy, epoch):
                break
        return accuracy

    Args:
        value: the objective so far; one that is not finite is not reported.
        step: a count that grows, such as the epoch.

    Returns:
        True if the search wants the job to end now, however it returns. False outside a search,
        and where a study has several objectives.
    """
    number = job_number()
    return number is not None and bool(prune({number: value}, step))


def prune(values: Mapping[int, float], step: int) -> set[int]:
    """`should_prune` for several jobs at once: all report before any is decided on.

    Args:
        values: the objective so far of each job, by its number.
        step: as in `should_prune`.

    Returns:
        The numbers of the jobs to stop.
    """
    session = _opened()
    if session is None or len(session.study.directions) > 1:
        return set()
    finite = {number: value for number, value in values.items() if math.isfinite(value)}
    trials = {number: _trial(session, number) for number in finite}
    for number, trial in trials.items():
        if step not in trial.storage.get_trial(trial._trial_id).intermediate_values:
            trial.report(finite[number], step)
        if session.listener is not None:
            session.listener.reported(number, step, finite[number])
    return {number for number, trial in trials.items() if _decided(trial, step)}


def reporting(numbers: Sequence[int]) -> Callable[[Sequence[Report]], Collection[int]]:
    """A hook ``on_epoch`` for `fcsweep.run.run_many` that reports every evaluation to the search.

    Args:
        numbers: of the jobs, in the order of their configs.
    """

    def on_epoch(reports: Sequence[Report]) -> Collection[int]:
        evaluated = [one for one in reports if one.row.val_accuracy is not None]
        values = {numbers[one.trial]: one.result.value for one in evaluated}
        known = {number: value for number, value in values.items() if value is not None}
        stopped = prune(known, reports[0].row.epoch) if known else ()
        return [one.trial for one in evaluated if numbers[one.trial] in stopped]

    return on_epoch


def keep_returned(value: Any) -> None:
    """Keep what the running job returned, so that it is not run again if its batch is killed."""
    number, session = job_number(), _opened()
    several = list(value) if isinstance(value, list | tuple) else [value]
    if number is None or session is None or not all(type(one) in (int, float) for one in several):
        return
    if all(map(math.isfinite, several)):
        _trial(session, number).set_user_attr(RETURNED, several)


@contextmanager
def searching(study: Study, listener: Listener) -> Iterator[None]:
    """Let jobs of this process report to ``study`` while the block runs."""
    global _session
    before, _session = _session, _Session(study, listener)
    try:
        yield
    finally:
        _session = before


def _decided(trial: Trial, step: int) -> bool:
    """Whether the pruner stops a trial that has reported ``step``; an interrupted one as before."""
    reported = trial.storage.get_trial(trial._trial_id)
    pruned_at = reported.user_attrs.get(PRUNED_AT)
    decided_until = reported.last_step if pruned_at is None else pruned_at
    if decided_until is not None and step < decided_until:
        return False  # decided so before the job was interrupted, and what was known is the same
    study = copy.copy(trial.study)
    notes: Any = _Notes(study._storage)
    study._storage = notes
    stop = study.pruner.prune(study, reported) or pruned_at is not None
    if stop and pruned_at is None:
        trial.set_user_attr(PRUNED_AT, step)
    notes.write()
    return stop


class _Notes:
    """A storage in which what a pruner notes of a trial waits until its decision is kept.

    Successive halving notes the rung that a trial has completed, and would let pass a trial that
    was killed between that note and its end.
    """

    def __init__(self, storage: Any) -> None:
        self._storage = storage
        self._waiting: list[tuple[Any, ...]] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._storage, name)

    def set_trial_system_attr(self, *note: Any) -> None:
        """Keep a note for later."""
        self._waiting.append(note)

    def write(self) -> None:
        """Write what has waited."""
        for note in self._waiting:
            self._storage.set_trial_system_attr(*note)


def _trial(session: _Session, number: int) -> Trial:
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


def _opened() -> _Session | None:
    """The session of this process; in the process of a single job, opened by its config."""
    global _session
    if _session is None and job_number() is not None:
        import optuna

        from fcsweep.search.study.samplers import pruner_of, quiet
        from fcsweep.search.study.storage import storage_of, unmasked

        hydra: Any = HydraConfig.get()
        folder = Path(hydra.runtime.cwd, hydra.sweep.dir)
        with quiet():
            _session = _Session(
                optuna.load_study(
                    study_name=hydra.sweeper.study_name or folder.name,
                    storage=storage_of(unmasked(hydra.sweeper.storage), folder),
                    sampler=optuna.samplers.RandomSampler(),
                    pruner=pruner_of(hydra.sweeper.pruner),
                )
            )
    return _session
