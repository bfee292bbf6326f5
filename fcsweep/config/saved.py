"""The config that a run has saved, read as data: nothing in it is resolved, built or executed."""

# pyright: strict
from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, cast

import yaml

try:  # a third of the time per run; there where PyYAML was built with libyaml
    from yaml import CSafeLoader as SafeLoader
except ImportError:
    from yaml import SafeLoader

from fcsweep.config.schemas import RunConfig
from fcsweep.config.words import ConfigError, one_line, shown

LARGEST = 1_000_000  # bytes
DEEPEST = 20  # levels


def read(path: str | Path) -> dict[str, Any]:
    """Read a saved config.

    Raises:
        ConfigError: It is not there, is larger than 1 MB, deeper than 20 levels, uses aliases (a
            few hundred bytes of them can stand for gigabytes), or does not hold a mapping.
    """
    try:
        with open(path, "rb") as file:
            text = file.read(LARGEST + 1)
        _check_bounds(text)
        content = yaml.load(text, SafeLoader)
    except (OSError, yaml.YAMLError, ValueError) as error:
        raise ConfigError(f"{path} cannot be read: {one_line(error)}") from error
    if not isinstance(content, dict):
        raise ConfigError(f"{path} cannot be read: expected a mapping, found {shown(content)}")
    return cast("dict[str, Any]", content)


def _check_bounds(text: bytes) -> None:
    """Refuse what would keep a loader busy, or crash it (libyaml's recursion has no bottom)."""
    if len(text) > LARGEST:
        raise ConfigError(f"larger than {LARGEST} bytes")
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
