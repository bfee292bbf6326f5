"""What is started: the command of the sweep, as that of one of its workers."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from fcsweep.composition.folders import with_folder
from fcsweep.composition.secrets import SECRET_URL, STORAGE

WORKER = "FCSWEEP_WORKER"
"""Environment variable of a process that a starter has started."""


@dataclass(frozen=True)
class Command:
    """The command of this process, for a worker; with a password only in the environment."""

    words: list[str]
    """The program, absolute, and its arguments."""
    environment: Mapping[str, str]
    cwd: Path
    """Where it was given."""
    folder: Path
    """Of the sweep, absolute."""


@cache
def is_worker() -> bool:
    """Whether a starter has started this process; what it starts itself is no worker."""
    return os.environ.pop(WORKER, None) is not None


def worker_command(folder: Path, cwd: Path) -> Command:
    """That of this process, in a folder.

    Args:
        folder: of the sweep.
        cwd: where the command was given.
    """
    program = sys.orig_argv[1 : len(sys.orig_argv) - len(sys.argv[1:])]
    words = [_without_password(word) for word in sys.argv[1:]]
    words = with_folder(words, "hydra.sweep.dir", str(folder))
    environment = {**os.environ, WORKER: "1"}
    return Command([sys.executable, *program, *words], environment, cwd, folder)


def _without_password(word: str) -> str:
    """A URL with a password is in the environment of the process that is started."""
    key, given, value = word.partition("=")
    is_url = key.lstrip("+") == STORAGE and value.strip("'\"") == os.environ.get(SECRET_URL)
    return f"{key}{given}${{oc.env:{SECRET_URL}}}" if is_url else word
