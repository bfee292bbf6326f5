"""Looking at a study in a database: nothing is written there, and nothing is locked."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import quote

import optuna
from optuna.storages import BaseStorage, RDBStorage
from optuna.study import Study
from sqlalchemy import event, pool

from fcsweep.messages.errors import ConfigError, UserError
from fcsweep.messages.secrets import masked_url, without_password
from fcsweep.messages.wording import join, one_line
from fcsweep.search.database import tables
from fcsweep.search.database.crew import LIFE, WORKER
from fcsweep.search.database.engines import CONNECT
from fcsweep.search.database.opening import is_shared
from fcsweep.search.database.patience import Patience
from fcsweep.search.database.storage import Database
from fcsweep.system.crew import Member

SQLITE = re.compile(r"sqlite(?:\+\w+)?:///(?P<path>[^?]+)")
READ_ONLY = "SET TRANSACTION READ ONLY"
BRIEF = {"poolclass": pool.NullPool}
"""A connection is closed as soon as something was read."""


def look_at(url: str, name: str | None = None) -> Study:
    """A study in a database, to be read.

    Args:
        url: of the database.
        name: of the study; None for the only one.

    Raises:
        ConfigError: it cannot be read, or holds no such study, or several and none is named; a
            password in the URL is not shown.
    """
    try:
        storage = _storage(url)
        names = optuna.get_all_study_names(storage)
        if name is None and len(names) == 1:
            (name,) = names
        if name in names:
            return optuna.load_study(study_name=name, storage=storage)
    except UserError:
        raise
    except Exception as error:  # of SQLAlchemy, Alembic and every driver
        extra = ""
        if isinstance(error, ImportError) and url.startswith("postgres"):
            extra = "; pip install 'fcsweep[postgres]'"
        why = without_password(one_line(error), url)
        raise ConfigError(f"{masked_url(url)} cannot be read: {why}{extra}") from None
    named = "" if name is None else f", not {name}"
    known = join(names[:10]) + (f" and {len(names) - 10} more" if len(names) > 10 else "")
    what = f"holds the studies {known}{named}; name one of them" if names else "holds no study"
    raise ConfigError(f"{masked_url(url)} {what}")


def _storage(url: str) -> BaseStorage:
    found = SQLITE.match(url)
    if found and not (path := Path(found["path"])).is_file():
        raise ConfigError(f"{url}: there is no file {path}")
    if found:
        url = f"sqlite:///file:{quote(str(Path(found['path']).absolute()))}?mode=ro&uri=true"
    if not is_shared(url):
        return RDBStorage(url, engine_kwargs=BRIEF, skip_table_creation=True)
    patience = Patience(url, 0.0)
    given = {**BRIEF, "connect_args": CONNECT}
    rdb = patience(lambda: RDBStorage(url, engine_kwargs=given, skip_table_creation=True))
    event.listen(rdb.engine, "begin", lambda connection: connection.exec_driver_sql(READ_ONLY))
    return Database(rdb, patience) if rdb.get_head_version() == tables.VERSION else rdb


def workers_of(study: Study) -> list[tuple[Member, float | None]] | None:
    """The workers of a study in PostgreSQL, and the seconds since the sign of life of each.

    None where no study but the folder of the sweep knows its workers.
    """
    storage = study._storage
    if not isinstance(storage, Database):
        return None
    told = storage.get_study_system_attrs(study._study_id)
    with storage.rdb.engine.begin() as connection:
        now = tables.clock(connection)
    names = [key.removeprefix(WORKER) for key in told if key.startswith(WORKER)]
    ages = {name: now - told.get(LIFE + name, 0) for name in names}
    return [
        (Member(**told[WORKER + name]), age if age < now / 2 else None)
        for name, age in ages.items()
    ]
