"""Opening a database: by Optuna, and by those who work on one study in it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from hydra.utils import instantiate
from optuna.storages import BaseStorage, RDBStorage
from optuna.study import Study
from sqlalchemy import exc
from sqlalchemy.engine import make_url

from fcsweep.search.database import tables
from fcsweep.search.database.engines import CONNECT
from fcsweep.search.database.patience import Patience
from fcsweep.search.database.storage import Database

RDB = "optuna.storages.RDBStorage"
TRIES = 5

Open = Callable[[dict[str, Any]], RDBStorage]
"""Opens a URL by Optuna, with these arguments for the engine."""


def is_shared(url: str) -> bool:
    """Whether workers of several machines can work on a study there: PostgreSQL, by psycopg."""
    with suppress(exc.SQLAlchemyError, ImportError):
        dialect = make_url(url).get_dialect()
        return (dialect.name, dialect.driver) == ("postgresql", "psycopg")
    return False


def opened(open_url: Open) -> RDBStorage:
    """Opened by Optuna, which makes the tables that are missing, as others may at this moment."""
    for _ in range(TRIES):
        with suppress(exc.ProgrammingError, exc.IntegrityError):
            return open_url({"connect_args": CONNECT})
    return open_url({"connect_args": CONNECT})


def database_of(given: Any, url: str, patience: float) -> BaseStorage:
    """The storage of a PostgreSQL.

    Args:
        given: its URL, or a mapping that describes Optuna's storage of it.
        url: the URL.
        patience: seconds to wait for it, now and later.

    Raises:
        DatabaseLost: it does not answer.
    """
    described: dict[str, Any] = dict(given) if isinstance(given, Mapping) else {"url": url}
    if described.pop("_target_", RDB) != RDB:
        return instantiate(given)
    asked, wait = described.pop("engine_kwargs", None) or {}, Patience(url, patience)
    rdb = wait(lambda: opened(lambda own: RDBStorage(**described, engine_kwargs={**own, **asked})))
    return Database(rdb, wait) if rdb.get_head_version() == tables.VERSION else rdb


def settle(study: Study, key: str, value: Any) -> None:
    """Set a system attribute of a study; of several processes the first does, in PostgreSQL."""
    storage = study._storage
    if isinstance(storage, Database):
        storage.settle(study._study_id, key, value)
    else:
        storage.set_study_system_attr(study._study_id, key, value)
