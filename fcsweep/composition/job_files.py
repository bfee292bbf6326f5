"""The files that Hydra saves of a job, written without composing its config.

The YAML of a mapping is the texts of its entries, one after another. Jobs with the same group
choices differ in few entries; the text of every other one is made once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import yaml
from omegaconf import DictConfig, OmegaConf

from fcsweep.composition.yaml_dump import QuickDumper, is_plain
from fcsweep.config import RunConfig

Texts = dict[str, bytes]
"""The content of each file in a job's ``.hydra`` folder, by name."""

VARYING = ("overrides", "job", "runtime")
"""The sections of ``hydra`` that differ from job to job, in some of their entries."""


class JobFiles:
    """The files of jobs that choose the same options of groups.

    Args:
        composed: a config that Hydra composed from these choices.
    """

    def __init__(self, composed: DictConfig) -> None:
        content: Any = OmegaConf.to_container(composed, resolve=False, enum_to_str=True)
        hydra: dict[str, Any] = content.pop("hydra")
        self._keys = list(content)
        self._own: dict[tuple[str, str], str] = {}
        self._hydra = {key: _entry(("hydra",), key, value) for key, value in hydra.items()}
        self._varying = {
            section: {k: _entry(("hydra", section), k, v) for k, v in hydra[section].items()}
            for section in VARYING
        }

    def of(self, config: RunConfig, lines: Sequence[str], about: Mapping[str, Any]) -> Texts | None:
        """The files of a job; None where libyaml would fold or escape a line in its own way.

        Args:
            config: of the job, checked.
            lines: its overrides.
            about: the entries that it has in the sections of `VARYING`.
        """
        values = asdict(config)
        own = "".join(self._own_entry(key, values[key]) for key in self._keys)
        overrides = _dump(list(lines))
        if not (is_plain(own) and is_plain(overrides)):
            return None
        sections = {section: self._section(section, about[section]) for section in VARYING}
        hydra = "hydra:\n" + "".join({**self._hydra, **sections}.values())
        files = {"config.yaml": own, "overrides.yaml": overrides, "hydra.yaml": hydra}
        return {name: text.encode() for name, text in files.items()}

    def _own_entry(self, key: str, value: Any) -> str:
        """An entry of the task's config; most jobs share it with others."""
        known = key, repr(value)
        if known not in self._own:
            self._own[known] = _dump({key: value})
        return self._own[known]

    def _section(self, section: str, entries: Mapping[str, Any]) -> str:
        """A section of ``hydra`` in which some entries are those of a job."""
        changed = {key: _entry(("hydra", section), key, value) for key, value in entries.items()}
        return f"  {section}:\n" + "".join({**self._varying[section], **changed}.values())


def _entry(path: Sequence[str], key: str, value: Any) -> str:
    """The YAML of an entry, indented below the keys that lead to it."""
    content: Any = {key: value}
    for one in reversed(path):
        content = {one: content}
    return "".join(_dump(content).splitlines(keepends=True)[len(path) :])


def _dump(content: Any) -> str:
    return yaml.dump(content, Dumper=QuickDumper, allow_unicode=True, sort_keys=False)
