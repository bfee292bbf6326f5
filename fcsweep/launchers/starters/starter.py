"""What a starter of workers does, and how a sweep waits for those that it has started."""

from __future__ import annotations

import logging
import signal
import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from fcsweep.launchers.starters.command import Command, worker_command
from fcsweep.messages.errors import ConfigError, UserError
from fcsweep.system.signals import is_listening

log = logging.getLogger(__name__)

PAUSE = 0.1
"""Seconds between two looks at the workers."""
KILLED = ""
"""The ending of a worker that nobody gives a reason for."""


class WorkerFailed(UserError):
    """A process that worked on the sweep ended with an error."""


class Starter(Protocol):
    """Starts the workers of a sweep somewhere, and knows how they are."""

    count: int
    """How many."""
    asked: str
    """What in the config asks for them, as an error says it."""

    def start(self, command: Command) -> None:
        """Start them all; it may be interrupted, and is ended even so."""
        ...

    def working(self) -> bool:
        """Whether any of them is still there, or will be."""
        ...

    def end(self, number: int) -> None:
        """Let a signal end them all, and wait until they have ended.

        Args:
            number: of the signal.
        """
        ...

    def endings(self) -> Sequence[str | None]:
        """How each ended: None if nothing was left to do, why if it failed, or `KILLED`."""
        ...


def require_program(starter: Starter | None) -> None:
    """Refuse a starter where no command can be started again, as in a notebook.

    Raises:
        ConfigError: this process is not a program of its own.
    """
    if starter is not None and not is_listening():
        raise ConfigError(f"{starter.asked}; from Python a sweep has one worker: use a command")


@contextmanager
def started(starter: Starter, folder: Path, cwd: Path) -> Generator[Starter]:
    """Let workers work on a sweep while the block runs; at its end they have ended.

    Each runs the command of this process, as one worker.

    Args:
        starter: of them.
        folder: of the sweep, absolute.
        cwd: where the command was given.

    Raises:
        ConfigError: this process is not a program that can be started again, as in a notebook.
        WorkerFailed: one has ended with an error, or all were killed.
    """
    require_program(starter)
    try:
        starter.start(worker_command(folder, cwd))
        yield starter
        while starter.working():
            time.sleep(PAUSE)
    except BaseException as error:
        starter.end(signal.SIGINT if isinstance(error, KeyboardInterrupt) else signal.SIGTERM)
        raise
    _refuse_failures(starter.endings())


def _refuse_failures(endings: Sequence[str | None]) -> None:
    if failures := [why for why in endings if why]:
        raise WorkerFailed(f"a worker failed: {failures[0]}")
    killed, several = endings.count(KILLED), len(endings) > 1
    if killed == len(endings):
        all_of_them = "all workers were" if several else "the worker was"
        raise WorkerFailed(f"{all_of_them} killed; run the same command to resume")
    if killed:
        many = f"{killed} of {len(endings)} workers"
        log.warning(f"{many} were killed; the others have trained what was left")


def reason(lines: Sequence[str]) -> str:
    """Why a worker failed, from what it wrote to standard error."""
    return lines[-1].removeprefix("error: ") if lines else "it did not say why"


def counted(number: int, what: str) -> str:
    """``1 worker``, ``2 workers``."""
    return f"{number} {what}{'' if number == 1 else 's'}"
