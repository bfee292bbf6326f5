"""The config that a run has saved, read as data: nothing in it is resolved, built or executed."""

# pyright: strict
from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any, cast

import yaml

try:  # a third of the time per run; there where PyYAML was built with libyaml
    from yaml import CSafeLoader as SafeLoader
except ImportError:
    from yaml import SafeLoader

from fcsweep.config.schemas import RunConfig
from fcsweep.messages.errors import ConfigError
from fcsweep.messages.wording import one_line, shown

LARGEST = 1_000_000  # bytes
DEEPEST = 20  # levels
ATTEMPTS = 100  # to open a file that `fcsweep.rewriting` replaces again and again


def read(path: str | Path) -> dict[str, Any]:
    """Read a saved config.

    Raises:
        ConfigError: It is not there, is larger than 1 MB, deeper than 20 levels, uses aliases (a
            few hundred bytes of them can stand for gigabytes), or does not hold a mapping.
    """
    try:
        text = bounded(path, LARGEST)
        check_bounds(text)
        content = yaml.load(text, SafeLoader)
    except (OSError, yaml.YAMLError, ValueError) as error:
        raise ConfigError(f"{path} cannot be read: {one_line(error)}") from error
    if not isinstance(content, dict):
        raise ConfigError(f"{path} cannot be read: expected a mapping, found {shown(content)}")
    return cast("dict[str, Any]", content)


def bounded(path: str | Path, most: int) -> bytes:
    """The content of a file, for whoever does not know what lies there.

    Args:
        path: of the file.
        most: bytes that it may have.

    Raises:
        OSError: It cannot be read.
        ValueError: It is larger, or no file: from a pipe nothing might ever come.
    """
    with open(path, "rb", opener=_opened) as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise ConfigError("it is no file")
        content = file.read(most + 1)
    if len(content) > most:
        raise ConfigError(f"larger than {most} bytes")
    return content


def _opened(name: str, how: int) -> int:
    """A descriptor, without waiting for whoever might once write into a pipe."""
    how |= getattr(os, "O_NONBLOCK", 0)
    for _ in range(ATTEMPTS):
        with suppress(BlockingIOError):  # what had this name just now is being written over
            return os.open(name, how)
    return os.open(name, how)


def check_bounds(text: bytes) -> None:
    """Refuse what would keep a loader busy, or crash it (libyaml's recursion has no bottom).

    Raises:
        yaml.YAMLError: It is no YAML.
        ConfigError: It is nested too deeply, or uses aliases.
    """
    depth = 0
    for event in cast("Iterator[yaml.Event]", yaml.parse(text, SafeLoader)):  # pyright: ignore[reportUnknownMemberType] untyped in its stubs
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        if depth > DEEPEST:
            raise ConfigError(f"deeper than {DEEPEST} levels")
        if isinstance(event, yaml.AliasEvent):
            raise ConfigError("uses a YAML alias")


def flat(config: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """The values of a nested mapping by their dotted keys; lists stay whole."""
    values: dict[str, Any] = {}
    for key, value in config.items():
        if isinstance(value, Mapping):
            values |= flat(cast("Mapping[str, Any]", value), f"{prefix}{key}.")
        else:
            values[f"{prefix}{key}"] = value
    return values


def differences(old: RunConfig, new: RunConfig) -> list[str]:
    """What differs between two configs, one text a key: ``optimizer.learning_rate: 0.1, now 0.2``.

    A key that only one of them has (their options differ) is named with null for the other.
    """
    before, after = flat(asdict(old)), flat(asdict(new))
    return [
        f"{key}: {shown(before.get(key))}, now {shown(after.get(key))}"
        for key in dict.fromkeys([*before, *after])
        if before.get(key) != after.get(key)
    ]
