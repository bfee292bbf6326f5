"""Connections to a database, which are known to be cut soon after they are."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from optuna.storages import RDBStorage
from sqlalchemy import event

CONNECT: dict[str, Any] = {
    "connect_timeout": 10,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 25_000,
    "prepare_threshold": None,  # the next transaction may have another server, behind PgBouncer
}
"""Seconds, and milliseconds, after which a connection that is cut is found to be so."""


IDLE = "SET LOCAL idle_in_transaction_session_timeout = '10s'"


def brief_engine(rdb: RDBStorage) -> sa.Engine:
    """Of the same database, with connections that are closed as soon as they were used."""
    given = {name: value for name, value in rdb.engine_kwargs.items() if not _of_pool(name)}
    return sa.create_engine(rdb.url, **given, poolclass=sa.pool.NullPool)


def end_when_idle(engine: sa.Engine) -> None:
    """Let the server end a transaction whose worker has been stopped, and what it has locked.

    In each transaction: through PgBouncer's pooling the next may have another connection.
    """
    event.listen(engine, "begin", lambda connection: connection.exec_driver_sql(IDLE))


def _of_pool(name: str) -> bool:
    return name.startswith(("pool", "max_overflow"))
