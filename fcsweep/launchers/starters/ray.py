"""The workers of a sweep as tasks of a Ray cluster: ``hydra/launcher=ray``.

A task starts the command of its worker as a process of its own and waits for it: what Ray does to a
task does not reach into training, and the process ends when its task has ended. A task whose node
has died, or whose process Ray has lost, is started again by Ray.
"""

from __future__ import annotations

import logging
import math
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from fcsweep.launchers.starters.command import Command
from fcsweep.launchers.starters.starter import KILLED, WorkerFailed, counted, reason
from fcsweep.messages.errors import ConfigError
from fcsweep.messages.wording import one_line
from fcsweep.system.parent import GRACE, SWEEP

log = logging.getLogger(__name__)

EVERY = 0.2
"""Seconds between two looks at a process: a cancellation does not interrupt a longer wait."""
OWN = "FCSWEEP_"
"""How the variables begin that the sweep's process decides; others a node may have of its own."""


@dataclass(frozen=True)
class Share:
    """What each worker gets, and of which cluster."""

    address: str = "auto"
    """Of the cluster; ``auto`` is that of ``RAY_ADDRESS``, or the one that runs on this machine."""
    num_cpus: float = 1
    num_gpus: float = 0


class Ray:
    """Starts workers on the nodes of a cluster, as many at once as have room there.

    Args:
        count: of them.
        asked: as of any `Starter`.
        share: of each.

    Raises:
        ConfigError: Ray is not installed.
    """

    def __init__(self, count: int, asked: str, share: Share) -> None:
        if find_spec("ray") is None:
            raise ConfigError(f"{asked}, and Ray is not installed; pip install 'fcsweep[ray]'")
        self.count, self.asked, self._share = count, asked, share
        self._tasks: list[Any] = []
        self._done_since: float | None = None
        """When the first worker was found to have nothing left to do."""

    def start(self, command: Command) -> None:
        """Start a task for each worker."""
        self._ray = _connected(self.asked, self._share.address)
        options = {"num_cpus": self._share.num_cpus, "num_gpus": self._share.num_gpus}
        task = self._ray.remote(max_retries=-1, **options)(work)
        given = list(command.words[1:]), dict(command.environment), str(command.cwd)
        for _ in range(self.count):
            self._tasks.append(task.remote(*given))
        each = f"{self._share.num_cpus:g} CPU{'' if self._share.num_cpus == 1 else 's'}"
        if self._share.num_gpus:
            each += f" and {self._share.num_gpus:g} GPU{'' if self._share.num_gpus == 1 else 's'}"
        log.info(f"{counted(self.count, 'worker')}, {each} each, on a cluster of Ray")

    def working(self) -> bool:
        """Whether a worker is running or waits for room; nobody waits where nothing is left."""
        ended, others = self._ray.wait(self._tasks, num_returns=self.count, timeout=0)
        if others and self._done_since is None and any(map(self._is_done, ended)):
            self._done_since = time.monotonic()
        if self._done_since is not None and time.monotonic() - self._done_since > GRACE:
            self._done_since = math.inf
            for task in others:
                self._ray.cancel(task)
        return bool(others)

    def _is_done(self, task: Any) -> bool:
        return self._ending(task) is None

    def end(self, number: int) -> None:
        """Cancel all tasks; each ends its worker by SIGTERM, or by SIGKILL if it does not obey."""
        for task in self._tasks:
            self._ray.cancel(task)
        if self._tasks:
            self._ray.wait(self._tasks, num_returns=len(self._tasks), timeout=2 * GRACE)

    def endings(self) -> Sequence[str | None]:
        """How each ended, in the order of their start."""
        return [self._ending(task) for task in self._tasks]

    def _ending(self, task: Any) -> str | None:
        try:
            return self._ray.get(task)
        except self._ray.exceptions.TaskCancelledError:
            return None if self._done_since else KILLED
        except self._ray.exceptions.RayError as error:
            return one_line(error)


def work(words: list[str], handed: Mapping[str, str], cwd: str) -> str | None:
    """Run a worker on this node; how it ended, as `Starter.endings` tells it.

    Args:
        words: of its command, without Python, which is that of this node.
        handed: the environment of the sweep's process.
        cwd: where the command was given; all nodes share it.
    """
    ours = {name: value for name, value in handed.items() if name.startswith(OWN)}
    environment = {**handed, **os.environ, **ours, SWEEP: str(os.getpid())}
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(  # noqa: S603  the command of the sweep
            [sys.executable, *words],
            cwd=cwd,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=said,
        )
        try:
            while process.poll() is None:
                time.sleep(EVERY)
        finally:
            _end(process)
        said.seek(0)
        lines = said.read().decode(errors="replace").splitlines()
    if process.returncode == 0:
        return None
    return KILLED if process.returncode < 0 else reason(lines)


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a worker whose task was cancelled."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(GRACE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _connected(asked: str, address: str) -> Any:
    """Ray, connected to a cluster, with our handlers of signals."""
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # else it warns of the change
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    ray: Any = import_module("ray")  # of the extra "ray": there or not, to pyright too
    with _own_signals():
        try:
            ray.init(
                address=address,
                log_to_driver=False,
                configure_logging=False,
                logging_level=logging.ERROR,
            )
        except (ConnectionError, ValueError, RuntimeError) as error:
            raise WorkerFailed(
                f"{asked}, but there is no cluster at hydra.launcher.address={address} "
                f"({one_line(error)}); start one with ray start --head"
            ) from error
    return ray


@contextmanager
def _own_signals() -> Any:
    """Ray handles SIGTERM in a way of its own, from its start."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
