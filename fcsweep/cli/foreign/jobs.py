"""What a job of another app leaves: its log, and how it ended, whatever process it ran in."""

from __future__ import annotations

import json
import logging
import math
import time
from pathlib import Path
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.utils import JobReturn, JobStatus
from hydra.experimental.callback import Callback
from hydra.types import TaskFunction
from omegaconf import DictConfig

from fcsweep.launchers.logs import off_the_terminal
from fcsweep.messages.wording import one_line, printable
from fcsweep.system.atomic import write_atomically

log = logging.getLogger(__name__)


class JobLogs(Callback):
    """Keeps what a job logs in its own file, off the terminal, with the stack trace of an error."""

    def on_job_start(self, config: DictConfig, *, task_function: TaskFunction, **_: Any) -> None:
        """Leave out the terminal, if there is a file."""
        off_the_terminal(logging.getLogger())

    def on_job_end(self, config: DictConfig, job_return: JobReturn, **_: Any) -> None:
        """Log what it raised."""
        if (error := _raised(job_return)) and logging.getLogger().handlers:
            log.error("the job failed", exc_info=error)


class JobEnds(JobLogs):
    """Also writes to a file what is known of a job, when it begins and when it ends.

    Args:
        folder: of these files.
        told: whether a line says how a job has ended.
    """

    def __init__(self, folder: Path, told: bool) -> None:
        self._folder, self._told = folder, told

    def on_job_start(self, config: DictConfig, *, task_function: TaskFunction, **_: Any) -> None:
        """Note that it has begun."""
        super().on_job_start(config, task_function=task_function)
        self._began = time.monotonic()
        self._write(config, status="running")

    def on_job_end(self, config: DictConfig, job_return: JobReturn, **_: Any) -> None:
        """Note how it has ended, and say so."""
        super().on_job_end(config, job_return)
        error, value = _raised(job_return), _number(job_return._return_value)
        status, reason = ("failed", one_line(error)) if error else ("completed", "")
        seconds = time.monotonic() - self._began
        self._write(config, status=status, value=value, seconds=seconds, reason=reason)
        if self._told:
            words = [f"trial {config.hydra.job.num}:", status]
            words += [] if value is None else [f"{value:.4g}"]
            words += [f"({', '.join(config.hydra.overrides.task)})"]
            print(printable(" ".join(words) + (f": {reason}" if reason else "")), flush=True)

    def _write(self, config: DictConfig, **known: Any) -> None:
        number, folder = config.hydra.job.num, str(config.hydra.sweep.subdir)
        known |= {"number": number, "folder": folder, "params": _params(config)}
        self._folder.mkdir(parents=True, exist_ok=True)
        write_atomically(self._folder / f"{number}.json", json.dumps(known).encode())


def _raised(done: JobReturn) -> BaseException | None:
    value = done._return_value  # return_value would raise it
    failed = done.status is not JobStatus.COMPLETED and isinstance(value, BaseException)
    return value if failed else None


def _number(value: Any) -> float | None:
    """The number that a job returned; None for anything else, and for one that is not finite."""
    from fcsweep.search.study.trial import numbers_in

    try:
        numbers = numbers_in(value)
    except TypeError:
        return None
    return numbers[0] if len(numbers) == 1 and math.isfinite(numbers[0]) else None


def _params(config: DictConfig) -> dict[str, Any]:
    """The values that a job was given, by key."""
    overrides = OverridesParser.create().parse_overrides(list(config.hydra.overrides.task))
    return {str(one.key_or_group): _plain(one) for one in overrides if not one.is_delete()}


def _plain(override: Any) -> Any:
    value = override.value()
    simple = value is None or isinstance(value, bool | int | float)
    return value if simple else override.get_value_element_as_str()
