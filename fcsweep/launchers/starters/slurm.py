"""The workers of a sweep as an array of jobs of Slurm: ``hydra/launcher=slurm``.

``sbatch`` submits it, ``squeue`` tells how its jobs are, ``scancel`` ends them: accounting, which
many clusters do not have, is not asked. A job *is* the worker, so that the signals of Slurm reach
it: before a preemption, at a time limit, and when it is cancelled.
"""

from __future__ import annotations

import logging
import os
import shlex
import shutil
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from fcsweep.launchers.starters.command import Command
from fcsweep.launchers.starters.starter import KILLED, WorkerFailed, counted, reason
from fcsweep.messages.errors import ConfigError
from fcsweep.messages.wording import printable
from fcsweep.records.filenames import SLURM_LOGS
from fcsweep.system.signals import held_back

log = logging.getLogger(__name__)

DONE, WAITING = ("COMPLETED", 0), "PENDING"
OVER = {"COMPLETED", "FAILED", "CANCELLED", "OUT_OF_MEMORY", "DEADLINE"}
AGAIN = {"TIMEOUT", "PREEMPTED", "NODE_FAIL", "BOOT_FAIL"}
"""States of jobs that are submitted again, where Slurm has not put them back in its queue."""
GONE = "Invalid job id"
"""What ``squeue`` says of jobs that ended long ago."""
SOONEST, LATEST = 0.5, 15.0
"""Seconds between two questions to Slurm: the longer it takes, the fewer."""
KILL_WAIT = 120.0
"""Seconds after which cancelled jobs are no longer waited for; Slurm kills them by ``KillWait``."""
SCRIPT = """#!/bin/sh
: "${{OMP_NUM_THREADS:=${{SLURM_CPUS_PER_TASK:-1}}}}"
export OMP_NUM_THREADS
exec {command}
"""


@dataclass(frozen=True)
class Resources:
    """What each worker gets."""

    partition: str | None = None
    gpus: int = 0
    cpus: int = 1
    minutes: int | None = None
    """After which Slurm ends it; None for the limit of the partition."""
    additional: Mapping[str, object] = field(default_factory=dict[str, object])
    """Further options of ``sbatch``; one without a value is true."""

    def options(self) -> list[str]:
        """Those of ``sbatch``."""
        named = {"cpus-per-task": self.cpus, "partition": self.partition, "time": self.minutes}
        named |= {"gpus": self.gpus or None, **self.additional}
        given = {name: value for name, value in named.items() if value not in (None, False)}
        return [f"--{n}" if value is True else f"--{n}={value}" for n, value in given.items()]


class Slurm:
    """Submits the workers, submits again those that a time limit has ended, and cancels them.

    Args:
        count: of them.
        asked: as of any `Starter`.
        resources: of each.

    Raises:
        ConfigError: there is no Slurm on this machine.
    """

    def __init__(self, count: int, asked: str, resources: Resources) -> None:
        if shutil.which("sbatch") is None:
            raise ConfigError(
                f"{asked}, but there is no sbatch on this machine; use one with Slurm"
            )
        self.count, self.asked, self._resources = count, asked, resources
        self._command: Command | None = None
        self._jobs: list[str] = []
        self._states: dict[str, tuple[str, int]] = {}
        """Of each job of the arrays, ``12_1``: the last that is known, and its exit status."""
        self._asked_at, self._began = 0.0, time.monotonic()

    def start(self, command: Command) -> None:
        """Submit an array of jobs."""
        self._command = command
        (command.folder / SLURM_LOGS).mkdir(exist_ok=True)
        with held_back():  # a job that was submitted is known
            job = self._submit(command, self.count)
        each = counted(self._resources.cpus, "CPU")
        if gpus := self._resources.gpus:
            each = f"{each} and {counted(gpus, 'GPU')}"
        log.info(f"{counted(self.count, 'worker')}, {each} each: job {job} of Slurm")

    def _submit(self, command: Command, count: int) -> str:
        own = ["--parsable", f"--array=1-{count}", "--requeue", "--open-mode=append"]
        own += ["--export=ALL", f"--chdir={command.cwd}", "--output=/dev/null"]
        own += [f"--error={_pattern(command.folder)}", "--job-name=fcsweep"]
        script = SCRIPT.format(command=shlex.join(command.words))
        environment = {k: v for k, v in command.environment.items() if not _of_a_job(k)}
        answer = _call(["sbatch", *self._resources.options(), *own], script, environment)
        if answer.returncode:
            why = (answer.stderr.strip().splitlines() or ["it did not say why"])[-1]
            why = printable(why.removeprefix("sbatch: error: "))
            raise WorkerFailed(f"{self.asked}; sbatch: {why}")
        job = answer.stdout.strip().partition(";")[0]
        self._jobs.append(job)
        self._states |= {f"{job}_{number}": (WAITING, 0) for number in range(1, count + 1)}
        return job

    def working(self) -> bool:
        """Whether a worker is running or waits for its turn; nobody waits where nothing is left."""
        if self._is_time():
            self._look()
            if DONE in self._states.values():
                self._cancel_waiting()
            else:
                self._submit_again()
        return self._are_there()

    def _are_there(self) -> bool:
        return any(state not in OVER | AGAIN for state, _ in self._states.values())

    def _in(self, *states: str) -> list[str]:
        return [name for name, (state, _) in self._states.items() if state in states]

    def _cancel_waiting(self) -> None:
        """A worker has found nothing left to do, and neither would those that have not begun."""
        if waiting := self._in(WAITING):
            _call(["scancel", f"--state={WAITING}", *waiting])
            self._states |= dict.fromkeys(waiting, DONE)

    def _submit_again(self) -> None:
        if not (ended := self._in(*AGAIN)):
            return
        assert self._command is not None  # there are jobs
        with held_back():
            job = self._submit(self._command, len(ended))
            self._states = {n: how for n, how in self._states.items() if n not in ended}
        log.info(f"{counted(len(ended), 'worker')} ended by Slurm: again as job {job}")

    def _is_time(self) -> bool:
        """To ask Slurm."""
        now = time.monotonic()
        wait = min(max((now - self._began) / 20, SOONEST), LATEST)
        if due := now - self._asked_at > wait:
            self._asked_at = now
        return due

    def _look(self) -> None:
        """Ask Slurm how the jobs are; where it does not answer, as before."""
        for job in self._jobs:
            there = {n for n in self._states if n.startswith(f"{job}_")} - set(self._in(*OVER))
            if not there:
                continue
            words = ["--noheader", "--array", "--states=all", f"--jobs={job}"]
            answer = _call(["squeue", *words, "--Format=JobArrayID:64,State:32,exit_code:32"])
            told = [line.split() for line in answer.stdout.splitlines()]
            self._states |= {name: (how, int(n)) for name, how, n in told if name in there}
            if GONE in answer.stderr:  # how they ended, nobody tells any more
                self._states |= dict.fromkeys(there, DONE)

    def end(self, number: int) -> None:
        """Cancel all: Slurm sends SIGTERM, and SIGKILL to those that do not obey."""
        if self._jobs:
            _call(["scancel", *self._jobs])
        until = time.monotonic() + KILL_WAIT
        while time.monotonic() < until:
            self._look()
            if not self._are_there():
                break
            time.sleep(SOONEST)

    def endings(self) -> Sequence[str | None]:
        """How each ended, in the order of their numbers."""
        return [self._ending(name, *how) for name, how in self._states.items()]

    def _ending(self, name: str, state: str, status: int) -> str | None:
        if state == "COMPLETED":
            return None
        if state == "FAILED" and os.WIFEXITED(status):
            assert self._command is not None  # there are jobs
            path = self._command.folder / SLURM_LOGS / f"{name}.log"
            lines = path.read_text(errors="replace").splitlines() if path.exists() else []
            said = [line for line in lines if line.startswith("error: ")]
            return reason(said or lines)
        return "out of memory" if state == "OUT_OF_MEMORY" else KILLED


def _pattern(folder: Path) -> str:
    """The file of a job's standard error, as ``sbatch`` wants it: 12_1.log."""
    return f"{str(folder / SLURM_LOGS).replace('%', '%%')}/%A_%a.log"


def _of_a_job(name: str) -> bool:
    """Whether a variable is of the job that this command is given in: none of a worker's."""
    return name.startswith("SLURM_") and name != "SLURM_CONF"


def _call(
    words: Sequence[str], script: str | None = None, environment: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """A program of Slurm's; a signal of the terminal does not reach it."""
    return subprocess.run(  # noqa: S603  without a shell
        words,
        input=script or "",
        env=environment,
        capture_output=True,
        text=True,
        start_new_session=True,
        check=False,
    )
