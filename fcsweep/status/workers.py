"""Which processes work on a sweep, and on what."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from fcsweep.status.standing import Trial, Worker
from fcsweep.system.crew import Member

LEASE = 60.0
"""Seconds of silence after which a worker of another machine is dead, if its study has no other."""

Known = tuple[Member, float | None]
"""A worker, and the seconds since its sign of life where it gives signs."""


def living(
    known: Iterable[Known],
    trials: Sequence[Trial],
    size: int,
    now: float,
    lease: float = LEASE,
) -> list[Worker]:
    """The workers that live, or of which nobody here can say that they do not.

    Args:
        known: all that have joined and not left.
        trials: of the sweep.
        size: trials in a batch; 1 for the jobs of a grid.
        now: seconds since 1970.
        lease: seconds.
    """
    batches: dict[int, list[Trial]] = {}
    for trial in trials:
        if trial.is_open:
            batches.setdefault(trial.number // size, []).append(trial)
    there = [one for one in known if not one[0].starts and not _has_ended(one[0])]
    there.sort(key=lambda one: (one[0].began, one[0].host, one[0].pid))
    return [
        _worker(number, member, sign, batches, now, lease)
        for number, (member, sign) in enumerate(there, 1)
    ]


def _has_ended(member: Member) -> bool:
    return member.is_here and member.state == "ended"


def _worker(
    number: int,
    member: Member,
    sign: float | None,
    batches: Mapping[int, Sequence[Trial]],
    now: float,
    lease: float,
) -> Worker:
    work = [trial for batch in member.work for trial in batches.get(batch, ())]
    signs = [now - one.recorded for one in work if one.recorded is not None]
    signs += [] if sign is None else [sign]
    seen = max(min(signs), 0.0) if signs else None
    numbers = [trial.number for trial in work]
    return Worker(number, member.host, member.pid, _state(member, sign, lease), seen, numbers)


def _state(member: Member, sign: float | None, lease: float) -> str:
    if member.is_here:
        return member.state
    if sign is None:
        return "elsewhere"
    return "alive" if sign <= lease else "silent"
