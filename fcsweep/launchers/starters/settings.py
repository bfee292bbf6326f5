"""The starter that ``hydra.launcher`` asks for: its keys, checked."""

from __future__ import annotations

import math
from typing import Any

from omegaconf import OmegaConf

from fcsweep.launchers.starters.command import is_worker
from fcsweep.launchers.starters.local import Local, gpus_here
from fcsweep.launchers.starters.ray import Ray, Share
from fcsweep.launchers.starters.slurm import Resources, Slurm
from fcsweep.launchers.starters.starter import Starter
from fcsweep.messages.errors import ConfigError
from fcsweep.messages.wording import render

KEY = "hydra.launcher"
OPTIONS = {"SlurmLauncher": "slurm", "RayLauncher": "ray"}
"""Of ``hydra/launcher``, by the last name of ``_target_``: those with a starter of their own."""


def starter_of(launcher: Any) -> Starter | None:
    """The starter of a sweep's workers; None if this process is the only one, or one of them.

    Args:
        launcher: Hydra's node of it.

    Raises:
        ConfigError: a key of it has a value that it cannot have, or what would start them is not
            on this machine.
    """
    option = OPTIONS.get(str(launcher.get("_target_")).rpartition(".")[2])
    count = _workers(launcher, auto=option is None)
    if is_worker():
        return None
    if option == "slurm":
        return Slurm(count, f"hydra/launcher is {option}", _resources(launcher))
    if option == "ray":
        return Ray(count, f"hydra/launcher is {option}", _share(launcher))
    return Local(count, f"{KEY}.workers is {count}") if count > 1 else None


def refuse_in_starting_process(name: str) -> None:
    """Refuse jobs that would run in the process that is to start workers.

    Args:
        name: of the launcher's class.

    Raises:
        ConfigError: this process is no worker.
    """
    if not is_worker():
        raise ConfigError(
            f"hydra/launcher is {OPTIONS[name]}, which is for searches and for fcsweep's own "
            "grids; expected hydra/sweeper=optuna, for a grid with hydra/sweeper/sampler=grid"
        )


def _resources(launcher: Any) -> Resources:
    additional = launcher.get("additional")
    if not OmegaConf.is_dict(additional):
        raise ConfigError(f"{KEY}.additional is {render(additional)}; expected options of sbatch")
    minutes, partition = launcher.get("minutes"), launcher.get("partition")
    return Resources(
        partition=None if partition is None else str(partition),
        gpus=_whole(launcher, "gpus", least=0),
        cpus=_whole(launcher, "cpus"),
        minutes=None if minutes is None else _whole(launcher, "minutes"),
        additional={str(name): value for name, value in additional.items()},
    )


def _share(launcher: Any) -> Share:
    numbers = {name: _number(launcher, name) for name in ("num_cpus", "num_gpus")}
    return Share(str(launcher.get("address")), **numbers)


def _number(launcher: Any, name: str) -> float:
    given = launcher.get(name)
    if isinstance(given, int | float) and not isinstance(given, bool) and 0 <= given < math.inf:
        return given
    raise ConfigError(f"{KEY}.{name} is {render(given)}; expected a number >= 0")


def _workers(launcher: Any, auto: bool) -> int:
    """``hydra.launcher.workers``; one for a launcher without that key."""
    if launcher.get("workers", 1) == "auto" and auto:
        return max(len(gpus_here()), 1)
    return _whole(launcher, "workers", other="auto or " if auto else "")


def _whole(launcher: Any, name: str, least: int = 1, other: str = "") -> int:
    given = launcher.get(name, 1)
    if isinstance(given, int) and not isinstance(given, bool) and given >= least:
        return given
    expected = f"expected {other}a whole number >= {least}"
    raise ConfigError(f"{KEY}.{name} is {render(given)}; {expected}")
