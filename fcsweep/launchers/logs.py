"""Logs: that of each job of a stack, with its own lines only; and what is said when one is full."""

from __future__ import annotations

import logging
import sys
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from hydra.core.utils import configure_log
from omegaconf import DictConfig


class JobLog(logging.Logger):
    """A logger with the handlers that Hydra makes for a job.

    Its files are open only while a line is written: a stack may hold more trials than a process may
    open files.

    Args:
        settings: ``hydra.job_logging`` of the job.
        verbose: ``hydra.verbose``.
        folder: of the job.
    """

    def __init__(self, settings: DictConfig, verbose: bool, folder: Path) -> None:
        configure_log(settings, verbose)
        root = logging.getLogger()
        super().__init__("fcsweep", root.level)
        self._folder = folder
        for handler in root.handlers[:]:
            root.removeHandler(handler)
            if isinstance(handler, logging.FileHandler):
                handler.mode = "a"  # after the first line; what was there is gone already
            self.addHandler(handler)
        self._close()

    def in_folder(self, folder: Path) -> JobLog | None:
        """The same for a job with the same settings; None where Hydra has to make its handlers.

        Args:
            folder: of the job; its files have the names that they have in the folder of this one.
        """
        log = JobLog.__new__(JobLog)
        logging.Logger.__init__(log, self.name, self.level)
        log._folder = folder
        for handler in self.handlers:
            kind: type[object] = type(handler)
            if kind is logging.StreamHandler:
                log.addHandler(handler)
            elif type(handler) is logging.FileHandler and (twin := self._twin(handler, folder)):
                log.addHandler(twin)
            else:
                return None
        return log

    def _twin(self, handler: logging.FileHandler, folder: Path) -> logging.FileHandler | None:
        """A handler whose file is in another folder, new and empty."""
        file, own = Path(handler.baseFilename), self._folder.absolute()
        if not file.is_relative_to(own):
            return None
        other = folder.absolute() / file.relative_to(own)
        other.write_bytes(b"")
        twin = logging.FileHandler(other, "a", handler.encoding, True, handler.errors)
        twin.setLevel(handler.level)
        twin.setFormatter(handler.formatter)
        twin.filters = handler.filters[:]
        return twin

    def handle(self, record: logging.LogRecord) -> None:
        """Write a line."""
        super().handle(record)
        self._close()

    def _close(self) -> None:
        for handler in self.handlers:
            if isinstance(handler, logging.FileHandler):
                with suppress(OSError):  # what it could not write is said already
                    handler.close()


_OPEN: dict[Path, JobLog] = {}
"""The logs of the jobs that this process runs now, by their folders."""


def log_of(folder: Path) -> logging.Logger:
    """The log of the job in a folder; the program's own where it has none."""
    return _OPEN.get(folder, logging.getLogger("fcsweep"))


@contextmanager
def log_to_all(logs: Mapping[Path, JobLog]) -> Generator[None]:
    """While the block runs, `log_of` knows these logs of jobs, by their folders.

    What is logged elsewhere in the process goes to all of them.
    """
    root = logging.getLogger()
    before = root.handlers[:]
    root.handlers[:] = [_ToAll([*logs.values()])]
    _OPEN.update(logs)
    try:
        yield
    finally:
        root.handlers[:] = before
        for folder in logs:
            del _OPEN[folder]


class _ToAll(logging.Handler):
    def __init__(self, logs: Sequence[JobLog]) -> None:
        super().__init__()
        self.logs = logs

    def emit(self, record: logging.LogRecord) -> None:
        for log in self.logs:
            log.handle(record)


def off_the_terminal(logger: logging.Logger) -> None:
    """Leave out the terminal where there is a file; in a stack, from the log of each job."""
    for handler in logger.handlers[:]:
        if isinstance(handler, _ToAll):
            for log in handler.logs:
                off_the_terminal(log)
        kind: type[object] = type(handler)
        has_file = any(isinstance(one, logging.FileHandler) for one in logger.handlers)
        if has_file and kind is logging.StreamHandler:
            logger.removeHandler(handler)


@contextmanager
def report_lost_lines() -> Generator[None]:
    """While the block runs, a line that a log cannot write is dropped.

    By default logging prints a stack trace for each. A log is not a record: results are in the
    other files, whose own write errors are reported. At the end a warning names
    each log that lacks lines.
    """
    lost: dict[str, str] = {}
    theirs = logging.Handler.handleError

    def keep(self: logging.Handler, record: logging.LogRecord) -> None:
        error = sys.exc_info()[1]
        if not isinstance(error, OSError):
            theirs(self, record)
        elif isinstance(self, logging.FileHandler):
            lost.setdefault(self.baseFilename, error.strerror or str(error))

    logging.Handler.handleError = keep
    try:
        yield
    finally:
        logging.Handler.handleError = theirs
    for path, why in lost.items():
        print(f"warning: {path} lacks lines: {why}", file=sys.stderr)
