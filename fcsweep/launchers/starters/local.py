"""The command of a sweep, started several times on this machine: ``hydra.launcher.workers``."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from fcsweep.composition.folders import with_folder
from fcsweep.composition.secrets import SECRET_URL, STORAGE
from fcsweep.messages.errors import ConfigError, UserError
from fcsweep.messages.wording import render
from fcsweep.system.parent import GRACE, sweeping
from fcsweep.system.signals import is_listening

log = logging.getLogger(__name__)

KEY = "hydra.launcher.workers"
THREADS, DEVICES = "OMP_NUM_THREADS", "CUDA_VISIBLE_DEVICES"


class WorkerFailed(UserError):
    """A process that worked on the sweep ended with an error."""


def workers_of(launcher: Any) -> int:
    """``hydra.launcher.workers`` as a number; one for a launcher without that key.

    Args:
        launcher: Hydra's node of it.

    Raises:
        ConfigError: it is neither ``auto`` nor a whole number >= 1.
    """
    given = launcher.get("workers", 1)
    if given == "auto":
        return max(len(_devices()), 1)
    if isinstance(given, int) and not isinstance(given, bool) and given >= 1:
        return given
    raise ConfigError(f"{KEY} is {render(given)}; expected auto or a whole number >= 1")


def require_program(count: int) -> None:
    """Refuse several workers where no command can be started again, as in a notebook.

    Raises:
        ConfigError: this process is not a program of its own.
    """
    if count > 1 and not is_listening():
        raise ConfigError(f"{KEY} is {count}; from Python a sweep has one worker: use a command")


def _devices() -> list[str]:
    """The GPUs of NVIDIA that this process may use, without an import of torch."""
    visible = os.environ.get(DEVICES)
    if visible is not None:
        return [name for name in visible.split(",") if name.strip() not in ("", "-1")]
    there = sorted(Path("/proc/driver/nvidia/gpus").glob("*"))
    return [str(number) for number in range(len(there))]


class Children:
    """Processes that work on a sweep for this one."""

    def __init__(self) -> None:
        self._started: list[tuple[subprocess.Popen[bytes], IO[bytes]]] = []

    def start(self, command: Sequence[str], environment: dict[str, str], folder: Path) -> None:
        """Start one, in a session of its own: what a terminal sends to all is passed on once."""
        said = tempfile.TemporaryFile()
        process = subprocess.Popen(  # noqa: S603  the command of this process
            command,
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=said,
            start_new_session=True,
        )
        self._started.append((process, said))

    def working(self) -> bool:
        """Whether any of them is still there."""
        return any([process.poll() is None for process, _ in self._started])

    def wait(self) -> None:
        """Wait until all have ended."""
        while self.working():
            time.sleep(0.1)

    def end(self, number: int) -> None:
        """Send a signal to all, and wait until they have ended."""
        for process, _ in self._started:
            with suppress(ProcessLookupError):
                process.send_signal(number)
        until = time.monotonic() + GRACE
        for process, said in self._started:
            said.close()
            try:
                process.wait(max(until - time.monotonic(), 0))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def refuse_failures(self) -> None:
        """Say how those ended that did not come to their end.

        Raises:
            WorkerFailed: one has ended with an error, or all were killed.
        """
        for process, said in self._started:
            said.seek(0)
            lines = said.read().decode(errors="replace").splitlines()
            said.close()
            if process.returncode > 0:
                why = lines[-1].removeprefix("error: ") if lines else "it did not say why"
                raise WorkerFailed(f"a worker failed: {why}")
        killed = [process for process, _ in self._started if process.returncode < 0]
        if killed and len(killed) == len(self._started):
            raise WorkerFailed("all workers were killed; run the same command to resume")
        if killed:
            many = f"{len(killed)} of {len(self._started)} workers"
            log.warning(f"{many} were killed; the others have trained what was left")


@contextmanager
def started(count: int, folder: Path, cwd: Path) -> Generator[Children]:
    """Let processes work on a sweep while the block runs; at its end they have ended.

    Each runs the command of this process, as one worker, with its share of the cores; on a machine
    with GPUs each has one of them.

    Args:
        count: of the processes.
        folder: of the sweep.
        cwd: where the command was given.

    Raises:
        ConfigError: this process is not a program that can be started again, as in a notebook.
        WorkerFailed: one has ended with an error, or all were killed.
    """
    require_program(count)
    children, share = Children(), _shares(count)
    log.info(f"{count} workers, {_describe(share[0])} each")
    try:
        with sweeping():
            for one in share:
                children.start(_command(folder), {**os.environ, **one}, cwd)
        yield children
        children.wait()
    except BaseException as error:
        children.end(signal.SIGINT if isinstance(error, KeyboardInterrupt) else signal.SIGTERM)
        raise
    children.refuse_failures()


def _command(folder: Path) -> list[str]:
    """That of this process, for one worker in a folder."""
    program = sys.orig_argv[1 : len(sys.orig_argv) - len(sys.argv[1:])]
    words = [_without_password(word) for word in sys.argv[1:]]
    words = [word for word in words if not word.lstrip("+").startswith(f"{KEY}=")]
    words = with_folder([*words, f"{KEY}=1"], "hydra.sweep.dir", str(folder))
    return [sys.executable, *program, *words]


def _without_password(word: str) -> str:
    """A URL with a password is in the environment of the process that is started."""
    key, given, value = word.partition("=")
    is_url = key.lstrip("+") == STORAGE and value.strip("'\"") == os.environ.get(SECRET_URL)
    return f"{key}{given}${{oc.env:{SECRET_URL}}}" if is_url else word


def _shares(count: int) -> list[dict[str, str]]:
    """What each of the processes finds in its environment of the cores and the GPUs."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    threads = os.environ.get(THREADS) or str(max((cores or 1) // count, 1))
    shares = [{THREADS: threads} for _ in range(count)]
    for number, (share, devices) in enumerate(zip(shares, [_devices()] * count, strict=True)):
        share |= {DEVICES: devices[number % len(devices)]} if devices else {}
    return shares


def _describe(share: dict[str, str]) -> str:
    threads = share[THREADS]
    cores = f"{threads} thread{'' if threads == '1' else 's'}"
    return f"a GPU and {cores}" if DEVICES in share else cores
