"""Optuna's tables: a study is read by columns, and rows of many trials are written together.

Optuna reads a study by its object-relational mapper and writes a row a transaction, which costs ten
times as much. The tables are those of the schema `VERSION`.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from optuna.distributions import BaseDistribution, distribution_to_json, json_to_distribution
from optuna.storages._rdb import models
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy.dialects import postgresql
from sqlalchemy.engine import Connection

VERSION = "v3.2.0.a"
"""The schema that is known here; another is left to Optuna."""


def _table(model: Any) -> sa.Table:
    return model.__table__


STUDIES, TRIALS = _table(models.StudyModel), _table(models.TrialModel)
PARAMS, VALUES = _table(models.TrialParamModel), _table(models.TrialValueModel)
USER, SYSTEM = _table(models.TrialUserAttributeModel), _table(models.TrialSystemAttributeModel)
REPORTS = _table(models.TrialIntermediateValueModel)
OF_STUDY = _table(models.StudySystemAttributeModel)
NOTED_OF_STUDY = _table(models.StudyUserAttributeModel)
NAMES = {PARAMS: "param_name", VALUES: "objective", USER: "key", SYSTEM: "key", REPORTS: "step"}
"""What tells the rows of one trial from each other."""

Change = tuple[sa.Table, int, Any]
"""A row that is written: its table, the id of its trial, its name."""


def row_of_value(trial: int, place: int, value: float) -> dict[str, Any]:
    """The row of a value of a trial."""
    stored, kind = models.TrialValueModel.value_to_stored_repr(value)
    return {"trial_id": trial, "objective": place, "value": stored, "value_type": kind}


def row_of_report(trial: int, step: int, value: float) -> dict[str, Any]:
    """The row of what a trial has reported."""
    stored, kind = models.TrialIntermediateValueModel.intermediate_value_to_stored_repr(value)
    told = {"intermediate_value": stored, "intermediate_value_type": kind}
    return {"trial_id": trial, "step": step, **told}


def read_attributes(connection: Connection, study: int, table: sa.Table) -> dict[str, Any]:
    """The attributes of a study, of users or of the system."""
    rows = connection.execute(
        sa.select(table.c.key, table.c.value_json).where(table.c.study_id == study)
    )
    return {key: json.loads(value) for key, value in rows}


def read_trials(connection: Connection, study: int, first: int) -> list[FrozenTrial]:
    """The trials of a study from number ``first`` on, in order."""
    wanted = (TRIALS.c.study_id == study) & (TRIALS.c.number >= first)
    columns = (TRIALS.c[name] for name in ("trial_id", "number", "state"))
    times = (TRIALS.c.datetime_start, TRIALS.c.datetime_complete)
    rows = connection.execute(sa.select(*columns, *times).where(wanted).order_by(TRIALS.c.number))
    found = {row[0]: _bare(*row) for row in rows}
    if not found:
        return []
    for trial, name, value, distribution in _children(connection, found, wanted, PARAMS):
        known = _distribution(distribution)
        trial.params[name] = known.to_external_repr(value)
        trial.distributions[name] = known
    for trial, _, value, kind in _children(connection, found, wanted, VALUES):
        told = models.TrialValueModel.stored_repr_to_value(value, kind)
        trial.values = [*(trial.values or ()), told]
    for trial, key, value in _children(connection, found, wanted, USER):
        trial.user_attrs[key] = json.loads(value)
    for trial, key, value in _children(connection, found, wanted, SYSTEM):
        trial.system_attrs[key] = json.loads(value)
    decode = models.TrialIntermediateValueModel.stored_repr_to_intermediate_value
    for trial, step, value, kind in _children(connection, found, wanted, REPORTS):
        trial.intermediate_values[step] = decode(value, kind)
    return list(found.values())


def _children(
    connection: Connection, found: Mapping[int, FrozenTrial], wanted: Any, table: sa.Table
) -> Iterator[Any]:
    """The trials and the other columns of the rows of a table."""
    first, *columns = table.columns
    columns.sort(key=lambda one: one.name != "trial_id")
    order = (table.c.trial_id, table.c[NAMES[table]] if table in (VALUES, REPORTS) else first)
    joined = sa.select(*columns).join(TRIALS, TRIALS.c.trial_id == table.c.trial_id)
    for number, *row in connection.execute(joined.where(wanted).order_by(*order)):
        if number in found:  # else it was made after those were read
            yield found[number], *row


def _bare(
    trial: int, number: int, state: TrialState, start: datetime | None, end: datetime | None
) -> FrozenTrial:
    return FrozenTrial(
        number=number,
        state=state,
        value=None,
        datetime_start=_local(start),
        datetime_complete=_local(end),
        params={},
        distributions={},
        user_attrs={},
        system_attrs={},
        intermediate_values={},
        trial_id=trial,
    )


def _local(stored: datetime | None) -> datetime | None:
    """A time as Optuna shows it; it is stored in UTC."""
    return None if stored is None else stored.replace(tzinfo=UTC).astimezone().replace(tzinfo=None)


def _now() -> datetime:
    return datetime.now(UTC).replace(tzinfo=None)


@functools.lru_cache(1000)
def _distribution(text: str) -> BaseDistribution:
    return json_to_distribution(text)


@functools.lru_cache(1000)
def as_text(distribution: BaseDistribution) -> str:
    """A distribution, as it is stored."""
    return distribution_to_json(distribution)


def write_rows(connection: Connection, changes: Mapping[Change, Mapping[str, Any]]) -> None:
    """Write rows, new or in place of those of the same trial and name."""
    of_tables: dict[sa.Table, list[Mapping[str, Any]]] = {}
    for (table, *_), row in sorted(changes.items(), key=lambda one: _place(one[0])):
        of_tables.setdefault(table, []).append(row)
    for table, rows in of_tables.items():
        columns = {name: [row[name] for row in rows] for name in _columns(table)}
        connection.execute(_upsert(table), columns)


def _place(change: Change) -> tuple[str, int, Any]:
    """All write in one order, so that none waits for another that waits for it."""
    table, trial, name = change
    return table.name, trial, name


def _columns(table: sa.Table) -> list[str]:
    return [one.name for one in table.columns if not one.primary_key]


@functools.cache
def _upsert(table: sa.Table) -> Any:
    """Rows, given as a list for each column.

    One statement: between the messages of several that are sent together the server would wait for
    a worker that has been stopped for as long as it is, with all that it has locked.
    """
    names, key = _columns(table), ["trial_id", NAMES[table]]
    given = (sa.bindparam(name, type_=sa.ARRAY(table.c[name].type)) for name in names)
    rows = sa.func.unnest(*given).table_valued(*names).render_derived()
    statement = postgresql.insert(table).from_select(names, sa.select(rows))
    told = {name: statement.excluded[name] for name in names if name not in key}
    return statement.on_conflict_do_update(index_elements=key, set_=told)


def write_ends(connection: Connection, ends: Mapping[int, TrialState]) -> None:
    """End trials that are running; those that have ended already stay as they are."""
    for state in sorted(set(ends.values())):
        these = [trial for trial, end in sorted(ends.items()) if end is state]
        running = TRIALS.c.trial_id.in_(these) & (TRIALS.c.state == TrialState.RUNNING)
        told = {"state": state, "datetime_complete": _now()}
        connection.execute(sa.update(TRIALS).where(running).values(told))


def lock_attribute(connection: Connection, study: int, key: str) -> bool:
    """Lock an attribute of a study until the end of the transaction; False: there is none."""
    row = sa.select(OF_STUDY.c.key).where(OF_STUDY.c.study_id == study, OF_STUDY.c.key == key)
    return connection.execute(row.with_for_update()).first() is not None


def write_attribute(
    connection: Connection, study: int, key: str, value: Any, once: bool = False
) -> None:
    """Write an attribute of a study; ``once``: only where there is none of this name."""
    row = {"study_id": study, "key": key, "value_json": json.dumps(value)}
    statement = postgresql.insert(OF_STUDY).values(row)
    names = ["study_id", "key"]
    told = {"value_json": statement.excluded.value_json}
    connection.execute(
        statement.on_conflict_do_nothing(index_elements=names)
        if once
        else statement.on_conflict_do_update(index_elements=names, set_=told)
    )


CLOCK = sa.cast(sa.extract("epoch", sa.func.clock_timestamp()), sa.Text)
"""Seconds since 1970 by the clock of the database, as JSON."""


def write_sign(connection: Connection, study: int, key: str) -> None:
    """Write a sign of life, an attribute of a study; one that is there stays as it is."""
    row = {"study_id": study, "key": key, "value_json": CLOCK}
    statement = postgresql.insert(OF_STUDY).values(row)
    connection.execute(statement.on_conflict_do_nothing(index_elements=["study_id", "key"]))


def renew_sign(connection: Connection, study: int, key: str) -> bool:
    """Renew a sign of life; False where there is none of this name."""
    row = sa.update(OF_STUDY).where(OF_STUDY.c.study_id == study, OF_STUDY.c.key == key)
    return connection.execute(row.values(value_json=CLOCK)).rowcount == 1


def clock(connection: Connection) -> float:
    """What the signs of life that are given now hold."""
    return json.loads(connection.execute(sa.select(CLOCK)).scalar_one())


def remove_attributes(connection: Connection, study: int, keys: Sequence[str]) -> None:
    """Remove attributes of a study."""
    these = (OF_STUDY.c.study_id == study) & OF_STUDY.c.key.in_(keys)
    connection.execute(sa.delete(OF_STUDY).where(these))


def count_trials(connection: Connection, study: int) -> int:
    """How many trials a study has; nobody makes one until the end of the transaction."""
    connection.execute(
        sa.select(STUDIES.c.study_id).where(STUDIES.c.study_id == study).with_for_update()
    )
    rows = sa.select(sa.func.count()).select_from(TRIALS).where(TRIALS.c.study_id == study)
    return connection.execute(rows).scalar_one()


def create_trial(connection: Connection, study: int, number: int) -> FrozenTrial:
    """A new trial, which is running."""
    start = _now()
    row = {"study_id": study, "number": number, "state": TrialState.RUNNING}
    statement = sa.insert(TRIALS).values({**row, "datetime_start": start})
    trial = connection.execute(statement.returning(TRIALS.c.trial_id)).scalar_one()
    return _bare(trial, number, TrialState.RUNNING, start, None)
