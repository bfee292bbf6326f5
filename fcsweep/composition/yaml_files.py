"""The YAML files that a run is composed of, bounded and checked before Hydra reads them.

Hydra's own reader takes any size, needs minutes for a few hundred bytes of aliases, and reads
``010`` as 8 and ``12:30`` as 750, as YAML 1.1 has it.
"""

from __future__ import annotations

import io
import os
import re
from collections.abc import Iterator
from copy import copy
from typing import Any, cast

import yaml
from hydra._internal.config_repository import ConfigRepository
from hydra._internal.core_plugins.file_config_source import FileConfigSource
from hydra.core.config_search_path import ConfigSearchPath
from hydra.plugins.config_source import ConfigResult, ConfigSource
from omegaconf import OmegaConf

from fcsweep.messages.errors import ConfigError
from fcsweep.messages.wording import one_line
from fcsweep.system.bounded import SafeLoader, check_bounds, read_bounded

LARGEST = 100_000
"""Bytes of a file. OmegaConf reads so many in 2 s."""
MISREAD = re.compile(r"[-+]?0[0-7_]+|[-+]?[0-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9_]*)?")
"""What YAML 1.1 takes for an octal number, or for one to the base of 60."""


class Files(FileConfigSource):
    """A folder of YAML files."""

    def load_config(self, config_path: str) -> ConfigResult:
        """A file as Hydra has it, or a ConfigError that names it."""
        path = os.path.join(self.path, self._normalize_file_name(config_path))
        try:
            content = read_bounded(path, LARGEST)
            check_bounds(content)
            _check_numbers(content)
            text = content.decode("utf-8-sig")
            config = OmegaConf.load(io.StringIO(text))
            header = ConfigSource._get_header_dict(text[:512])
        except Exception as error:  # a damaged file can fail in any way
            raise ConfigError(f"{path} cannot be read: {one_line(error)}") from error
        return ConfigResult(self.provider, f"{self.scheme()}://{self.path}", config, header)


class Repository(ConfigRepository):
    """Hydra's, with `Files` for its folders."""

    def initialize_sources(self, config_search_path: ConfigSearchPath) -> None:
        """Find the folders."""
        super().initialize_sources(config_search_path)
        self.sources = [  # not isinstance: Hydra runs the modules of its sources twice
            Files(source.provider, source.path) if source.scheme() == "file" else source
            for source in self.sources
        ]

    def __deepcopy__(self, memo: object) -> Repository:
        """A copy that may be initialised again; Hydra makes one at each lookup, 20 times a sweep.

        Sources are never modified, and the one of the schemas holds all of them.
        """
        copied = copy(self)
        copied.sources = [*self.sources]
        return copied


def _check_numbers(content: bytes) -> None:
    """Refuse a number that YAML 1.1 reads as another."""
    for event in cast("Iterator[Any]", yaml.parse(content, SafeLoader)):
        if not isinstance(event, yaml.ScalarEvent) or not event.implicit[0]:
            continue
        if MISREAD.fullmatch(event.value):
            value = yaml.safe_load(event.value)
            line = event.start_mark.line + 1
            raise ConfigError(
                f"{event.value} in line {line} would be {value} in YAML; write that, or for the "
                f"text '{event.value}' in quotes"
            )
