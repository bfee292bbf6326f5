"""Jobs of a sweep, composed from one reading of the YAML for each set of group choices.

Hydra reads and merges the same files for every job, which takes far longer than a small net does to
train. Where a job's overrides only choose options of groups and set values that are there, what
Hydra composes from the choices alone is copied and the values are set in the copy, by Hydra's own
function. Anything else (``+``, ``~``, ``@package``, ``hydra.``, interpolations) is Hydra's to
compose.
"""

from __future__ import annotations

import copy
import os
from collections.abc import Callable, Iterable, Sequence

from hydra._internal.config_loader_impl import ConfigLoaderImpl, get_overrides_dirname
from hydra.core.override_parser.types import Override, OverrideType
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf

Compose = Callable[[str | None, list[str]], DictConfig]
"""Hydra's own composing, of a primary config and overrides."""


class ComposedOnce:
    """What was composed from group choices alone, by those choices.

    Args:
        compose: makes what is not there yet.
        parse: the overrides of a list of lines.
        is_group: whether a key names a config group.
    """

    def __init__(
        self,
        compose: Compose,
        parse: Callable[[list[str]], list[Override]],
        is_group: Callable[[str], bool],
    ) -> None:
        self._compose, self._parse, self._is_group = compose, parse, is_group
        self._groups: dict[str, bool] = {}
        self._bases: dict[tuple[str | None, ...], DictConfig | None] = {}

    def job(self, master: DictConfig, lines: Sequence[str]) -> DictConfig | None:
        """The config of a job as Hydra's ``load_sweep_config``; None where only Hydra can make it.

        Args:
            master: of the sweep.
            lines: the overrides of the job.
        """
        found = self._found(master, lines)
        if found is None:
            return None
        base, values = found
        cfg = copy.deepcopy(base)
        if not _set(cfg, values):
            return None
        job, sets = cfg.hydra.job, self._parse(list(lines))
        cfg.hydra.overrides.task = list(lines)
        cfg.hydra.runtime.cwd = os.getcwd()
        names = job.config.override_dirname
        job.override_dirname = get_overrides_dirname(
            sets, names.exclude_keys, item_sep=names.item_sep, kv_sep=names.kv_sep
        )
        OmegaConf.copy_cache(from_config=master, to_config=cfg)
        return cfg

    def task(self, master: DictConfig, lines: Sequence[str]) -> DictConfig | None:
        """The same without Hydra's node, for a quick look at the task's own values."""
        found = self._found(master, lines)
        if found is None:
            return None
        base, values = found
        cfg = OmegaConf.masked_copy(base, [str(key) for key in base if key != "hydra"])
        OmegaConf.set_struct(cfg, True)
        return cfg if _set(cfg, values) else None

    def _found(
        self, master: DictConfig, lines: Sequence[str]
    ) -> tuple[DictConfig, list[Override]] | None:
        """The base of a job and what is to be set in it."""
        sets = self._parse(list(lines))
        if not all(map(_is_plain, sets)):
            return None
        choices = [one for one in sets if self._chooses(one)]
        if not all(isinstance(one.value(), str) for one in choices):
            return None
        base = self._base(master, [str(one.input_line) for one in choices])
        values = [one for one in sets if not self._chooses(one)]
        if base is None or not all(_has(base, one.key_or_group) for one in values):
            return None
        return base, values

    def _chooses(self, override: Override) -> bool:
        key = override.key_or_group
        if key not in self._groups:
            self._groups[key] = self._is_group(key)
        return self._groups[key]

    def _base(self, master: DictConfig, choices: Iterable[str]) -> DictConfig | None:
        """What Hydra composes from the choices; None if it cannot, which it says better itself."""
        name = master.hydra.job.config_name
        overrides = [*master.hydra.overrides.hydra, *choices]
        key = (name, *overrides)
        if key not in self._bases:
            try:
                self._bases[key] = self._compose(name, overrides)
            except (HydraException, ValueError):
                self._bases[key] = None
        return self._bases[key]


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


def _has(base: DictConfig, key: str) -> bool:
    """Whether a plain value, or a list, stands under a key."""
    path, _, last = key.rpartition(".")
    node = OmegaConf.select(base, path, throw_on_missing=False) if path else base
    return (
        isinstance(node, DictConfig)
        and last in node
        and not OmegaConf.is_interpolation(node, last)
        and not isinstance(node[last], DictConfig)
    )


def _set(cfg: DictConfig, values: list[Override]) -> bool:
    """Set the values as Hydra does; False if it refuses one."""
    try:
        ConfigLoaderImpl._apply_overrides_to_config(values, cfg)
    except HydraException:
        return False
    return True
