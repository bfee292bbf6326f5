"""What is checked before a run or a sweep starts: a mistake costs one line and trains nothing."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.types import HydraContext
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from fcsweep.cli.swept_settings import refuse_swept_settings
from fcsweep.composition.conditional import applying
from fcsweep.composition.loader import STAMP
from fcsweep.composition.secrets import overrides_of
from fcsweep.config import CustomConfig, RunConfig, TorchConfig, conditional_keys, flat, typed
from fcsweep.config.import_paths import import_paths
from fcsweep.launchers.protocols import CheckingLoader, GridSweeper, PlanningSweeper
from fcsweep.launchers.starters.command import is_worker
from fcsweep.messages.errors import ConfigError
from fcsweep.messages.wording import join
from fcsweep.objectives import direction_of
from fcsweep.records import ownership
from fcsweep.system.signals import held_back
from fcsweep.trackers.tracker import require


def require_device(config: RunConfig) -> None:
    """Refuse a GPU that this machine does not have; imports torch only if one is asked for.

    Raises:
        DeviceError: ``device`` names a GPU that torch cannot use.
    """
    if config.device.startswith("cuda"):
        with held_back():
            from fcsweep.run import device_of

        device_of(config.device)


def require_own_code(configs: Iterable[RunConfig]) -> None:
    """Import what the configs name by import path, each once.

    Raises:
        ConfigError: A path leads to nothing that does.
    """
    tried = set[str]()
    for config in configs:
        if not import_paths(config):
            continue
        with held_back():  # imports torch: not for other rules
            from fcsweep.run.own_code import custom_net, custom_rule

        if isinstance(config.optimizer, CustomConfig):
            custom_rule(config)
        if isinstance(config.model, TorchConfig) and repr(config.model) not in tried:
            custom_net([config], config.data.inputs, config.data.classes)
            tried.add(repr(config.model))


def require_trackers(config: RunConfig) -> None:
    """Refuse trackers whose package is not installed.

    Raises:
        ConfigError: One of ``tracker``.
    """
    require(config.tracker or ())


def require_data(configs: Iterable[RunConfig]) -> None:
    """Refuse data that are not on this machine and cannot be downloaded, each set once.

    Raises:
        DataError: One of the data sets is missing.
    """
    datas: list[Any] = [one.data for one in configs if hasattr(one.data, "root")]
    sets = {(data.name, data.root) for data in datas}
    for name, root in sorted(sets, key=repr):
        with held_back():  # imports torch: not where data are built in
            from fcsweep.data import require

        require(name, root=root)


def check_grid(sweeper: Any, cfg: DictConfig, context: HydraContext) -> list[RunConfig] | None:
    """The configs of all jobs of a grid, in order; None if the sweeper is another one.

    Hydra's grid sweeper makes its folder before it looks at the jobs; here they come first.
    """
    if not isinstance(sweeper, GridSweeper):
        return None
    parsed = parsed_grid(sweeper, cfg, context)
    (jobs,) = sweeper.split_arguments(parsed, None)
    if conditional_keys() & {override.key_or_group for override in parsed}:
        jobs = applying(context.config_loader, cfg, jobs)
    configs = _checked_jobs(cfg, context, jobs)
    for config in () if elsewhere(cfg) else configs:
        require_device(config)
        require_trackers(config)
    require_own_code(() if elsewhere(cfg) else configs)
    size = sweeper.max_batch_size or len(jobs)
    batches = [jobs[start : start + size] for start in range(0, len(jobs), size)]
    sweeper.split_arguments = lambda overrides, max_batch_size: batches
    sweeper.validate_batch_is_legal = lambda batch: None  # it would compose every job once more
    return configs


def parsed_grid(sweeper: GridSweeper, cfg: DictConfig, context: HydraContext) -> list[Override]:
    """The overrides of a grid, those of its config first.

    Raises:
        ConfigError: One of them is no grid, or the grid is handed over in batches of no job.
    """
    params = [f"{key}={value}" for key, value in (sweeper.params or {}).items()]
    arguments = [*params, *cfg.hydra.overrides.task]
    parsed = OverridesParser.create(context.config_loader).parse_overrides(arguments)
    for override in parsed:
        if override.is_sweep_override() and not override.is_discrete_sweep():
            what = f"{override.input_line} is a range to search"
            raise ConfigError(f"{what}; add hydra/sweeper=optuna (a grid takes values: a,b,c)")
    if sweeper.max_batch_size is not None and sweeper.max_batch_size < 1:
        given = f"hydra.sweeper.max_batch_size is {sweeper.max_batch_size}"
        raise ConfigError(f"{given}; expected a whole number >= 1 or null")
    _refuse_empty(parsed)
    return parsed


def _checked_jobs(
    cfg: DictConfig, context: HydraContext, jobs: Sequence[list[str]]
) -> list[RunConfig]:
    """The configs of jobs, by their overrides; they differ in nothing that is the sweep's."""
    loader = context.config_loader
    assert isinstance(loader, CheckingLoader)
    configs = [loader.check_job(cfg, job) for job in jobs]
    refuse_swept_settings(loader, cfg, jobs)
    return configs


def elsewhere(cfg: DictConfig) -> bool:
    """Whether the jobs run on other machines, with GPUs and data of their own."""
    launcher = str(cfg.hydra.runtime.choices.get("hydra/launcher"))
    return ("slurm" in launcher or launcher == "ray") and not is_worker()


def check_search(sweeper: Any, cfg: DictConfig, context: HydraContext) -> bool:
    """Whether the sweeper is ours for Optuna; if so its settings are checked, and its device.

    Raises:
        ConfigError: A mistake in them; nothing was made.
    """
    if not isinstance(sweeper, PlanningSweeper):
        return False
    sweeper.planned = sweeper.plan(list(cfg.hydra.overrides.task))
    if not sweeper.planned.space.distributions and sweeper.planned.extend is None:
        example = "optimizer.learning_rate='tag(log,interval(1e-3,1))'"
        raise ConfigError(f"hydra/sweeper=optuna has nothing to search; give a range: {example}")
    config = typed(sweeper.planned.task)
    require_device(config)
    require_trackers(config)
    space = sweeper.planned.space
    jobs = _checked_jobs(cfg, context, [*map(space.overrides, space.corners())])
    for objective in dict.fromkeys([config.objective, *(job.objective for job in jobs)]):
        _refuse_direction(sweeper.planned.start.directions, objective)
    require_own_code(() if elsewhere(cfg) else jobs)
    sweeper.prepare = None if elsewhere(cfg) else partial(require_data, jobs)
    if sys.stdout.isatty():
        from fcsweep.terminal.search_view import LiveProgress  # imports optuna, as the plan did

        sweeper.display = LiveProgress
    return True


def _refuse_direction(directions: Sequence[str], objective: str) -> None:
    """Refuse to look for the worst value, as a config that was copied may ask."""
    right = direction_of(objective)
    if list(directions) != [right]:
        given, end = f"hydra.sweeper.direction is {join(directions)}", right == "maximize"
        raise ConfigError(f"{given}; expected {right}: {objective} is to be {['low', 'high'][end]}")


def _refuse_empty(parsed: Sequence[Override]) -> None:
    """A glob that matches nothing would silently be a sweep of nothing."""
    for override in parsed:
        if override.is_sweep_override() and not list(override.sweep_iterator()):
            raise ConfigError(f"{override.input_line} matches nothing; expected at least one value")


def refuse_other_folder(cfg: DictConfig, given: str, used: str, what: str) -> None:
    """Refuse a folder that would silently not be used, unless the one that is used is named too."""
    lines = {line.lstrip("+").partition("=")[0]: line for line in overrides_of(cfg)}
    if given in lines and used not in lines:
        raise ConfigError(f"{lines[given]} has no effect here; {what} is {used}")


def refuse_lone_sweep(cfg: DictConfig) -> None:
    """An experiment that is a sweep, started as one run, would silently be something else."""
    sweeper = cfg.hydra.sweeper
    if sweeper is not None and sweeper.get("params"):
        keys = ", ".join(sweeper.params)
        raise ConfigError(f"hydra.sweeper.params is a sweep over {keys}; add -m")


@contextmanager
def name_missing_values(cfg: DictConfig, *nodes: str) -> Iterator[None]:
    """Name the key whose value is not there, such as one that asks the environment in vain.

    Raises:
        ConfigError: There is one in these nodes.
    """
    try:
        yield
    except OmegaConfBaseException:
        for node in nodes:
            values: Any = OmegaConf.to_container(OmegaConf.select(cfg, node), resolve=False)
            for key in flat(values, f"{node}."):
                _value(cfg, key)
        raise


def _value(cfg: DictConfig, key: str) -> Any:
    try:
        return OmegaConf.select(cfg, key)
    except OmegaConfBaseException as error:
        why = str(error).splitlines()[0].rpartition("interpolation: ")[2].strip('"')
        raise ConfigError(f"{key} has no value: {why}") from error


def folder_of(cfg: DictConfig, key: str) -> tuple[Path, list[Path]]:
    """The folder that ``cfg`` names under ``key``; if it has a stamp of ours, made, and by us.

    Also the folders that were made for it, innermost first.
    """
    group, _, name = key.rpartition(".")
    raw: Any = OmegaConf.to_container(OmegaConf.select(cfg, group), resolve=False)
    while True:
        folder = Path(str(_value(cfg, key)))
        if f"${{{STAMP}:" not in str(raw[name]):
            return folder, []
        if made := ownership.make(folder, key):
            return folder, made
        OmegaConf.clear_cache(cfg)  # another start had the same stamp: draw again
