"""Reads the config that a run saved as data: resolves, builds and executes nothing in it."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import asdict
from functools import lru_cache
from pathlib import Path
from typing import Any, cast

import yaml

from fcsweep.config.schemas import NO_NUMBER, RunConfig
from fcsweep.messages.errors import ConfigError
from fcsweep.messages.wording import one_line, render
from fcsweep.system.bounded import SafeLoader, check_bounds, read_bounded

LARGEST = 1_000_000  # bytes


def read(path: str | Path) -> dict[str, Any]:
    """Read a saved config.

    Raises:
        ConfigError: The file is missing, larger than 1 MB, deeper than 20 levels, uses aliases (a
            few hundred bytes of them can stand for gigabytes), or does not hold a mapping.
    """
    try:
        content = _parsed(read_bounded(path, LARGEST))
    except (OSError, yaml.YAMLError, ValueError) as error:
        raise ConfigError(f"{path} cannot be read: {one_line(error)}") from error
    if not isinstance(content, dict):
        raise ConfigError(f"{path} cannot be read: expected a mapping, found {render(content)}")
    return deepcopy(cast("dict[str, Any]", content))


@lru_cache(maxsize=1_000)
def _parsed(text: bytes) -> object:
    """What a text holds; the end of a sweep reads the config of each of its runs five times."""
    check_bounds(text)
    return yaml.load(text, SafeLoader)  # noqa: S506  it is the safe one


def flat(config: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """The values of a nested mapping by their dotted keys; lists stay whole."""
    values: dict[str, Any] = {}
    for key, value in config.items():
        if isinstance(value, Mapping):
            values |= flat(cast("Mapping[str, Any]", value), f"{prefix}{key}.")
        else:
            values[f"{prefix}{key}"] = value
    return values


def differences(recorded: RunConfig, requested: RunConfig) -> list[str]:
    """The differences between two configs, one text a key: ``seed: recorded 5, requested 6``.

    A key that only one of them has (their options differ) has null in the other. Keys that decide
    no number do not count.
    """
    before, after = flat(asdict(recorded)), flat(asdict(requested))
    return [
        f"{key}: recorded {render(before.get(key))}, requested {render(after.get(key))}"
        for key in dict.fromkeys([*before, *after])
        if key not in NO_NUMBER and before.get(key) != after.get(key)
    ]
