"""The settings of a search, checked: every mistake is found before its folder is made."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hydra.errors import HydraException
from hydra.types import HydraContext
from hydra.utils import get_method
from omegaconf import DictConfig, OmegaConf
from optuna.pruners import BasePruner
from optuna.samplers import BaseSampler

from fcsweep.composition.conditional import OptionKeys
from fcsweep.config import NO_NUMBER, flat
from fcsweep.launchers.protocols import CheckingLoader
from fcsweep.launchers.starters.settings import starter_of
from fcsweep.launchers.starters.starter import Starter
from fcsweep.messages.errors import ConfigError
from fcsweep.messages.secrets import mask
from fcsweep.messages.wording import hint, join, one_line, render
from fcsweep.objectives import direction_of
from fcsweep.search.overrides import place
from fcsweep.search.settings import KEYS, MOVED, OptunaSweeperConf
from fcsweep.search.space import Space, older_space, space_of
from fcsweep.search.study.batches import Extend
from fcsweep.search.study.repeats import AGGREGATES, FOLD, ONCE, Repeats
from fcsweep.search.study.samplers import is_grid, pruner_of, sampler_of, seed_of, set_fields
from fcsweep.search.study.storage import check_url, url_of
from fcsweep.search.study.study import Start
from fcsweep.search.study.targets import fields_of

log = logging.getLogger(__name__)

DIRECTIONS = ("minimize", "maximize")
DUPLICATES = ("train", "reuse")


@dataclass(frozen=True)
class Plan:
    """What a search does."""

    task: DictConfig
    """The config of one of its outermost jobs."""
    space: Space
    sampler: Callable[[int], BaseSampler]
    """From the study's seed."""
    pruner: BasePruner
    start: Start
    n_trials: int
    n_jobs: int
    max_failure_rate: float
    target: float | None
    """At which to stop; None for never."""
    timeout: float | None
    """Seconds."""
    extend: Extend | None
    reuse: bool = False
    """Whether a trial with the point of a completed one takes its value."""
    repeats: Repeats = ONCE
    starter: Starter | None = None
    """Of the workers; None if this process works on it itself."""
    lease: float = OptunaSweeperConf.lease
    patience: float = OptunaSweeperConf.patience
    """Both in seconds."""

    @property
    def starts(self) -> int:
        """How many workers are started; 0 if this process works on it itself."""
        return 0 if self.starter is None else self.starter.count


def plan_of(
    settings: Mapping[str, Any],
    config: DictConfig,
    context: HydraContext,
    arguments: Sequence[str],
) -> Plan:
    """Check the settings of a sweep, and compose its outermost jobs.

    Args:
        settings: ``hydra.sweeper``, as `fcsweep.search.settings.OptunaSweeperConf` has it.
        config: of the sweep.
        context: Hydra's.
        arguments: overrides of the task.

    Raises:
        ConfigError: the first mistake that is found.
        HydraException: a job cannot be composed, such as one with a key that does not exist.
    """
    for group in ("sampler", "pruner"):
        fields_of(group, settings[group])  # refuses what names no option
    check_url(url_of(settings["storage"]))
    _refuse_unknown(settings)
    older = older_space(_mapping(settings, "search_space"))
    asked = space_of({**older, **_mapping(settings, "params")}, arguments, context.config_loader)
    space, task = _compose(asked, config, context)
    seed = seed_of(settings["sampler"])
    n_trials, n_jobs = (_count(name, settings[name]) for name in ("n_trials", "n_jobs"))
    enqueue = space.check(_container(settings["enqueue"]))
    grid = space.grid() if is_grid(settings["sampler"]) else None
    if grid is not None and enqueue:
        raise ConfigError("hydra.sweeper.enqueue is not for the grid sampler, which tries all")
    ours = isinstance(context.config_loader, CheckingLoader)
    values = _flat(task, space, without=NO_NUMBER if ours else ())
    repeats = _repeats(settings, task, space, _folds(task, space) if ours else 1)
    search = _decisive(settings, n_jobs, repeats)
    directions, ahead = _directions(settings, values if ours else {}), _ahead(settings)
    _warn_of_quotes(space)
    return Plan(
        task=task,
        space=space,
        sampler=sampler_of(
            settings["sampler"],
            enqueue if grid is None else grid,
            None if settings["custom_search_space"] else space,  # which may ask for other keys
        ),
        pruner=pruner_of(settings["pruner"]),
        start=Start(
            directions, space.as_json(), values, enqueue, seed, search, _overlaid(space), ahead
        ),
        n_trials=n_trials if grid is None else min(n_trials, len(grid)),
        n_jobs=n_jobs,
        max_failure_rate=_rate(settings["max_failure_rate"]),
        target=_target(values) if settings["stop_at_target"] else None,
        timeout=_timeout(settings["timeout"]),
        extend=_extend(settings["custom_search_space"], config),
        reuse=_reuse(settings.get("duplicates", DUPLICATES[0])),
        repeats=repeats,
        starter=starter_of(config.hydra.launcher),
        **_waits(settings),
    )


def _decisive(settings: Mapping[str, Any], n_jobs: int, repeats: Repeats) -> dict[str, Any]:
    """The settings on which the points depend, beside the space and the seed."""
    groups = [set_fields(group, settings[group]) for group in ("sampler", "pruner")]
    search = {**groups[0], **groups[1], "n_jobs": n_jobs}
    if repeats.count > 1:  # the values depend on them; older studies have none
        search |= {"repeats": repeats.count, "repeats_as": repeats.kind}
    return search


def _refuse_unknown(settings: Mapping[str, Any]) -> None:
    """Refuse a key that would have no effect, with its place of today if it had one."""
    for name in settings.keys() - KEYS:
        given = _container({name: settings[name]})
        key, value = next(iter(flat(given).items()), (name, "{}"))
        last = key.rpartition(".")[2]
        known = MOVED.get(last) or (f"hydra.sweeper.{last}" if last in KEYS else None)
        place = (
            f"; it is {known} now"
            if known
            else hint(last, [f"hydra.sweeper.{one}" for one in KEYS])
        )
        text = mask(f"hydra.sweeper.{key} (given {render(value, key)})")
        raise ConfigError(f"unknown key {text}{place or f'; expected one of {join(sorted(KEYS))}'}")


def _mapping(settings: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    given = {} if settings[key] is None else settings[key]
    if isinstance(given, Mapping):
        return given
    expected = "expected a mapping from key to range, as {x: interval(0,1)}"
    raise ConfigError(f"hydra.sweeper.{key} is {render(_container(given))}; {expected}")


def _warn_of_quotes(space: Space) -> None:
    """A list or a number in quotes is a text here, and was none in hydra-optuna-sweeper."""
    for key, text in list(space.quoted.items())[:1]:
        log.warning(
            f"{join(space.quoted)}: choices in quotes are texts; a list, a number or a truth "
            f"value stands without quotes: {key}={text}"
        )


def _compose(space: Space, config: DictConfig, context: HydraContext) -> tuple[Space, DictConfig]:
    """The space and one of its jobs; where some options lack a key, those trials go without it."""
    try:
        return space, _outermost(space, config, context)
    except (HydraException, ConfigError):
        by_options = space.by_options(OptionKeys(context.config_loader, config))
        if not by_options.conditional:
            raise
        return by_options, _outermost(by_options, config, context)


def _outermost(space: Space, config: DictConfig, context: HydraContext) -> DictConfig:
    """The config of the last job of those that hold every bound and every choice.

    A key or a value that the task's config refuses is found by composing them.
    """
    load = context.config_loader.load_sweep_config
    return [load(config, space.overrides(corner)) for corner in space.corners()][-1]


def _flat(task: DictConfig, space: Space, without: Sequence[str]) -> dict[str, Any]:
    """The task's config by its dotted keys, without what is searched, and without some keys."""
    plain: Any = OmegaConf.to_container(task, resolve=False)
    plain.pop("hydra", None)
    searched = [place(key) for key in space.distributions]
    return {
        key: _without_secret(key, value) if isinstance(value, str) else value
        for key, value in flat(plain).items()
        if not any(key == one or key.startswith(f"{one}.") for one in (*searched, *without))
    }


def _overlaid(space: Space) -> dict[str, str]:
    """The fixed values of a searched group, which `_flat` leaves out with it."""
    groups = [f"{place(key)}." for key in space.distributions]
    return {
        key: _without_secret(key, line.partition("=")[2])
        for key, line in space.fixed.items()
        if place(key).startswith(tuple(groups))
    }


def _without_secret(key: str, value: str) -> str:
    return mask(f"{key}={value}").removeprefix(f"{key}=")


def _directions(settings: Mapping[str, Any], ours: Mapping[str, Any]) -> list[str]:
    """The direction of each value: that of our own objective where none is given."""
    given = settings["direction"]
    given = direction_of(ours["objective"]) if given is None and "objective" in ours else given
    several = _container(given) if OmegaConf.is_list(given) else [given]
    names = [getattr(one, "name", str(one)).lower() for one in several]
    for name in names:
        if name not in DIRECTIONS:
            expected = f"expected minimize or maximize{hint(name, DIRECTIONS)}"
            raise ConfigError(f"hydra.sweeper.direction is {render(name)}; {expected}")
    if not names:
        raise ConfigError("hydra.sweeper.direction is an empty list; expected a direction each")
    return names


def _folds(task: DictConfig, space: Space) -> int:
    """On how many folds each trial is trained: all that ``data.folds`` makes; 1 without it."""
    folds = OmegaConf.select(task, "data.folds")
    if folds is None:
        return 1
    given = f"data.folds is {folds}, and a search trains every trial on each fold"
    for key in (*space.distributions, *space.fixed):
        if place(key) == FOLD:
            raise ConfigError(f"{given}; leave {FOLD} out")
    if "data.folds" in map(place, space.distributions):
        raise ConfigError("data.folds is searched; give it one value")
    return int(folds)


def _repeats(settings: Mapping[str, Any], task: DictConfig, space: Space, folds: int) -> Repeats:
    """How often a trial is trained: with the ``seed`` of the config, and those that follow it."""
    count, kind = _count("repeats", settings["repeats"]), settings["repeats_as"]
    if kind not in AGGREGATES:
        expected = f"expected {', '.join(AGGREGATES)}{hint(str(kind), AGGREGATES)}"
        raise ConfigError(f"hydra.sweeper.repeats_as is {render(kind)}; {expected}")
    if count == 1:
        return ONCE if folds == 1 else Repeats(folds, kind, folds=folds)
    given = f"hydra.sweeper.repeats is {count}"
    if any(place(key) == "seed" for key in space.distributions):
        raise ConfigError(f"{given}, but seed is searched; give it one value or leave it out")
    seed = task.get("seed")
    if isinstance(seed, bool) or not isinstance(seed, int):
        raise ConfigError(f"{given}, but seed is {render(seed)}; repeats need a whole number there")
    keys = [key for key in space.fixed if place(key) == "seed"]
    return Repeats(count * folds, kind, keys[0] if keys else "seed", seed, folds)


def _count(name: str, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        given = f"hydra.sweeper.{name} is {render(value)}"
        raise ConfigError(f"{given}; expected a whole number >= 1")
    return value


def _ahead(settings: Mapping[str, Any]) -> int | None:
    value = settings.get("ahead")
    return None if value is None else _count("ahead", value)


def _rate(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        given = f"hydra.sweeper.max_failure_rate is {render(value)}"
        raise ConfigError(f"{given}; expected a fraction in [0, 1]")
    return float(value)


def _reuse(value: Any) -> bool:
    if value not in DUPLICATES:
        given = f"hydra.sweeper.duplicates is {render(value)}"
        raise ConfigError(f"{given}; expected train or reuse{hint(str(value), DUPLICATES)}")
    return value == "reuse"


def _timeout(value: Any) -> float | None:
    if value is None or (isinstance(value, int | float) and value > 0 and math.isfinite(value)):
        return value
    raise ConfigError(f"hydra.sweeper.timeout is {render(value)}; expected seconds > 0 or null")


def _waits(settings: Mapping[str, Any]) -> dict[str, float]:
    least = {"lease": "> 0", "patience": ">= 0"}
    return {name: _seconds(name, settings[name], told) for name, told in least.items()}


def _seconds(name: str, value: Any, least: str) -> float:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if number and math.isfinite(value) and (value > 0 or (value == 0 and least == ">= 0")):
        return float(value)
    raise ConfigError(f"hydra.sweeper.{name} is {render(value)}; expected seconds {least}")


def _target(task: Mapping[str, Any]) -> float:
    target = task.get("target")
    if isinstance(target, bool) or not isinstance(target, int | float):
        raise ConfigError(
            f"hydra.sweeper.stop_at_target is true, but target is {render(target)}; give it a "
            "number by target=..."
        )
    return float(target)


def _extend(path: str | None, config: DictConfig) -> Extend | None:
    """``custom_search_space``: a function that asks the trial for more parameters."""
    if path is None:
        return None
    try:
        configure = get_method(path)
    except Exception as error:  # of an import of the user's code
        text = f"hydra.sweeper.custom_search_space is {path}: {one_line(error)}"
        raise ConfigError(text) from error
    return lambda trial: configure(config, trial)


def _container(node: Any) -> Any:
    if isinstance(node, dict):
        return {key: _container(value) for key, value in node.items()}
    return OmegaConf.to_container(node, resolve=True) if OmegaConf.is_config(node) else node
