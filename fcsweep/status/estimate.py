"""How long a sweep will take, by what its trials have taken until now."""

from __future__ import annotations

from collections.abc import Sequence

from fcsweep.status.standing import Standing, Trial

FEWEST = 8
"""Trials that are looked at, if there are as many."""

Interval = tuple[float, float]


def seconds_left(standing: Standing) -> tuple[float | None, str]:
    """An estimate, or why none can be made.

    The trials that have ended last, and the shares that are done of those that run, say how long
    one takes while several train at once. Times in which nobody worked do not count.
    """
    if standing.state == "ended":
        return 0.0, ""
    if standing.state == "stopped":
        return None, "nobody works on it"
    if standing.to_go is None:
        return None, "how many trials there will be is not known"
    ended = sorted((one for one in standing.done if one.start is not None), key=_end)
    under_way = [one for one in standing.running if one.share and one.start is not None]
    recent = ended[-max(2 * len(standing.running), FEWEST) :]
    done = len(recent) + sum(one.share for one in under_way)
    if not done:
        return None, "no trial has come far enough"
    times = [(one.start or 0.0, one.end or standing.now) for one in [*recent, *under_way]]
    missing = sum(1 - one.share for one in standing.trials if one.is_open)
    return _covered(times) / done * (standing.to_go + missing), ""


def _end(trial: Trial) -> float:
    return trial.end or 0.0


def _covered(intervals: Sequence[Interval]) -> float:
    """Seconds in at least one of the intervals."""
    covered, until = 0.0, float("-inf")
    for start, end in sorted(intervals):
        covered += max(end - max(start, until), 0.0)
        until = max(until, end)
    return covered
