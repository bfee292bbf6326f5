"""How a trial ended, and what the study is told of it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import stdev
from typing import Any

from hydra.core.utils import JobReturn, JobStatus
from optuna.exceptions import TrialPruned
from optuna.trial import FrozenTrial, TrialState

from fcsweep.messages.errors import FolderError, UserError
from fcsweep.messages.wording import one_line, render
from fcsweep.records.reader import damaged_since, look, read_json
from fcsweep.search.study.repeats import VALUES, Repeats
from fcsweep.search.study.study import COUNTS, REASON, STATES, STATUS
from fcsweep.search.study.trial import numbers_in

SAME_FAILURES = 5
"""Failures for one reason at the start that end a sweep: the sixth would be no other."""


class SweepFailed(UserError):
    """Too many trials failed."""


@dataclass(frozen=True)
class Outcome:
    """The end of one trial."""

    state: TrialState
    """``COMPLETE``, ``PRUNED`` or ``FAIL``."""
    values: tuple[float, ...] = ()
    """Of a complete trial one for each objective; of another one what it reached, if anything."""
    status: str = ""
    """In the words of our records, if it has one: ``diverged`` is no state of Optuna."""
    reason: str = ""
    """Why it is not complete; one line."""
    error: BaseException | None = None
    """What its job raised."""
    counts: bool = False
    """Whether its values count although it is not complete: the best that a run of ours reached."""
    tolerated: bool = False
    """Whether it failed in a way that does not count for ``max_failure_rate``."""
    data: str | None = None
    """Fingerprint of the data it was trained on, if its record has one."""
    each: tuple[float, ...] = ()
    """Of repeats with one objective the value of each."""

    @property
    def notes(self) -> dict[str, Any]:
        """What the trial keeps of it in the study, beside state and value."""
        status = self.status if self.status != STATES[self.state] else ""
        notes = {REASON: self.reason, COUNTS: self.counts, STATUS: status}
        return {name: note for name, note in notes.items() if note} | _notes_of_repeats(self.each)


def read_outcome(folder: Path) -> Outcome | None:
    """The end that the records of one of our own runs prove; None if it has not ended by itself.

    Raises:
        FolderError: a record is damaged.
    """
    found = look(folder)
    result = found.result
    damage = found.damage if (folder / "result.json").exists() else None
    if damage := damage or (damaged_since(folder) if found.finished else None):
        raise FolderError(f"{folder} holds a damaged run ({damage}); remove it to run it again")
    if result is None or not found.finished:
        return None
    status, value = result["status"], result.get("value")
    reason, values = str(result.get("reason") or ""), () if value is None else (float(value),)
    data = _fingerprint(folder)
    if status == "completed" and values:
        return Outcome(TrialState.COMPLETE, values, status, data=data)
    if status == "completed" or not values:
        return Outcome(TrialState.FAIL, (), status, reason or "it has no value", data=data)
    return Outcome(TrialState.PRUNED, values, status, reason, counts=True, data=data)


def outcome_of(
    job: JobReturn, signs: Sequence[int], pruned_at: int | None, record: Outcome | None
) -> Outcome:
    """The end of a job that was launched.

    Args:
        job: what the launcher returned.
        signs: 1 for each objective that is maximised, -1 for each that is minimised.
        pruned_at: the step at which it was told to stop.
        record: what its records prove.
    """
    if record is not None:
        return record
    value = job._return_value  # return_value would raise it
    if job.status is not JobStatus.COMPLETED and not isinstance(value, TrialPruned):
        error = value if isinstance(value, BaseException) else None
        reason = one_line(error) if error else "its job has not ended"
        return Outcome(TrialState.FAIL, reason=reason, error=error)
    if pruned_at is not None or isinstance(value, TrialPruned):
        reason = "" if pruned_at is None else f"at step {pruned_at}"
        return Outcome(TrialState.PRUNED, reason=reason)
    try:
        values = _values(value, len(signs))
    except ValueError as error:
        return Outcome(TrialState.FAIL, reason=str(error), error=error)
    if all(map(math.isfinite, values)) or values == (-math.inf * signs[0],):
        return Outcome(TrialState.COMPLETE, values)  # the worst there is tells a sampler something
    reason = f"the task returned {_plain(values)}, which is not finite"
    return Outcome(TrialState.FAIL, reason=reason, tolerated=True)


def together(
    ends: Sequence[Outcome], repeats: Repeats, signs: Sequence[int], pruned: bool
) -> Outcome:
    """The end of a trial from those of its repeats; one that failed fails the trial.

    Args:
        ends: of the repeats.
        repeats: tells how their values become one.
        signs: for each objective 1 if it is to be high, -1 if low.
        pruned: whether the trial was told to stop.
    """
    if len(ends) == 1:
        return ends[0]
    data = ends[0].data  # a fold has data of its own: those of the first stand for the trial's
    for place, end in enumerate(ends):
        if end.state is TrialState.FAIL:
            return replace(end, reason=f"repeat {place}: {end.reason}", data=data)
    valued = all(len(end.values) == len(signs) for end in ends)
    columns = zip(*(end.values for end in ends), strict=True) if valued else ()
    values = tuple(map(repeats.value, map(list, columns), signs)) if valued else ()
    # The one that says most: a pruned trial has repeats that ended before; one may have diverged.
    last = max(ends, key=lambda end: end.state is TrialState.PRUNED)
    state = TrialState.PRUNED if pruned else last.state
    alone = tuple(end.values[0] for end in ends) if valued and len(signs) == 1 else ()
    return replace(last, state=state, values=values, each=alone, data=data)


def refuse_failures(
    outcomes: Sequence[Outcome], ended: Sequence[FrozenTrial], max_failure_rate: float
) -> None:
    """End the sweep where too many trials fail, or the first ones all for one reason.

    Args:
        outcomes: of a batch.
        ended: all trials that have ended.
        max_failure_rate: fraction of a batch that may fail.

    Raises:
        SweepFailed: they do.
    """
    failures = [outcome for outcome in outcomes if outcome.state is TrialState.FAIL]
    failed = [outcome for outcome in failures if not outcome.tolerated]
    if not failed:
        return
    first = failed[0]
    if len(failed) > max_failure_rate * len(outcomes):
        raise SweepFailed(
            f"{len(failed)} of {len(outcomes)} trials failed, more than "
            f"hydra.sweeper.max_failure_rate={max_failure_rate:g} allows: {first.reason}"
        ) from first.error
    start = ended[:SAME_FAILURES]
    reasons = {str(trial.user_attrs.get(REASON)) for trial in start}
    if len(start) == SAME_FAILURES and len(reasons) == 1 and _all_failed(start):
        why = f"the first {SAME_FAILURES} trials failed for one reason: {first.reason}"
        raise SweepFailed(why) from first.error


def refuse_if_all_failed(ended: Sequence[FrozenTrial]) -> None:
    """End a sweep that has found nothing.

    Raises:
        SweepFailed: every trial failed.
    """
    if ended and _all_failed(ended):
        reason = ended[0].user_attrs.get(REASON)
        raise SweepFailed(f"all {len(ended)} trials failed; the first: {reason}")


def _notes_of_repeats(each: Sequence[float]) -> dict[str, Any]:
    """What a trial keeps of the values of its repeats: each, and their sample deviation."""
    if not all(map(math.isfinite, each)) or len(each) < 2:
        return {}
    return {VALUES: list(each), "std": stdev(each)}


def _all_failed(trials: Sequence[FrozenTrial]) -> bool:
    return all(trial.state is TrialState.FAIL for trial in trials)


def _values(value: Any, objectives: int) -> tuple[float, ...]:
    """The values of the objectives.

    Raises:
        ValueError: other than ``objectives`` numbers.
    """
    try:
        numbers = numbers_in(value)
    except TypeError:
        numbers = ()
    if len(numbers) != objectives:
        expected = "a number" if objectives == 1 else f"{objectives} numbers"
        given = render(_plain(numbers) if numbers else value)
        raise ValueError(f"the task returned {given}; expected {expected}")
    return numbers


def _plain(numbers: tuple[float, ...]) -> float | list[float]:
    """Numbers in one form: a resumed search knows them but not what held them."""
    return numbers[0] if len(numbers) == 1 else list(numbers)


def _fingerprint(folder: Path) -> str | None:
    try:
        record = read_json(folder / "provenance.json")
        return str(record["data_sha256"]) if record.get("data_sha256") else None
    except (OSError, ValueError):
        return None
