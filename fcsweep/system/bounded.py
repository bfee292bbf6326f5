"""Reading untrusted files: bounded in size and depth, never a pipe."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import cast

import yaml

from fcsweep.messages.errors import UnreadableError

try:  # a third of the time per run; there where PyYAML was built with libyaml
    from yaml import CSafeLoader as SafeLoader
except ImportError:
    from yaml import SafeLoader

DEEPEST = 20  # levels
ATTEMPTS = 100  # to open a file that `fcsweep.system.rewrite` replaces again and again


def read_bounded(path: str | Path, most: int) -> bytes:
    """The content of an untrusted file.

    Args:
        path: of the file.
        most: bytes that it may have.

    Raises:
        OSError: It cannot be read.
        UnreadableError: It is larger, or not a regular file: reading a pipe might block forever.
    """
    with open(path, "rb", opener=_open) as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise UnreadableError("it is not a regular file")
        content = file.read(most + 1)
    if len(content) > most:
        raise UnreadableError(f"larger than {most} bytes")
    return content


def _open(name: str, how: int) -> int:
    """A descriptor, opened without waiting for a pipe to have a writer."""
    how |= getattr(os, "O_NONBLOCK", 0)
    for _ in range(ATTEMPTS):
        with suppress(BlockingIOError):  # `rewrite` holds a lease on it just now
            return os.open(name, how)
    return os.open(name, how)


def check_bounds(text: bytes) -> None:
    """Refuse what would keep a loader busy, or crash it (libyaml's recursion is unbounded).

    Raises:
        yaml.YAMLError: It is not YAML.
        UnreadableError: It is nested too deeply, or uses aliases.
    """
    depth = 0
    for event in cast("Iterator[yaml.Event]", yaml.parse(text, SafeLoader)):  # pyright: ignore[reportUnknownMemberType] untyped in its stubs
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        if depth > DEEPEST:
            raise UnreadableError(f"deeper than {DEEPEST} levels")
        if isinstance(event, yaml.AliasEvent):
            raise UnreadableError("uses a YAML alias")
