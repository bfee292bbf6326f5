"""Where a sweep stands, as lines of 80 columns."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from fcsweep.messages.wording import printable, render
from fcsweep.status.estimate import seconds_left
from fcsweep.status.standing import Standing, Trial

WIDTH = 80
SHOWN = 20
"""Workers, and running trials, that are listed."""


def lines(standing: Standing) -> list[str]:
    """What is shown of it."""
    told = [_title(standing), *_counts(standing), *_best(standing), *standing.remarks]
    told += _workers(standing)
    told += _running(standing)
    return [_cut(printable(line)) for line in told]


def _title(standing: Standing) -> str:
    where = f" in {standing.folder}" if standing.folder is not None else ""
    return f"{standing.kind} {standing.name}: {standing.state}{where}"


def _counts(standing: Standing) -> Iterator[str]:
    known = "" if standing.total is None else f" of {standing.total}"
    what = {"search": "trials", "grid": "jobs", "run": "run"}[standing.kind]
    states = ", ".join(f"{count} {status}" for status, count in standing.counts.items())
    yield f"done     {len(standing.done)}{known} {what}" + (f": {states}" if states else "")
    others = {"running": len(standing.running), "to go": standing.to_go}
    others |= {"that no worker works on": standing.left}
    open_ = [f"{count} {name}" for name, count in others.items() if count]
    if open_:
        yield f"open     {', '.join(open_)}"
    if standing.state != "ended":
        yield f"time     {_time(standing)}"


def _time(standing: Standing) -> str:
    seconds, why = seconds_left(standing)
    if seconds is None:
        return f"cannot be told: {why}"
    sooner = f"; less if {standing.target:g} is reached" if standing.target is not None else ""
    return f"about {duration(seconds)} left{sooner}"


def _best(standing: Standing) -> Iterator[str]:
    if (best := standing.best) is not None:
        name = "" if standing.kind == "run" else f"trial {best.number}, "
        params = f" ({_params(best.params)})" if best.params else ""
        yield f"best     {name}{_value(best, standing)}{params}"


def _workers(standing: Standing) -> Iterator[str]:
    if not standing.workers:
        return
    yield ""
    yield f"{'worker':>6}  {'machine':<20}  {'process':>8}  {'':<9}  {'last sign':<12}  works on"
    for one in standing.workers[:SHOWN]:
        seen = "-" if one.seen is None else f"{duration(one.seen)} ago"
        work = _numbers(one.work) if one.work else "nothing yet"
        who = f"{one.number:>6}  {one.host[:20]:<20}  {one.pid:>8}  {one.state:<9}"
        yield f"{who}  {seen:<12}  {work}"
    yield from _more(len(standing.workers))


def _running(standing: Standing) -> Iterator[str]:
    trials = standing.running
    if not trials or standing.kind == "run":
        return
    yield ""
    yield f"{'trial':>6}  {'epoch':>10}  {'value':>8}  {'worker':>6}  parameters"
    for one in trials[:SHOWN]:
        worker = next(worker for worker in standing.workers if one.number in worker.work)
        epoch = "-" if one.epoch is None else f"{one.epoch}"
        epoch += f" of {one.epochs}" if None not in (one.epoch, one.epochs) else ""
        what = f"{one.number:>6}  {epoch:>10}  {_value(one, standing):>8}  {worker.number:>6}"
        yield f"{what}  {_params(one.params)}".rstrip()
    yield from _more(len(trials))


def _more(count: int) -> Iterator[str]:
    if count > SHOWN:
        yield f"        and {count - SHOWN} more"


def _value(trial: Trial, standing: Standing) -> str:
    return "-" if trial.value is None else f"{trial.value:{standing.digits}}"


def _params(params: Mapping[str, Any]) -> str:
    """``learning_rate 0.3, weight_scale 0.01``: keys by their last part, floats short."""
    return ", ".join(f"{key.rpartition('.')[2]} {_param(one)}" for key, one in params.items())


def _param(value: Any) -> str:
    if isinstance(value, str):
        return value
    return f"{value:.4g}" if isinstance(value, float) else render(value)


def _numbers(numbers: Sequence[int]) -> str:
    """``16 to 23``, or ``16, 18``."""
    if len(numbers) > 2 and numbers[-1] - numbers[0] == len(numbers) - 1:
        return f"{numbers[0]} to {numbers[-1]}"
    return ", ".join(map(str, numbers))


def duration(seconds: float) -> str:
    """``40 s``, ``12 min``, ``3 h 20 min``, ``2 d 4 h``."""
    minutes = round(seconds / 60)
    if seconds < 99.5:
        return f"{seconds:.0f} s"
    if minutes < 60:
        return f"{minutes} min"
    hours = minutes // 60
    return f"{hours} h {minutes % 60} min" if hours < 48 else f"{hours // 24} d {hours % 24} h"


def _cut(line: str) -> str:
    return line if len(line) <= WIDTH else f"{line[: WIDTH - 3]}..."
