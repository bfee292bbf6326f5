"""Where a study is kept: a journal in the sweep's folder, or a database by its URL."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import optuna
from optuna.storages import BaseStorage, JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock

from fcsweep.config import ConfigError, one_line
from fcsweep.masking import masked

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

JOURNAL = "study.journal"
SECRET_URL = "FCSWEEP_STORAGE"
"""Environment variable that hands a URL with a password on to jobs in other processes."""


def storage_of(url: str | None, folder: Path) -> BaseStorage:
    """Open the storage of a study.

    Args:
        url: of a database, or None for the journal.
        folder: of the sweep, absolute.

    Raises:
        ConfigError: it cannot be opened or is damaged; a password in the URL is not shown.
    """
    if url is None:
        return _journal(folder / JOURNAL)
    try:
        return RDBStorage(url)
    except ImportError as error:
        extra = "; pip install 'fcsweep[postgres]'" if url.startswith("postgres") else ""
        raise ConfigError(f"hydra.sweeper.storage: {one_line(error)}{extra}") from None
    except Exception as error:  # of SQLAlchemy, Alembic and every driver
        text = masked(one_line(error).replace(url, masked(url)))
        raise ConfigError(f"hydra.sweeper.storage {masked(url)} cannot be used: {text}") from None


def _journal(path: Path) -> JournalStorage:
    lock = _FileLock(path) if fcntl is not None else JournalFileOpenLock(str(path))
    if path.exists():
        lock.acquire()
        try:
            _cut_torn_tail(path)
            _check(path)
        finally:
            lock.release()
    try:
        return JournalStorage(JournalFileBackend(str(path), lock))
    except (KeyError, ValueError, AssertionError, optuna.exceptions.OptunaError) as error:
        raise ConfigError(f"{path} is damaged: {one_line(error)}") from error


def _cut_torn_tail(path: Path) -> None:
    """Drop what a killed process left of its last line, to which the next would be glued."""
    with open(path, "r+b") as file:
        content = file.read()
        whole = content.rfind(b"\n") + 1
        if whole < len(content):
            file.truncate(whole)


def _check(path: Path) -> None:
    """Refuse a journal with a line that is not a record."""
    for number, line in enumerate(path.read_bytes().splitlines(), 1):
        try:
            record: Any = json.loads(line)
            if not isinstance(record, dict) or "op_code" not in record:
                raise ValueError("not a record of Optuna")
        except (ValueError, RecursionError) as error:
            raise ConfigError(
                f"{path} is damaged in line {number}: {one_line(error)}; restore it from a copy, "
                "or start anew in another folder"
            ) from error


class _FileLock(JournalFileOpenLock):
    """The system's own lock on the journal, which ends with its process, however that ends.

    Optuna's locks are files: one that a killed process leaves keeps the next waiting for 30 s.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(str(path))
        self._path = path
        self._descriptor: int | None = None

    def acquire(self) -> bool:
        """Wait for the lock."""
        self._descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o644)
        assert fcntl is not None  # else this class is not used
        fcntl.flock(self._descriptor, fcntl.LOCK_EX)
        return True

    def release(self) -> None:
        """Let others go on."""
        assert self._descriptor is not None
        os.close(self._descriptor)
        self._descriptor = None
