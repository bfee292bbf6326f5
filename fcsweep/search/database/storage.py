"""A study in PostgreSQL, as Optuna and the search read and write it.

Trials are kept in memory. Alone, as a job in a process of its own is, the storage reads and writes
at every call. With a crew it gathers: what one worker does waits until it is written, together, and
what others have done is read when the worker claims trials. In between nothing needs the database.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Container, Iterator, Mapping, Sequence
from contextlib import contextmanager
from threading import Lock
from typing import Any

import sqlalchemy as sa
from optuna.distributions import BaseDistribution, check_distribution_compatibility
from optuna.storages import BaseStorage, RDBStorage
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy.engine import Connection

from fcsweep.search.database import tables
from fcsweep.search.database.engines import brief_engine, end_when_idle
from fcsweep.search.database.patience import Patience, TurnLost, is_lost
from fcsweep.system.crew import LostClaim

PATIENT = "SET LOCAL lock_timeout = '5s'"
"""A worker that waits for its turn looks up at times: it may be asked to end."""
STARTED = "fcsweep"
"""The attribute of a study whose row workers lock; see `fcsweep.search.study.study`."""


def _passed(name: str) -> Any:
    """A method of Optuna's own storage, with patience."""

    def call(self: Database, *args: Any, **kwargs: Any) -> Any:
        return self.patience(lambda: getattr(self.rdb, name)(*args, **kwargs))

    return call


class Database(BaseStorage):
    """A storage of Optuna that keeps the trials of a study in memory.

    Args:
        rdb: Optuna's own, of the database.
        patience: with which calls wait for it.
    """

    create_new_study = _passed("create_new_study")
    delete_study = _passed("delete_study")
    get_study_id_from_name = _passed("get_study_id_from_name")
    get_study_name_from_id = _passed("get_study_name_from_id")
    get_all_studies = _passed("get_all_studies")

    def __init__(self, rdb: RDBStorage, patience: Patience) -> None:
        self.rdb, self.patience = rdb, patience
        self.member: str | None = None
        """The attribute of the study by which this worker is known; None while it is alone."""
        self.lost = False
        """Whether that is gone: others have taken this worker for dead."""
        self._study = 0
        self._trials: list[FrozenTrial] = []
        self._settled = 0
        """As many trials, from the first, have ended: they are not read again."""
        self._numbers: dict[int, int] = {}
        self._of_study: dict[sa.Table, dict[str, Any]] = {}
        self._directions: dict[int, list[StudyDirection]] = {}
        self._ranges: dict[str, BaseDistribution] = {}
        self._waiting: dict[tables.Change, dict[str, Any]] = {}
        self._ends: dict[int, TrialState] = {}
        self._writing = Lock()
        """Held while what waits is written: by the worker, or by the thread of its signs."""
        self._turn: Connection | None = None
        self._briefly = brief_engine(rdb)
        for engine in (rdb.engine, self._briefly):
            end_when_idle(engine)

    # --- Turns and exchanges ----------------------------------------------------------------------

    @contextmanager
    def turn(self, study: int) -> Iterator[Connection]:
        """Let nobody else have a turn, in one transaction; all that others have done is known.

        Raises:
            TurnLost: the connection was lost; nobody knows whether the turn was written.
        """
        with self._writing:
            connection, ends = self.patience(lambda: self._begin(study))
            try:
                self._turn = connection
                yield connection
                connection.commit()
                self._forget(ends)
            except Exception as error:
                connection.invalidate()
                if is_lost(error):
                    raise TurnLost from error
                raise
            finally:
                self._turn = None
                connection.close()

    def _begin(self, study: int) -> tuple[Connection, Any]:
        connection = self.rdb.engine.connect()
        try:
            connection.execute(sa.text(PATIENT))
            tables.lock_attribute(connection, study, STARTED)
            written = self._write(connection)
            self._read(connection, study)
        except BaseException:
            connection.invalidate()
            connection.close()
            raise
        return connection, written

    def exchange(self, study: int) -> None:
        """Write what waits, and read what others have done."""

        def once() -> None:
            with self._writing:
                with self.rdb.engine.begin() as connection:
                    written = self._write(connection)
                    self._read(connection, study)
                self._forget(written)

        self.patience(once)

    def remove_session(self) -> None:
        """Keep no connection."""
        self.rdb.remove_session()
        self.rdb.engine.dispose()

    def send(self, study: int, life: str | None) -> bool:
        """Write what waits and a sign of life, now or not at all; whether it has a row still.

        It may be called by a thread of its own.
        """
        with self._writing:
            with self._briefly.begin() as connection:
                written = self._write(connection)
                there = life is None or tables.renew_sign(connection, study, life)
            self._forget(written)
        return there

    @property
    def has_turn(self) -> bool:
        """Whether this worker is in a `turn`, in which nothing else may be written."""
        return self._turn is not None

    @property
    def is_waiting(self) -> bool:
        """Whether something waits to be written."""
        return bool(self._waiting or self._ends)

    def _write(self, connection: Connection) -> Any:
        """What was written; it waits until the transaction is known to be."""
        rows, ends = dict(self._waiting), dict(self._ends)
        if rows or ends:
            self._require_membership(connection)
            tables.write_rows(connection, rows)
            tables.write_ends(connection, ends)
        return rows, ends

    def _require_membership(self, connection: Connection) -> None:
        if self.member and not tables.lock_attribute(connection, self._study, self.member):
            self.lost = True
            self._waiting.clear()
            self._ends.clear()
            raise LostClaim

    def _forget(self, written: Any) -> None:
        rows, ends = written
        for change, row in rows.items():
            if self._waiting.get(change) is row:
                del self._waiting[change]
        for trial in ends:
            self._ends.pop(trial, None)

    def _read(self, connection: Connection, study: int) -> None:
        if study != self._study:
            self._study, self._trials, self._settled = study, [], 0
        for table in (tables.OF_STUDY, tables.NOTED_OF_STUDY):
            self._of_study[table] = tables.read_attributes(connection, study, table)
        news = tables.read_trials(connection, study, self._settled)
        self._trials[self._settled :] = news
        self._numbers |= {trial._trial_id: trial.number for trial in news}
        while self._settled < len(self._trials) and self._trials[self._settled].state.is_finished():
            self._settled += 1

    # --- Studies ----------------------------------------------------------------------------------

    def get_study_directions(self, study_id: int) -> list[StudyDirection]:
        """They never change."""
        if study_id not in self._directions:
            call = self.rdb.get_study_directions
            self._directions[study_id] = self.patience(lambda: call(study_id))
        return self._directions[study_id]

    def get_study_user_attrs(self, study_id: int) -> dict[str, Any]:
        """As they were last read."""
        self._look(study_id)
        return dict(self._of_study[tables.NOTED_OF_STUDY])

    def get_study_system_attrs(self, study_id: int) -> dict[str, Any]:
        """As they were last read."""
        self._look(study_id)
        return dict(self._of_study[tables.OF_STUDY])

    def set_study_user_attr(self, study_id: int, key: str, value: Any) -> None:
        """At once."""
        self.patience(lambda: self.rdb.set_study_user_attr(study_id, key, value))
        self._of_study.setdefault(tables.NOTED_OF_STUDY, {})[key] = value

    def set_study_system_attr(self, study_id: int, key: str, value: Any) -> None:
        """At once."""
        self.patience(lambda: self.rdb.set_study_system_attr(study_id, key, value))
        self._of_study.setdefault(tables.OF_STUDY, {})[key] = value

    def settle(self, study_id: int, key: str, value: Any) -> None:
        """Set a system attribute of a study, unless another process was first."""

        def once() -> None:
            with self.rdb.engine.begin() as connection:
                tables.write_attribute(connection, study_id, key, value, once=True)

        self.patience(once)

    # --- Trials -----------------------------------------------------------------------------------

    def _look(self, study: int) -> None:
        """Alone, read what others have done; in a crew that has its times."""
        if self.member is None or study != self._study:
            self.exchange(study)

    def get_all_trials(
        self,
        study_id: int,
        deepcopy: bool = True,
        states: Container[TrialState] | None = None,
    ) -> list[FrozenTrial]:
        """As they were last read, with what this process has done since."""
        self._look(study_id)
        trials = [one for one in self._trials if states is None or one.state in states]
        return copy.deepcopy(trials) if deepcopy else trials

    def get_trial_id_from_study_id_trial_number(self, study_id: int, trial_number: int) -> int:
        """The id of a trial."""
        self._look(study_id)
        return self._trials[trial_number]._trial_id

    def get_trial(self, trial_id: int) -> FrozenTrial:
        """A trial of the study that was read."""
        if self.member is None:
            self.exchange(self._study)
        return self._trials[self._numbers[trial_id]]

    def create_new_trial(self, study_id: int, template_trial: FrozenTrial | None = None) -> int:
        """A new trial; in a turn it is one only if that is written."""
        connection = self._turn
        if connection is None or template_trial is not None:
            create = self.rdb.create_new_trial
            made = self.patience(lambda: create(study_id, template_trial))
            self.exchange(study_id)
            return made
        if tables.count_trials(connection, study_id) != len(self._trials):
            self._read(connection, study_id)  # a dashboard has made one
        trial = tables.create_trial(connection, study_id, len(self._trials))
        self._numbers[trial._trial_id] = trial.number
        self._trials.append(trial)
        return trial._trial_id

    def set_trial_param(
        self,
        trial_id: int,
        param_name: str,
        param_value_internal: float,
        distribution: BaseDistribution,
    ) -> None:
        """Set a parameter, of the kind that other trials have."""
        known = self._ranges.setdefault(param_name, distribution)
        check_distribution_compatibility(known, distribution)
        row = {"param_name": param_name, "param_value": param_value_internal}
        row |= {"distribution_json": tables.as_text(distribution)}
        value = distribution.to_external_repr(param_value_internal)
        self._change(trial_id, "distributions", {param_name: distribution})
        self._change(trial_id, "params", {param_name: value})
        self._let_wait(tables.PARAMS, trial_id, param_name, row)

    def set_trial_state_values(
        self, trial_id: int, state: TrialState, values: Sequence[float] | None = None
    ) -> bool:
        """Tell how a trial ended."""
        trial = self._updatable(trial_id)
        trial.state = state
        if values is not None:
            trial.values = list(values)
            for place, value in enumerate(values):
                row = tables.row_of_value(trial_id, place, value)
                self._waiting[tables.VALUES, trial_id, place] = row
        self._ends[trial_id] = state
        self._write_alone()
        return True

    def set_trial_intermediate_value(
        self, trial_id: int, step: int, intermediate_value: float
    ) -> None:
        """Report."""
        self._change(trial_id, "intermediate_values", {step: intermediate_value})
        row = tables.row_of_report(trial_id, step, intermediate_value)
        self._let_wait(tables.REPORTS, trial_id, step, row)

    def set_trial_user_attr(self, trial_id: int, key: str, value: Any) -> None:
        """Note."""
        self._change(trial_id, "user_attrs", {key: value})
        self._let_wait(tables.USER, trial_id, key, {"key": key, "value_json": json.dumps(value)})

    def set_trial_system_attr(self, trial_id: int, key: str, value: Any) -> None:
        """Note, as samplers and pruners do."""
        self._change(trial_id, "system_attrs", {key: value})
        self._let_wait(tables.SYSTEM, trial_id, key, {"key": key, "value_json": json.dumps(value)})

    def _updatable(self, trial_id: int) -> FrozenTrial:
        """A copy, in its place: who has the one from before keeps it as it was."""
        trial = copy.copy(self.get_trial(trial_id))
        self.check_trial_is_updatable(trial_id, trial.state)
        self._trials[trial.number] = trial
        return trial

    def _change(self, trial_id: int, name: str, more: Mapping[Any, Any]) -> None:
        trial = self._updatable(trial_id)
        setattr(trial, name, {**getattr(trial, name), **more})

    def _let_wait(self, table: sa.Table, trial_id: int, name: Any, row: dict[str, Any]) -> None:
        self._waiting[table, trial_id, name] = {"trial_id": trial_id, **row}
        self._write_alone()

    def _write_alone(self) -> None:
        if self.member is None:
            self.exchange(self._study)
