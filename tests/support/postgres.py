"""A PostgreSQL of the tests' own, on a free port of this machine, and a PgBouncer before it."""

import os
import secrets
import shutil
import socket
import subprocess
import tempfile
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

PLACES = "/usr/lib/postgresql"
"""Where Debian has its programs."""
LOCAL = "127.0.0.1"
SETTINGS = {
    "unix_socket_directories": "",
    "fsync": "off",  # of what is committed nothing is lost but with the machine
    "log_checkpoints": "off",
}


class Server:
    """A server with one database and one user, who has a password.

    Args:
        programs: folder of them.
        folder: for its files.
        address: of this machine, where it listens.
    """

    def __init__(self, programs: Path, folder: Path, address: str = LOCAL) -> None:
        self._programs, self._data = programs, folder / "data"
        self.password = f"pw-{secrets.token_hex(8)}"
        self._address, self.port = address, free_port()
        given = folder / "password"
        given.write_text(self.password)
        # It refuses to be root, as the tests may be in a container.
        self._user = "postgres" if os.geteuid() == 0 else None
        for path in (folder, given):
            if self._user:
                shutil.chown(path, self._user)
        words = ["--auth=scram-sha-256", f"--pwfile={given}", "--username=me", "--no-sync"]
        self._call("initdb", *words, "--locale=C", "--encoding=UTF8")
        with (self._data / "pg_hba.conf").open("a") as rules:
            rules.write("host all all samenet scram-sha-256\n")
        self.start()

    @property
    def url(self) -> str:
        """Of a database that is there."""
        return f"postgresql://me:{self.password}@{self._address}:{self.port}/postgres"

    def database(self) -> str:
        """The URL of a new and empty database."""
        name = f"db_{secrets.token_hex(4)}"
        self.query(f"CREATE DATABASE {name}")
        return self.url.replace("/postgres", f"/{name}")

    def start(self) -> None:
        options = " ".join(f"-c {name}='{value}'" for name, value in SETTINGS.items())
        options += f" -c listen_addresses={self._address}"
        self._call("pg_ctl", "start", "-w", "-o", f"-p {self.port} {options}")

    def crash(self) -> None:
        """End it at once, as by a loss of power; it recovers when it starts."""
        self._call("pg_ctl", "stop", "-m", "immediate")

    def query(self, text: str, url: str | None = None) -> list[Any]:
        """The rows that a statement gives."""
        import psycopg

        with psycopg.connect(url or self.url, autocommit=True) as connection:
            found = connection.execute(text)
            return found.fetchall() if found.description else []

    def _call(self, program: str, *words: str) -> None:
        subprocess.run(
            [self._programs / program, "-D", self._data, *words],
            user=self._user,
            cwd="/",
            env={"PATH": os.environ["PATH"], "LC_ALL": "C"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            check=True,
            timeout=60,
        )


def free_port() -> int:
    with socket.socket() as free:
        free.bind((LOCAL, 0))
        return free.getsockname()[1]


def programs() -> Path | None:
    """The folder of the newest PostgreSQL that is installed."""
    found = sorted(Path(PLACES).glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    there = shutil.which("initdb")
    return found[-1].parent if found else Path(there).parent if there else None


def _missing(why: str) -> None:
    """Skip the test, or fail where what it needs was to be installed."""
    if os.environ.get("FCSWEEP_POSTGRES"):
        pytest.fail(why)
    pytest.skip(why)


@contextmanager
def server(address: str = LOCAL):
    """A server while the block runs; the test is skipped where there is none."""
    where = programs()
    try:
        import psycopg  # noqa: F401
    except ImportError:
        where = None
    if where is None:
        _missing("needs PostgreSQL (apt-get install postgresql) and psycopg (fcsweep[postgres])")
    assert where is not None
    with tempfile.TemporaryDirectory(prefix="postgres-") as folder:
        started = Server(where, Path(folder), address)
        try:
            yield started
        finally:
            started.crash()


POOL = """
[databases]
* = host={host} port={server}
[pgbouncer]
listen_addr = {host}
listen_port = {port}
unix_socket_dir =
auth_type = scram-sha-256
auth_file = {users}
pool_mode = transaction
default_pool_size = 3
ignore_startup_parameters = extra_float_digits
"""


@contextmanager
def pooled(started: Server):
    """The port of a PgBouncer that gives each transaction one of three connections to a server."""
    program = shutil.which("pgbouncer", path=f"{os.environ['PATH']}:/usr/sbin")
    if program is None:
        _missing("needs PgBouncer (apt-get install pgbouncer)")
    assert program is not None
    port, user = free_port(), "postgres" if os.geteuid() == 0 else None
    with tempfile.TemporaryDirectory(prefix="pgbouncer-") as folder:
        users, settings = Path(folder, "users"), Path(folder, "pgbouncer.ini")
        users.write_text(f'"me" "{started.password}"\n')
        settings.write_text(POOL.format(host=LOCAL, server=started.port, port=port, users=users))
        for path in (folder, users, settings) if user else ():
            shutil.chown(path, user)
        pool = subprocess.Popen(
            [program, "-q", settings], user=user, cwd="/", stderr=subprocess.DEVNULL
        )
        try:
            _until_answered(port)
            yield port
        finally:
            pool.terminate()
            pool.wait(20)


def _until_answered(port: int) -> None:
    for _ in range(200):
        with suppress(OSError), socket.create_connection((LOCAL, port)):
            return
        time.sleep(0.05)
    raise AssertionError(f"nothing answers at port {port}")
