"""The workers of a study in a database, on one machine or on several.

Each has two attributes in the study: who it is and what it works on, and a sign that it changes
while it lives: the time by the clock of the database. A worker of the same machine has ended when
its process has; one of another when its sign has not changed for the lease, by the clock of who
watches. Who is taken for dead loses its attributes, and its file in the sweep's folder: it writes
nothing more, neither there nor here.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from threading import Event, Thread
from typing import TypeVar

from optuna.study import Study
from sqlalchemy.engine import Connection

from fcsweep.search.database import tables
from fcsweep.search.database.patience import DatabaseLost, TurnLost
from fcsweep.search.database.storage import Database
from fcsweep.system.crew import Crew, LostClaim, Member

log = logging.getLogger(__name__)
T = TypeVar("T")

WORKER, LIFE = "fcsweep.worker.", "fcsweep.life."
"""How the attributes of a worker begin."""
EVERY = 1.0
"""Seconds between two moments at which what was reported is written."""


def crew_of(study: Study, folder: Path, starts: int, lease: float) -> Crew:
    """The processes that work on a study: on one machine, or of one in PostgreSQL on several.

    Args:
        study: that they work on.
        folder: as for `StudyCrew`.
        starts: the same.
        lease: the same.
    """
    storage = study._storage
    if isinstance(storage, Database):
        return StudyCrew(folder, starts, study, storage, lease)
    return Crew(folder, starts)


class StudyCrew(Crew):
    """The processes that work on a study in a database.

    Args:
        folder: of the sweep; all machines share it.
        starts: as in `fcsweep.system.crew.Member`.
        study: in a `Database`.
        lease: seconds without a sign of life after which a worker of another machine is dead.
    """

    pause = 0.5

    def __init__(self, folder: Path, starts: int, study: Study, database: Database, lease: float):
        super().__init__(folder, starts)
        self._database, self._study, self._lease = database, study._study_id, lease
        self._name, self._connection = self._path.name, None
        self._seen: dict[str, tuple[float, float]] = {}
        """Of workers elsewhere: the last sign of life, and since when."""
        self._losses = database.patience.losses
        self._confirmed = self._asked = _clock()
        self._end = Event()
        self._thread = Thread(target=self._live, daemon=True)
        database.member = WORKER + self._name

    def __enter__(self) -> StudyCrew:
        """Join."""
        super().__enter__()
        self._thread.start()
        return self

    def leave(self) -> None:
        """Be a member no more; once is enough."""
        self._end.set()
        if self._thread.is_alive():
            self._thread.join()
        with suppress(DatabaseLost):  # the others will find that this process has ended
            super().leave()

    @contextmanager
    def turn(self) -> Generator[None]:
        """Keep all others from joining, looking and taking while the block runs.

        Raises:
            TurnLost: the connection was lost; what was taken may or may not be.
        """
        with self._database.turn(self._study) as self._connection, super().turn():
            yield

    def in_turn(self, call: Callable[[], T]) -> T:
        """Call in a turn, again in another while the connection is lost."""
        while True:
            with suppress(TurnLost):
                return super().in_turn(call)

    def exchange(self) -> None:
        """Let others know what was done here, and learn what they have done."""
        self._database.exchange(self._study)
        self._database.remove_session()

    def others(self) -> list[Member]:
        """The other living members, in a `turn`; those that are dead are struck off."""
        told = self._database.get_study_system_attrs(self._study)
        if self._losses != self._database.patience.losses:  # nobody could give signs meanwhile
            self._losses, self._seen = self._database.patience.losses, {}
        found: list[Member] = []
        for key in sorted(told):
            name = key.removeprefix(WORKER)
            if name in (key, self._name):
                continue
            member = Member(**told[key])
            if self._has_ended(member, name, told.get(LIFE + name, 0.0)):
                self._strike_off(name)
            else:
                found.append(member)
        return found

    def _has_ended(self, member: Member, name: str, sign: float) -> bool:
        if member.machine == self._me.machine:
            return member.state == "ended"
        seen, since = self._seen.get(name, (None, 0.0))
        if seen != sign:
            self._seen[name] = sign, _clock()
            return False
        return _clock() - since > self._lease

    def _strike_off(self, name: str) -> None:
        tables.remove_attributes(self._open(), self._study, [WORKER + name, LIFE + name])
        (self._roll / name).unlink(missing_ok=True)

    def _open(self) -> Connection:
        assert self._connection is not None  # in a turn
        return self._connection

    def _write(self) -> None:
        super()._write()
        me, here = WORKER + self._name, (self._open(), self._study)
        tables.write_attribute(*here, me, asdict(self._me))
        tables.write_sign(*here, LIFE + self._name)

    def _sign_off(self) -> None:
        super()._sign_off()
        own = [WORKER + self._name, LIFE + self._name]
        tables.remove_attributes(self._open(), self._study, own)

    def check(self) -> None:
        """Make sure that nobody has taken this process for dead.

        Raises:
            LostClaim: somebody has.
        """
        now = _clock()
        silent = now - max(self._confirmed, self._asked) > self._lease / 2  # stopped, or cut off
        if silent and not self._database.has_turn:  # in which its own writes would wait for it
            self._asked = now
            self._give_sign()
        if self._database.lost:
            raise LostClaim
        super().check()  # last: to wait for an answer may take as long as others need to take over

    def _live(self) -> None:
        """Give signs of life, and write what was reported meanwhile."""
        while not self._end.wait(min(EVERY, self._lease / 3)):
            due = _clock() - self._confirmed >= self._lease / 3
            if due or self._database.is_waiting:
                self._give_sign(due)

    def _give_sign(self, due: bool = True) -> None:
        with suppress(Exception, LostClaim):  # the next one may come through
            if not self._database.send(self._study, LIFE + self._name if due else None):
                self._database.lost = True
            self._confirmed = _clock() if due else self._confirmed


def _clock() -> float:
    """Seconds of a clock that goes on while the machine sleeps."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))
