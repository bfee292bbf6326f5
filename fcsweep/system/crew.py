"""The processes that work on one sweep, and what each of them works on.

Each has a file in ``.workers/`` in the sweep's folder, and keeps it locked. The operating system
drops the lock with the process, however that ends: then what it was working on is free at once. A
process that is suspended and continued keeps its lock and its work.
"""

from __future__ import annotations

import json
import os
import secrets
import socket
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field, replace
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import TypeVar

from fcsweep.messages.errors import FolderError
from fcsweep.system.atomic import writing
from fcsweep.system.locks import NO_LOCK, lock, lock_open, unlock

T = TypeVar("T")

ROLL = ".workers"
"""Folder of the files, in that of the sweep; it is there while somebody works."""


BOOT, NAMESPACE = Path("/proc/sys/kernel/random/boot_id"), Path("/proc/self/ns/pid")
"""What Linux tells of the start of the machine, and of whose process ids a process has."""


class LostClaim(BaseException):
    """Another process has taken over the work of this one, which must write nothing more.

    No handler of errors takes it for the failure of a run, which would be written.
    """


@cache
def this_machine() -> str:
    """What tells the processes that can see each other from those elsewhere."""
    try:
        return f"{BOOT.read_text().strip()} {os.readlink(NAMESPACE)}"
    except OSError:  # not Linux
        return socket.gethostname()


def _began() -> float:
    import psutil  # not for --help

    return psutil.Process().create_time()


@dataclass(frozen=True)
class Member:
    """A process that works on a sweep."""

    host: str = field(default_factory=socket.gethostname)
    pid: int = field(default_factory=os.getpid)
    machine: str = field(default_factory=lambda: this_machine())
    began: float = field(default_factory=_began)
    """When its process did, in seconds since 1970."""
    starts: int = 0
    """Of one that only waits for others: how many it has started."""
    jobs: str = ""
    """What the sweep trains, where its study does not say so: a digest of the jobs of a grid."""
    total: int | None = None
    """Jobs of a grid; a study says itself how many trials it is to have."""
    work: list[int] = field(default_factory=list[int])
    """Numbers of jobs, or of batches of trials."""

    @property
    def is_here(self) -> bool:
        """Whether its process can be seen from this one."""
        return self.machine == this_machine()

    @property
    def state(self) -> str:
        """Of the process of one that `is_here`.

        ``alive``; ``stopped`` by a signal, from which it can go on; ``ended``: a zombie has, and a
        later process with its number is another.
        """
        import psutil  # not for --help

        try:
            process = psutil.Process(self.pid)
            status = process.status()
            if abs(process.create_time() - self.began) >= 2 or status == psutil.STATUS_ZOMBIE:
                return "ended"
        except psutil.NoSuchProcess:
            return "ended"
        return "stopped" if status == psutil.STATUS_STOPPED else "alive"


class Crew:
    """The processes that work on a sweep; while the block runs, this one is among them.

    Args:
        folder: of the sweep; it exists.
        starts: as in `Member`.
        jobs: as in `Member`.
        total: as in `Member`.

    Raises:
        FolderError: others train other jobs there; or, at the end of the block, another process has
            taken this one for dead.
        RecordError: the disk is full.
    """

    pause = 0.1
    """Seconds between two looks at what others have done."""

    def __init__(
        self, folder: Path, starts: int = 0, jobs: str = "", total: int | None = None
    ) -> None:
        self._roll = folder.absolute() / ROLL
        self._me = Member(starts=starts, jobs=jobs, total=total)
        name = f"{self._me.host}-{self._me.pid}-{secrets.token_hex(4)}"
        self._path, self._locked = self._roll / name, NO_LOCK

    def __enter__(self) -> Crew:
        """Join."""
        global _own_crew
        with self.turn():
            self._refuse_strangers()
            with writing(self._path):
                self._path.touch()
            locked = lock(self._path)
            assert locked is not None  # no other process knows the file
            self._locked = locked
            self._write()
        _own_crew = self
        return self

    def __exit__(self, kind: type[BaseException] | None, *error: object) -> None:
        """Leave."""
        try:
            self.leave()
        except LostClaim:  # it is found only now
            kind = LostClaim
        if kind is LostClaim:
            raise FolderError(
                "another process has taken this one for dead and resumed its trials; run the same "
                "command to join again"
            )

    def _refuse_strangers(self) -> None:
        for other in self.others():
            if other.jobs != self._me.jobs:
                raise FolderError(
                    f"hydra.sweep.dir: {self._roll.parent} is in use by process {other.pid} on "
                    f"{other.host}, which trains other jobs; name a new or an empty folder"
                )

    def leave(self) -> None:
        """Leave the crew; a second call does nothing."""
        global _own_crew, _left
        if _own_crew is self:
            _own_crew = None
            _left = self.in_turn(self._others_without_me)
            unlock(self._locked)

    def _others_without_me(self) -> int:
        self._sign_off()
        return len(self.others())

    def _sign_off(self) -> None:
        self._path.unlink(missing_ok=True)

    @contextmanager
    def turn(self) -> Generator[None]:
        """Keep all others from joining, looking and taking while the block runs."""
        locked = self._lock_roll()
        try:
            yield
        finally:
            with suppress(OSError):  # others are there
                self._roll.rmdir()
            unlock(locked)

    def in_turn(self, call: Callable[[], T]) -> T:
        """Call in a `turn`."""
        with self.turn():
            return call()

    def exchange(self) -> None:
        """Let others know what was done here, and learn what they have done.

        The journal of a study, and the folders of jobs, show both at any time.
        """

    def _lock_roll(self) -> int:
        while True:
            try:
                with writing(self._roll):
                    self._roll.mkdir(parents=True, exist_ok=True)
                descriptor = os.open(self._roll, os.O_RDONLY)
            except (FileExistsError, FileNotFoundError):  # another has just removed it
                continue
            locked = lock_open(descriptor, wait=True)
            assert locked is not None  # it was waited for
            if locked == NO_LOCK or _is_at(locked, self._roll):
                return locked
            unlock(locked)  # another process has removed the folder

    def others(self) -> list[Member]:
        """The other living members, in a `turn`; those whose process has ended are forgotten."""
        found: list[Member] = []
        for path in sorted(self._roll.iterdir()):
            if path == self._path:
                continue
            locked = lock(path)
            if locked is None or (locked == NO_LOCK != self._locked):
                found.append(_read(path))
                continue
            path.unlink(missing_ok=True)
            unlock(locked)
        return found

    def take(self, work: Sequence[int]) -> None:
        """Take work, in a `turn`, in place of what was taken before."""
        self._me = replace(self._me, work=list(work))
        self._write()

    def check(self) -> None:
        """Make sure that no other process has taken this one for dead.

        Raises:
            LostClaim: another has.
        """
        if not self._path.exists():
            raise LostClaim

    def _write(self) -> None:
        """In place: the lock is that of the file."""
        self.check()
        with writing(self._path):
            self._path.write_text(json.dumps(asdict(self._me)))


def on_roll(folder: Path) -> list[Member]:
    """Who is on the roll of a sweep, living or killed: read without a lock, at any time.

    Args:
        folder: of the sweep.
    """
    names = sorted((folder / ROLL).glob("*"))
    return [member for member in map(_read_again, names) if member.pid]


def _read_again(path: Path) -> Member:
    """What a file of the roll holds, which may just be written, in place."""
    for _ in range(2):
        if (member := _read(path)).pid or not path.exists():
            return member
        time.sleep(0.01)
    return _read(path)


def digest(jobs: object) -> str:
    """What tells the jobs of a grid from those of another; of None nothing."""
    return "" if jobs is None else sha256(repr(jobs).encode()).hexdigest()[:16]


def others_at_work(count: int) -> str:
    """What one says who leaves before the last."""
    others = "another process is" if count == 1 else f"{count} other processes are"
    return f"{others} working on this sweep; the last one writes its tables"


_own_crew: Crew | None = None
_left = 0


def others_when_left() -> int:
    """How many other processes worked on the sweep when this one left it."""
    return _left


def fence() -> None:
    """Let pass who may write: called before every record.

    Raises:
        LostClaim: this process works on a sweep, and another has taken over its work.
    """
    if _own_crew is not None:
        _own_crew.check()


def _is_at(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


def _read(path: Path) -> Member:
    try:
        return Member(**json.loads(path.read_text()))
    except (OSError, ValueError, TypeError):  # it was killed while it wrote, or is another version
        return Member("?", 0)
