"""Where a study is kept: a journal in the sweep's folder, or a database by its URL.

Each line of the journal is an operation of Optuna's, with a sha256 of the line as its last key:
Optuna passes over that, and we find a byte that has changed since. The journal's size is kept in a
file beside it, so that we also find lines that are gone.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Generator, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from hashlib import sha256
from pathlib import Path
from typing import Any

import optuna
from hydra.utils import instantiate
from optuna.exceptions import OptunaError
from optuna.storages import BaseStorage, InMemoryStorage, JournalStorage, RDBStorage
from optuna.storages.journal import BaseJournalBackend, JournalFileBackend, JournalFileOpenLock
from optuna.study import Study

from fcsweep.composition.secrets import SECRET_URL
from fcsweep.messages.errors import ConfigError, RecordError, StudyError, UserError
from fcsweep.messages.secrets import masked_url, without_password
from fcsweep.messages.wording import one_line
from fcsweep.search.database.opening import database_of, is_shared
from fcsweep.system.bounded import read_bounded
from fcsweep.system.locks import lock, unlock

JOURNAL = "study.journal"
SIZE = "study.journal.size"
"""Beside the journal: how many bytes it had after the last write."""
LARGEST = 1_000_000_000
"""Bytes of a journal that is read."""
ANEW = "restore it from a copy, or start anew in another folder"
REBUILT = "restore it from a copy, or move it away: the records of the runs then stand in for it"
SQLITE = re.compile(r"sqlite(?:\+\w+)?:///(?!file:|:memory:)(?P<path>[^?]+)(?:\?.*)?")


def storage_of(
    given: Any, folder: Path, rebuilt: bool = False, patience: float = 0.0
) -> BaseStorage:
    """Open the storage of a study.

    Args:
        given: the URL of a database, a mapping with the ``_target_`` of a storage of Optuna, or
            None for the journal.
        folder: of the sweep, absolute.
        rebuilt: whether records of runs can stand in for a journal that is gone.
        patience: seconds to wait for a database that does not answer.

    Raises:
        DatabaseLost: it does not answer.
        ConfigError: the database cannot be opened; a password in the URL is not shown.
        StudyError: the journal cannot be read, or is damaged.
    """
    if given is None:
        return _journal(folder / JOURNAL, REBUILT if rebuilt else ANEW)
    url = url_of(given) or ""
    try:
        opened: Any = instantiate if isinstance(given, Mapping) else RDBStorage
        storage = database_of(given, url, patience) if is_shared(url) else opened(given)
    except UserError:
        raise
    except ImportError as error:
        extra = "; pip install 'fcsweep[postgres]'" if url.startswith("postgres") else ""
        raise ConfigError(f"hydra.sweeper.storage: {one_line(error)}{extra}") from None
    except Exception as error:  # of SQLAlchemy, Alembic and every driver
        shown = f"{masked_url(url)} cannot be used: {without_password(one_line(error), url)}"
        raise ConfigError(f"hydra.sweeper.storage {shown}") from None
    if isinstance(storage, BaseStorage) and not isinstance(storage, InMemoryStorage):
        return storage
    raise ConfigError(
        f"hydra.sweeper.storage is {type(storage).__name__}, which keeps no study; expected the "
        f"URL of a database, a storage of Optuna that is kept, or null for {JOURNAL}"
    )


def url_of(given: Any) -> str | None:
    """The URL in ``hydra.sweeper.storage``, whether it stands there alone or in a mapping."""
    url = given.get("url") if isinstance(given, Mapping) else given
    return url if isinstance(url, str) else None


@contextmanager
def password_handed_on(storage: Any) -> Iterator[None]:
    """Let jobs in other processes find a URL with a password in the environment."""
    url = url_of(storage)
    if url is None or masked_url(url) == url:
        yield
        return
    os.environ[SECRET_URL] = url
    try:
        yield
    finally:
        del os.environ[SECRET_URL]


def unmasked(given: Any) -> Any:
    """``hydra.sweeper.storage`` of a job, with the URL that the sweep has handed on."""
    url = os.environ.get(SECRET_URL)
    if url is None:
        return given
    return {**given, "url": url} if isinstance(given, Mapping) else url


def check_url(url: object) -> None:
    """Refuse the URL of an SQLite file in a folder that is not there, before anything is made.

    Raises:
        ConfigError: there is no such folder.
    """
    found = SQLITE.fullmatch(url) if isinstance(url, str) else None
    if found and not (folder := Path(found["path"]).parent).is_dir():
        raise ConfigError(
            f"hydra.sweeper.storage is {found[0]}: there is no folder {folder}; make it first, or "
            "name a file in a folder that is there"
        )


def _journal(path: Path, remedy: str) -> JournalStorage:
    if path.exists() and not path.is_file():
        raise StudyError(f"{path} is no file; name a new or an empty folder")
    if path.exists() and (size := path.stat().st_size) > LARGEST:
        raise StudyError(f"{path} has {size} bytes; expected at most {LARGEST} of a study")
    journal_lock = _FileLock(path)
    journal_lock.acquire()
    try:
        if path.exists():
            _cut_torn_tail(path)
            _operations(path, path.read_bytes(), remedy)  # refuses a damaged one
        if remedy is ANEW:  # else the records know what it lacks
            _refuse_shorter(path)
    finally:
        journal_lock.release()
    try:
        return JournalStorage(Journal(str(path), journal_lock))
    except OSError as error:
        raise RecordError(f"{path} cannot be written: {error.strerror or error}") from error
    except (KeyError, ValueError, AssertionError, OptunaError) as error:
        raise StudyError(f"{path} is damaged: {one_line(error)}; {remedy}") from error


def in_folder(storage: BaseStorage) -> bool:
    """Whether a storage is the journal in a sweep's folder, which is copied and moved with it."""
    return isinstance(storage, JournalStorage) and isinstance(storage._backend, Journal)


def read_study(folder: Path) -> Study | None:
    """The study in the journal of a sweep's folder, at any time and without a write; None: none.

    Of several studies in one journal it is the last that was begun.

    Raises:
        StudyError: the journal cannot be read, or is damaged.
    """
    path = folder / JOURNAL
    try:
        content = read_bounded(path, LARGEST)
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise StudyError(f"{path} cannot be read: {one_line(error)}") from error
    written = content[: content.rfind(b"\n") + 1]  # a line may be half written yet
    operations = _operations(path, written, ANEW)
    try:
        storage = JournalStorage(_Operations(operations))
        names = optuna.get_all_study_names(storage)
        return optuna.load_study(study_name=names[-1], storage=storage) if names else None
    except (LookupError, ValueError, AssertionError, TypeError, OptunaError) as error:
        raise StudyError(f"{path} is damaged: {one_line(error)}; {ANEW}") from error


class _Operations(BaseJournalBackend):
    """The operations of a journal, in memory and as they are."""

    def __init__(self, operations: list[dict[str, Any]]) -> None:
        self._operations = operations

    def read_logs(self, log_number_from: int) -> list[dict[str, Any]]:
        return self._operations[log_number_from:]

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        raise NotImplementedError  # a study that is read gets no operation


BEGINNING = b'{"op_code"'
"""Of every line of a journal."""


def _cut_torn_tail(path: Path) -> None:
    """Drop what a killed process left of its last line, to which the next would be glued."""
    with open(path, "r+b") as file:
        if file.seek(0, os.SEEK_END) == 0 or (file.seek(-1, os.SEEK_END), file.read())[1] == b"\n":
            return
        file.seek(0)
        content = file.read()
        whole = content.rfind(b"\n") + 1
        torn = content[whole:]
        if torn.startswith(BEGINNING) or BEGINNING.startswith(torn):  # else it is something else
            file.truncate(whole)


def _refuse_shorter(path: Path) -> None:
    """Refuse a journal that has lost lines: jobs that have ended would run again, unnoticed."""
    size, before = path.stat().st_size if path.exists() else 0, _size_before(path)
    if size < before:
        raise StudyError(
            f"{path} has {size} bytes, but had {before}: trials are lost; restore it from a copy, "
            f"or remove {path.with_name(SIZE)} to run again what it does not hold"
        )


def _size_before(path: Path) -> int:
    """The size that a journal had when it was last written; 0 if that is not known."""
    try:
        return int(read_bounded(path.with_name(SIZE), 100))
    except (OSError, ValueError):
        return 0


def reports_together(storage: Any) -> AbstractContextManager[None]:
    """A block that reports for several trials of a storage: in a journal, by one write."""
    journal = getattr(storage, "_backend", None)
    return journal.together() if isinstance(journal, Journal) else nullcontext()


def _keep_size(path: Path, size: int) -> None:
    """Keep the size of a journal, by one write over the last: a kill leaves the old or the new."""
    flags = os.O_WRONLY | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    with suppress(OSError):  # one that is too small refuses nothing
        descriptor = os.open(path.with_name(SIZE), flags, 0o666)
        try:
            os.write(descriptor, b"%20d\n" % size)
        finally:
            os.close(descriptor)


def _operations(path: Path, content: bytes, remedy: str) -> list[dict[str, Any]]:
    """The operations in the content of a journal; a StudyError names the line that is damaged."""
    found: list[dict[str, Any]] = []
    for number, line in enumerate(content.splitlines(), 1):
        try:
            sealed = SEALED.fullmatch(line)
            if sealed and (b"sha256", _digest(sealed[1])) != sealed.group(2, 3):
                raise ValueError("its sha256 is not the one that it was written with")
            record: Any = json.loads(line)
            if not isinstance(record, dict) or "op_code" not in record:
                raise ValueError("not a record of Optuna")
        except (ValueError, RecursionError) as error:
            raise StudyError(
                f"{path} is damaged in line {number}: {one_line(error)}; {remedy}"
            ) from error
        found.append(record)
    return found


SEALED = re.compile(rb'(\{.*),"(.{6})":"(.{16})"\}', re.DOTALL)


def _line(operation: Mapping[str, Any]) -> bytes:
    text = json.dumps(operation, separators=(",", ":")).encode().removesuffix(b"}")
    return b'%s,"sha256":"%s"}\n' % (text, _digest(text))


def _digest(text: bytes) -> bytes:
    return sha256(text).hexdigest()[:16].encode()


class Journal(JournalFileBackend):
    """Optuna's, with sealed lines, a known size, and no rest of a line that was not written."""

    _waiting: list[dict[str, Any]] | None = None

    @contextmanager
    def together(self) -> Iterator[None]:
        """Append what the block writes at its end, by one write; the block does not read it.

        Raises:
            RecordError: as in `append_logs`.
        """
        self._waiting = []
        try:
            yield
        finally:
            logs, self._waiting = self._waiting, None
            if logs:
                self.append_logs(logs)

    def read_logs(self, log_number_from: int) -> Generator[dict[str, Any]]:
        """The operations from a number on; the file is only opened if it holds more."""
        if self._log_number_offset.get(log_number_from) != os.stat(self._file_path).st_size:
            yield from super().read_logs(log_number_from)

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Append operations.

        Raises:
            RecordError: they cannot be written; the file is as it was.
        """
        if self._waiting is not None:
            self._waiting += logs
            return
        content = b"".join(map(_line, logs))
        try:
            self._lock.acquire()
            try:
                _cut_torn_tail(Path(self._file_path))
                with open(self._file_path, "ab", buffering=0) as file:
                    before = file.tell()
                    try:
                        while content:
                            content = content[file.write(content) :]
                    except OSError:
                        file.truncate(before)
                        raise
                    _keep_size(Path(self._file_path), file.tell())
            finally:
                self._lock.release()
        except OSError as error:
            why = error.strerror or error
            raise RecordError(f"{self._file_path} cannot be written: {why}") from error


class _FileLock(JournalFileOpenLock):
    """The system's own lock on the journal, which ends with its process, however that ends.

    Optuna's locks are files: one that a killed process leaves keeps the next waiting for 30 s.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(str(path))
        self._path = path
        self._locked: int | None = None

    def acquire(self) -> bool:
        """Wait for the lock."""
        self._locked = lock(self._path, wait=True)
        return True

    def release(self) -> None:
        """Let others go on."""
        assert self._locked is not None
        unlock(self._locked)
        self._locked = None
