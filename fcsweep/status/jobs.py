"""Where a sweep stands by the records of its jobs."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import lru_cache
from math import prod
from pathlib import Path
from typing import Any

import yaml

from fcsweep.config import read as read_yaml
from fcsweep.messages.errors import ConfigError
from fcsweep.objectives import digits_of, sign_of
from fcsweep.records.filenames import CONFIG, RESULT, jobs_of
from fcsweep.status.standing import Standing, Trial
from fcsweep.status.workers import living
from fcsweep.system.bounded import SafeLoader, check_bounds, read_bounded
from fcsweep.system.crew import on_roll

LARGEST = 1_000_000  # bytes of a record
OVERRIDES = ".hydra/overrides.yaml"


@dataclass(frozen=True)
class Asked:
    """What the jobs of a grid are, by its command."""

    constant: frozenset[str] = frozenset()
    """The keys of the overrides that all of them have."""
    swept: frozenset[str] = frozenset()
    """The keys in which they differ."""
    total: int | None = None
    """How many combinations there are."""


def by_records(folder: Path, config: Mapping[str, Any], **more: Any) -> Standing:
    """Where a sweep stands by the records of its jobs.

    Args:
        folder: of the sweep.
        config: as `asked` returns it.
        more: of a search: what `Standing` has it for; ``size``, the jobs of a batch.
    """
    now, members, jobs = time.time(), on_roll(folder), jobs_of(folder)
    trials, command = [job(path, int(path.name)) for path in jobs], _asked(config)
    total = next((one.total for one in members if one.total is not None), None)
    if total is None and not any(_lacks_a_key(path, command.swept) for path in jobs):
        total = command.total
    best, digits = _best(trials)
    size = more.pop("size", 1)
    standing = Standing(
        name=folder.resolve().name,
        kind=more.pop("kind", "grid"),
        folder=folder,
        total=more.pop("total", total),
        trials=trials,
        workers=living([(one, None) for one in members], trials, size, now),
        now=now,
        best=best if best is None else _with_params(best, folder, command.constant),
        digits=digits,
        **more,
    )
    running = {one.number: one for one in standing.running}
    named = {n: _with_params(one, folder, command.constant) for n, one in running.items()}
    return replace(standing, trials=[named.get(one.number, one) for one in trials])


def _best(trials: Sequence[Trial]) -> tuple[Trial | None, str]:
    """The best that has ended, and how a value is shown; none if they are not judged alike."""
    ended = [one for one in trials if not one.is_open and one.value is not None]
    names = {one.objective for one in ended}
    signs = {sign_of(name) for name in names}
    if len(signs) != 1:
        return None, digits_of(None)
    (sign,) = signs
    best = max(ended, key=lambda one: (sign * (one.value or 0.0), -one.number))
    return best, digits_of(best.objective)


def job(folder: Path, number: int) -> Trial:
    """What the record of a job says, and the epochs that its config asks for if it runs."""
    found, written = _record(folder / RESULT)
    status = str(found.get("status", "missing"))
    trial = Trial(number, status, recorded=written)
    trial = replace(trial, value=_number(found.get("value")), epoch=_count(found.get("epochs")))
    trial = replace(trial, objective=str(found.get("objective")))
    if written is not None:
        trial = replace(trial, start=written - (_number(found.get("seconds")) or 0.0))
    if trial.is_open:
        return replace(trial, epochs=_num_epochs(folder / CONFIG))
    return replace(trial, end=written, value=None if status == "failed" else trial.value)


def _record(path: Path) -> tuple[Mapping[str, Any], float | None]:
    """A record and when it was written; ``damaged`` where it cannot be read."""
    try:
        written = path.stat().st_mtime
        found = json.loads(read_bounded(path, LARGEST))
        assert isinstance(found, dict)
    except FileNotFoundError:
        return {}, None
    except (OSError, ValueError, AssertionError, RecursionError):
        return {"status": "damaged"}, None
    return found, written


@lru_cache(10_000)  # a config does not change
def _epochs_of(path: Path) -> int | None:
    return _count(read_yaml(path)["solver"]["num_epochs"])


def _num_epochs(path: Path) -> int | None:
    try:
        return _epochs_of(path)
    except (ConfigError, OSError, KeyError, TypeError):  # of another app, or not written yet
        return None


def _with_params(trial: Trial, folder: Path, constant: frozenset[str]) -> Trial:
    """A job with the overrides in which it differs from others."""
    parted = (line.partition("=") for line in _overrides(folder / str(trial.number)))
    params = {key: value for key, _, value in parted if key not in constant}
    return replace(trial, params=params)


@lru_cache(10_000)
def _overrides(job: Path) -> Sequence[str]:
    try:
        text = read_bounded(job / OVERRIDES, LARGEST)
        check_bounds(text)
        lines: Any = yaml.load(text, SafeLoader)  # noqa: S506  it is the safe one
    except (OSError, ValueError, yaml.YAMLError):
        return ()
    return [str(line) for line in lines] if isinstance(lines, list) else ()


def _asked(config: Mapping[str, Any]) -> Asked:
    from hydra.core.override_parser.overrides_parser import OverridesParser

    params = (config.get("sweeper") or {}).get("params") or {}
    lines = [f"{key}={value}" for key, value in params.items()]
    lines += (config.get("overrides") or {}).get("task") or []
    if not config:
        return Asked()
    with suppress(Exception):  # of Hydra, for what it cannot read without the whole config
        parsed = {one.key_or_group: one for one in OverridesParser.create().parse_overrides(lines)}
        swept = {key: one for key, one in parsed.items() if one.is_sweep_override()}
        lines = [str(one.input_line) for key, one in parsed.items() if key not in swept]
        constant = frozenset(line.partition("=")[0] for line in lines)
        total = prod(len(list(one.sweep_iterator())) for one in swept.values())
        return Asked(constant, frozenset(swept), total)
    return Asked()


def _lacks_a_key(job: Path, swept: frozenset[str]) -> bool:
    """Whether a job goes without a key that applies to others only."""
    lines = _overrides(job)
    return bool(lines) and not swept <= {line.partition("=")[0].lstrip("+") for line in lines}


def _number(value: object) -> float | None:
    is_one = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if is_one else None  # type: ignore[arg-type]


def _count(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None
