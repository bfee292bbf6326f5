"""Hydra's own settings in the options of a sweep, as an experiment has them that is a search.

Where ``experiment`` is one of the values of a sweep, each job is composed with the settings of its
experiment, but Hydra sweeps, launches and logs by those of the sweep: a search would be one run,
and ``hydra.sweep.dir`` a folder in which nobody looks.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from hydra.core.config_loader import ConfigLoader
from omegaconf import DictConfig, OmegaConf

from fcsweep.composition.conditional import OptionKeys
from fcsweep.config import flat
from fcsweep.messages.errors import ConfigError
from fcsweep.messages.wording import join

OF_THE_JOB = ("job.name", "job_logging", "verbose")
"""Settings that each job has for itself."""
OF_OTHER_STARTS = ("run", "mode", "help", "hydra_help")
"""Settings that no sweep has a use for."""
OF_HYDRA = ("runtime", "overrides", "job.override_dirname", "job.config_name", "job.num", "job.id")
"""What Hydra notes of each job."""
MAY_DIFFER = (*OF_THE_JOB, *OF_OTHER_STARTS, *OF_HYDRA)

PLUGINS = ("sweeper", "launcher")
MOST = 3
"""Settings that are named."""
ABSENT = object()


def refuse_swept_settings(
    loader: ConfigLoader, master: DictConfig, jobs: Sequence[Sequence[str]]
) -> None:
    """Refuse options that set what all jobs of a sweep have in common.

    Raises:
        ConfigError: An option is a sweep of its own, or has another launcher, folder, environment.
    """
    keys = OptionKeys(loader, master)
    sets = {tuple(filter(keys.chooses, job)): job for job in reversed(jobs)}
    of_all = set.intersection(*map(set, sets)) if len(sets) > 1 else set()
    for choices, job in reversed(sets.items()):
        found = list(_settings(master, loader.load_sweep_config(master, list(job))))
        if not found:
            continue
        given = " ".join(line for line in choices if line not in of_all)
        more = f" and {len(found) - MOST} more" if len(found) > MOST else ""
        told, alone = f"{join(found[:MOST])}{more}", f"start it by itself: -m {given}"
        if any(name.startswith(("hydra.sweeper", "hydra/sweeper")) for name in found):
            raise ConfigError(f"{given} is a sweep of its own ({told}); {alone}")
        raise ConfigError(f"{given} sets {told}, which is the same for a whole sweep; {alone}")


def _settings(master: DictConfig, job: DictConfig) -> Iterator[str]:
    """The settings of a job that differ from those of its sweep and may not."""
    chosen = [part for part in PLUGINS if _choice(master, part) != _choice(job, part)]
    yield from (f"hydra/{part}={_choice(job, part)}" for part in chosen)
    keys = [key for key in _different(master, job) if not _is_one(key, (*chosen, *MAY_DIFFER))]
    yield from dict.fromkeys(".".join(["hydra", *key.split(".")[:2]]) for key in keys)


def _choice(cfg: DictConfig, part: str) -> str | None:
    return cfg.hydra.runtime.choices.get(f"hydra/{part}")


def _different(one: DictConfig, other: DictConfig) -> list[str]:
    """The dotted keys in Hydra's node of the values that are not the same."""
    ours: Any = flat(OmegaConf.to_container(one.hydra, resolve=False))  # type: ignore[arg-type]
    theirs: Any = flat(OmegaConf.to_container(other.hydra, resolve=False))  # type: ignore[arg-type]
    keys = dict.fromkeys([*ours, *theirs])
    different = [key for key in keys if ours.get(key, ABSENT) != theirs.get(key, ABSENT)]
    return [key for key in different if _answer(one, key) != _answer(other, key)]


def _answer(cfg: DictConfig, key: str) -> Any:
    """A value in Hydra's node; jobs get the answer where the sweep has ``${oc.env:...}``."""
    return OmegaConf.select(cfg.hydra, key, default=ABSENT, throw_on_resolution_failure=False)


def _is_one(key: str, parts: Sequence[str]) -> bool:
    return any(f"{key}.".startswith(f"{part}.") for part in parts)
