"""Conditional keys: values in a sweep that only some options of a swept group have.

In ``optimizer=sgd,momentum optimizer.momentum=0.5,0.9`` the option momentum has the key, and sgd
has not: a job with sgd is composed without it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from hydra.core.config_loader import ConfigLoader
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

VALUE = re.compile(r"(?P<key>[^\W\d][\w-]*(?:\.[\w-]+)*)=")
"""How an override begins that changes a key; ``+``, ``~`` and ``@`` are not conditional."""


class OptionKeys:
    """Which keys the options have that a job chooses; works with the loader of any Hydra app.

    Args:
        loader: of the sweep.
        master: config of the sweep.
    """

    def __init__(self, loader: ConfigLoader, master: DictConfig) -> None:
        self._loader, self._master = loader, master
        self._groups: dict[str, bool] = {}
        self._composed: dict[tuple[str, ...], DictConfig | None] = {}

    def applying(self, lines: Sequence[str]) -> list[str]:
        """The overrides of a job, without values of keys that the options it chooses lack.

        Args:
            lines: the overrides, in order; each chooses an option of a group or sets one value.
        """
        choices = [line for line in lines if self.chooses(line)]
        cfg = self._of(choices)
        if cfg is None:  # composing the job tells why
            return list(lines)
        return [line for line in lines if line in choices or not _lacks(cfg, line)]

    def chooses(self, line: str) -> bool:
        """Whether an override, or a key, chooses an option of a group or removes a group."""
        group = line.partition("=")[0].lstrip("+~").partition("@")[0]
        if "." in group:
            return False
        if group not in self._groups:
            hydra = self._master.hydra
            options = self._loader.get_group_options(
                group,
                config_name=hydra.job.config_name,  # it and an override may name a searchpath
                overrides=list(hydra.overrides.hydra),
            )
            self._groups[group] = bool(options)
        return self._groups[group]

    def _of(self, choices: Sequence[str]) -> DictConfig | None:
        """The config with these choices alone; None if it cannot be composed."""
        key = tuple(choices)
        if key not in self._composed:
            hydra = self._master.hydra
            lines = [*hydra.overrides.hydra, *choices]
            try:
                self._composed[key] = self._loader.load_configuration(
                    hydra.job.config_name, lines, RunMode.MULTIRUN
                )
            except (HydraException, ValueError):
                self._composed[key] = None
        return self._composed[key]


def applying(
    loader: ConfigLoader, master: DictConfig, jobs: Sequence[Sequence[str]]
) -> list[list[str]]:
    """The jobs of a grid, each with the overrides that apply to it.

    Jobs that differ only in what does not apply are one, with the place of the first. An override
    that applies to no job stays in all of them, so that composing them refuses it.
    """
    keys = OptionKeys(loader, master)
    parts = [keys.applying(job) for job in jobs]
    used = {_key(line) for part in parts for line in part}
    kept: dict[tuple[str, ...], None] = {}
    found: list[list[str]] = []
    for job, part in zip(jobs, parts, strict=True):
        lines = [line for line in job if line in part or _key(line) not in used]
        if lines == list(job) or tuple(lines) not in kept:
            found.append(lines)
        kept[tuple(lines)] = None
    return found


def _key(line: str) -> str:
    return line.partition("=")[0]


def _lacks(cfg: DictConfig, line: str) -> bool:
    """Whether an override would set a value that is not in the config."""
    found = VALUE.match(line)
    node: object = cfg
    for name in found["key"].split(".") if found else ():
        if not isinstance(node, DictConfig) or not isinstance(node._content, dict):
            return False
        if name not in node._content:
            return bool(OmegaConf.is_struct(node))  # else any key may be added
        node = node._content[name]
    return False
