"""How a running job reports to the search that started it, and learns whether to stop.

Outside a search every call answers "go on".
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

from fcsweep.search.study.repeats import REACHED, Repeats
from fcsweep.search.study.trial import job_number, opened, trial_of

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial, Trial

    from fcsweep.records.events import Report

PRUNED_AT = "pruned_at"
"""User attribute of a trial that was told to stop: the step."""


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
    session = opened()
    if session is None or len(session.study.directions) > 1:
        return set()
    from optuna.pruners import NopPruner

    from fcsweep.search.study.storage import reports_together  # imports Optuna

    finite = {number: value for number, value in values.items() if math.isfinite(value)}
    trials: dict[int, Trial] = {}
    alone = session.repeats.count == 1  # else a report reads what the job before has reported
    with reports_together(session.study._storage) if alone else nullcontext():
        for job, value in finite.items():
            number = session.repeats.trial(job)
            trials[number] = trial_of(session, job)
            reported = report(trials[number], session.repeats, job, value, step)
            if reported is not None and session.listener is not None:
                session.listener.reported(number, step, reported)
    if isinstance(session.study.pruner, NopPruner):
        return set()
    stopped = {number for number, trial in trials.items() if _decide(trial, step)}
    return {job for job in finite if session.repeats.trial(job) in stopped}


def report(trial: Trial, repeats: Repeats, job: int, value: float, step: int) -> float | None:
    """Report what a job has reached; of repeats their value together, once all are at the step.

    Until then what each has reached is kept in the trial: another process, or another start of the
    search, may train the rest.

    Returns:
        What was reported for the trial; None while repeats are missing.
    """
    together: float | None = value
    if repeats.count > 1:
        name = f"{REACHED}.{step}"
        if repeats.note(name, job) not in _frozen(trial).user_attrs:
            trial.set_user_attr(repeats.note(name, job), value)
        attributes = _frozen(trial).user_attrs
        each = [attributes.get(repeats.note(name, one)) for one in repeats.jobs(trial.number)]
        reached = [one for one in each if one is not None]
        sign = 1 if trial.study.direction.name == "MAXIMIZE" else -1
        complete = len(reached) == repeats.count
        together = repeats.value(reached, sign) if complete else None
    if together is not None and step not in _frozen(trial).intermediate_values:
        trial.report(together, step)
    return together


def _frozen(trial: Trial) -> FrozenTrial:
    """What the study knows of a trial now."""
    return trial.storage.get_trial(trial._trial_id)


def reporting(numbers: Sequence[int]) -> Callable[[Sequence[Report]], Collection[int]]:
    """A hook ``on_epoch`` for `fcsweep.run.run_many` that reports every evaluation to the search.

    Args:
        numbers: of the jobs, in the order of their configs.
    """

    def on_epoch(reports: Sequence[Report]) -> Collection[int]:
        evaluated = [one for one in reports if one.row.evaluated]
        values = {numbers[one.trial]: one.result.value for one in evaluated}
        known = {number: value for number, value in values.items() if value is not None}
        stopped = prune(known, reports[0].row.epoch) if known else ()
        return [one.trial for one in evaluated if numbers[one.trial] in stopped]

    return on_epoch


def _decide(trial: Trial, step: int) -> bool:
    """Whether the pruner stops a trial that is at ``step``; an interrupted one as before."""
    reported = _frozen(trial)
    pruned_at = reported.user_attrs.get(PRUNED_AT)
    if step not in reported.intermediate_values:  # not all repeats have reached it
        return pruned_at is not None and step >= pruned_at
    decided_until = reported.last_step if pruned_at is None else pruned_at
    if decided_until is not None and step < decided_until:
        return False  # decided so before the job was interrupted, and what was known is the same
    from fcsweep.search.study.window import Unwritten

    study = copy.copy(trial.study)
    notes: Any = Unwritten(study._storage)
    study._storage = notes
    stop = study.pruner.prune(study, reported) or pruned_at is not None
    if stop and pruned_at is None:
        trial.set_user_attr(PRUNED_AT, step)
    notes.write()
    return stop
