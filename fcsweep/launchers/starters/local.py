"""The workers of a sweep as processes on this machine, which share its cores and its GPUs."""

from __future__ import annotations

import logging
import os
import subprocess
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO

from fcsweep.launchers.starters.command import Command
from fcsweep.launchers.starters.starter import KILLED, reason
from fcsweep.system.parent import GRACE, SWEEP

log = logging.getLogger(__name__)

THREADS, DEVICES = "OMP_NUM_THREADS", "CUDA_VISIBLE_DEVICES"


def gpus_here() -> list[str]:
    """The GPUs of NVIDIA that this process may use, without an import of torch."""
    visible = os.environ.get(DEVICES)
    if visible is not None:
        return [name for name in visible.split(",") if name.strip() not in ("", "-1")]
    there = sorted(Path("/proc/driver/nvidia/gpus").glob("*"))
    return [str(number) for number in range(len(there))]


class Local:
    """Starts processes that end with this one.

    Args:
        count: of them.
        asked: as of any `Starter`.
    """

    def __init__(self, count: int, asked: str) -> None:
        self.count, self.asked = count, asked
        self._started: list[tuple[subprocess.Popen[bytes], IO[bytes]]] = []

    def start(self, command: Command) -> None:
        """Start each with its share of the cores; on a machine with GPUs each has one of them."""
        share = _shares(self.count)
        log.info(f"{self.count} workers, {_describe(share[0])} each")
        ends_with_this = {SWEEP: str(os.getpid())}
        for one in share:
            self._start_one(command, {**command.environment, **ends_with_this, **one})

    def _start_one(self, command: Command, environment: dict[str, str]) -> None:
        """In a session of its own: what a terminal sends to all is passed on once."""
        said = tempfile.TemporaryFile()
        process = subprocess.Popen(  # noqa: S603  the command of this process
            command.words,
            cwd=command.cwd,
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

    def endings(self) -> Sequence[str | None]:
        """How each ended, in the order of their start."""
        return [_ending(process, said) for process, said in self._started]


def _ending(process: subprocess.Popen[bytes], said: IO[bytes]) -> str | None:
    said.seek(0)
    lines = said.read().decode(errors="replace").splitlines()
    said.close()
    if process.returncode == 0:
        return None
    return KILLED if process.returncode < 0 else reason(lines)


def _shares(count: int) -> list[dict[str, str]]:
    """What each of the processes finds in its environment of the cores and the GPUs."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    threads = os.environ.get(THREADS) or str(max((cores or 1) // count, 1))
    shares = [{THREADS: threads} for _ in range(count)]
    for number, (share, devices) in enumerate(zip(shares, [gpus_here()] * count, strict=True)):
        share |= {DEVICES: devices[number % len(devices)]} if devices else {}
    return shares


def _describe(share: dict[str, str]) -> str:
    threads = share[THREADS]
    cores = f"{threads} thread{'' if threads == '1' else 's'}"
    return f"a GPU and {cores}" if DEVICES in share else cores
