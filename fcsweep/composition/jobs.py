"""Jobs of a sweep, composed from one reading of the YAML for each set of group choices.

Hydra reads and merges the same files for every job, which takes far longer than a small net does to
train. Where a job's overrides only choose options of groups and set values that are there, what
Hydra composes from the choices alone is copied and the values are set in the copy. Anything else
(``+``, ``~``, ``@package``, ``hydra.``, interpolations) is Hydra's to compose.
"""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast

from hydra._internal.config_loader_impl import get_overrides_dirname
from hydra.core.override_parser.types import Override, OverrideType
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf, open_dict

from fcsweep.composition.job_files import JobFiles, Texts
from fcsweep.config import RunConfig, flat, typed
from fcsweep.config.allowed import Measured

WITH_DATA = ("objective", "target", "model.loss_function", "solver.batch_size")
"""Keys that have to fit the data, and are composed with them."""

Compose = Callable[[str | None, list[str]], DictConfig]
"""Hydra's own composing, of a primary config and overrides."""


def settle(cfg: DictConfig) -> None:
    """Replace values by the checked ones: numbers of their fields' types, paths absolute.

    So the saved config has no interpolation and means the same from any folder. A table is read,
    because its sizes are part of the config.

    Raises:
        ConfigError: As `typed`.
        DataError: The table cannot be trained on.
    """
    config = typed(cfg)
    if isinstance(config.data, Measured) and config.data.sizes is None:
        from fcsweep.data.choice import measured  # imports torch: not for other data

        config = measured(config)
    with open_dict(cfg):
        for key, value in asdict(config).items():
            cfg[key] = value


@dataclass(frozen=True)
class Base:
    """What Hydra composes from group choices, the keys of the data and `WITH_DATA` alone."""

    keys: frozenset[str]
    """Of the values that a job may set, dotted."""
    task: bytes
    """The task's own part, a pickled mapping."""
    whole: bytes
    """All of it, settled, pickled: a copy by way of bytes takes a fifth of a deep copy's time."""
    files: JobFiles


class ComposedOnce:
    """The configs of jobs, made from what was composed once from their group choices.

    Args:
        compose: makes what is not there yet.
        parse: an override from its line.
        is_group: whether a key names a config group.
    """

    def __init__(
        self,
        compose: Compose,
        parse: Callable[[str], Override],
        is_group: Callable[[str], bool],
    ) -> None:
        self._compose, self._parse, self._is_group = compose, parse, is_group
        self._lines: dict[str, Override] = {}
        self._groups: dict[str, bool] = {}
        self._bases: dict[tuple[str | None, ...], Base | None] = {}
        self._configs: dict[tuple[str, ...], RunConfig] = {}

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_configs": {}}  # the process of a job needs none of the others

    def checked(self, master: DictConfig, lines: Sequence[str]) -> RunConfig | None:
        """The checked values of a job; None where only Hydra can compose it.

        Args:
            master: of the sweep.
            lines: the overrides of the job.

        Raises:
            ConfigError: As `typed`.
        """
        found = self._locate(master, lines)
        return None if found is None else self._check(lines, *found)

    def _check(self, lines: Sequence[str], base: Base, values: Sequence[Override]) -> RunConfig:
        """Check each job once and cache its config."""
        key = tuple(lines)
        if key not in self._configs:
            self._configs[key] = _check(base, values)
        return self._configs[key]

    def job(self, master: DictConfig, lines: Sequence[str]) -> DictConfig | None:
        """The same as Hydra's ``load_sweep_config`` would return it."""
        found = self._locate(master, lines)
        if found is None:
            return None
        base, values = found
        checked = flat(asdict(self._check(lines, base, values)))
        cfg: DictConfig = pickle.loads(base.whole)  # noqa: S301  pickled below
        for override in values:
            OmegaConf.update(cfg, override.key_or_group, checked[override.key_or_group])
        hydra = cfg.hydra
        hydra.overrides.task = list(lines)
        hydra.runtime.cwd = os.getcwd()
        hydra.job.override_dirname = self._dirname(master, lines)
        OmegaConf.copy_cache(from_config=master, to_config=cfg)
        return cfg

    def _dirname(self, master: DictConfig, lines: Sequence[str]) -> str:
        names = master.hydra.job.config.override_dirname
        return get_overrides_dirname(
            [self._read(line) for line in lines],
            names.exclude_keys,
            item_sep=names.item_sep,
            kv_sep=names.kv_sep,
        )

    def files(
        self, master: DictConfig, lines: Sequence[str], number: int, folder: Path
    ) -> Texts | None:
        """The files that Hydra would save of a job; None where the job has to be composed.

        Args:
            master: of the sweep.
            lines: the overrides of the job.
            number: of the job.
            folder: of the job.
        """
        found = self._locate(master, lines)
        if found is None:
            return None
        base, values = found
        about = {
            "overrides": {"task": list(lines)},
            "job": {
                "override_dirname": self._dirname(master, lines),
                "id": str(number),
                "num": number,
            },
            "runtime": {"cwd": os.getcwd(), "output_dir": os.path.abspath(folder)},
        }
        return base.files.of(self._check(lines, base, values), lines, about)

    def _locate(
        self, master: DictConfig, lines: Sequence[str]
    ) -> tuple[Base, list[Override]] | None:
        """The base of a job and what is to be set in it."""
        overrides = [self._read(line) for line in lines]
        if not all(map(_is_plain, overrides)):
            return None
        choices = [one for one in overrides if self._chooses(one)]
        if not all(isinstance(one.value(), str) for one in choices):
            return None
        # The keys of a table decide its sizes, which are in the base.
        data = [one for one in overrides if _is_of_data(one.key_or_group)]
        base = self._base(master, [str(one.input_line) for one in [*choices, *data]])
        if base is None:
            return None
        values = [one for one in overrides if one not in [*choices, *data]]
        known = all(one.key_or_group in base.keys for one in values)
        return (base, values) if known else None

    def _read(self, line: str) -> Override:
        if line not in self._lines:
            self._lines[line] = self._parse(line)
        return self._lines[line]

    def _chooses(self, override: Override) -> bool:
        key = override.key_or_group
        if key not in self._groups:
            self._groups[key] = self._is_group(key)
        return self._groups[key]

    def _base(self, master: DictConfig, choices: list[str]) -> Base | None:
        """What Hydra composes from the choices; None if it cannot: its own error is clearer."""
        name = master.hydra.job.config_name
        overrides = [*master.hydra.overrides.hydra, *choices]
        key = (name, *overrides)
        if key not in self._bases:
            try:
                self._bases[key] = _base_of(self._compose(name, overrides))
            except (HydraException, ValueError):
                self._bases[key] = None
        return self._bases[key]


def _base_of(cfg: DictConfig) -> Base | None:
    """None if a value depends on another, which a job may set."""
    own = OmegaConf.masked_copy(cfg, [str(key) for key in cfg if key != "hydra"])
    task = cast("dict[str, Any]", OmegaConf.to_container(own, resolve=False))
    values = flat(task)
    if not all(map(_is_plain_value, values.values())):
        return None
    settle(cfg)
    task["data"] = OmegaConf.to_container(cfg.data)
    return Base(frozenset(values), pickle.dumps(task), pickle.dumps(cfg), JobFiles(cfg))


def _check(base: Base, values: Sequence[Override]) -> RunConfig:
    task: dict[str, Any] = pickle.loads(base.task)  # noqa: S301
    for override in values:
        section, (*path, last) = task, override.key_or_group.split(".")
        for key in path:
            section = section[key]
        section[last] = override.value()
    return typed(task)


def _is_of_data(key: str) -> bool:
    return key.startswith("data.") or key in WITH_DATA


def _is_plain(override: Override) -> bool:
    """``KEY=VALUE`` with a value that means the same wherever it stands."""
    key = override.key_or_group
    return (
        override.type is OverrideType.CHANGE
        and override.package is None
        and not override.is_hydra_override()
        and not override.is_sweep_override()
        and key.rpartition(".")[2] != "name"  # refused, in words that the loader has
        and _is_plain_value(override.value())
    )


def _is_plain_value(value: object) -> bool:
    if isinstance(value, list):
        return all(_is_plain_value(one) and not isinstance(one, list) for one in value)
    if isinstance(value, str):
        return "${" not in value and value != "???"
    return value is None or isinstance(value, bool | int | float)
