"""How a trial ended, and what the study is told of it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hydra.core.utils import JobReturn, JobStatus
from optuna.exceptions import TrialPruned
from optuna.trial import TrialState

from fcsweep.messages.errors import FolderError
from fcsweep.messages.wording import one_line, shown
from fcsweep.records.reader import damaged_since, look, read_json
from fcsweep.search.study.trial import numbers_in


@dataclass(frozen=True)
class Outcome:
    """The end of one trial."""

    state: TrialState
    """``COMPLETE``, ``PRUNED`` or ``FAIL``."""
    values: tuple[float, ...] = ()
    """Of a complete trial one for each objective; of another one what it reached, if anything."""
    status: str = ""
    """In the words of our records, if it has one: ``diverged`` is told as ``PRUNED``."""
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


def recorded(folder: Path) -> Outcome | None:
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


def returned(
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
    reason = f"the task returned {shown(value)}, which is not finite"
    return Outcome(TrialState.FAIL, reason=reason, tolerated=True)


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
        raise ValueError(f"the task returned {shown(value)}; expected {expected}")
    return numbers


def _fingerprint(folder: Path) -> str | None:
    try:
        record = read_json(folder / "provenance.json")
        return str(record["data_sha256"]) if record.get("data_sha256") else None
    except (OSError, ValueError):
        return None
