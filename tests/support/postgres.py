"""A PostgreSQL of the tests' own, on a free port of this machine; it ends with them."""

import os
import secrets
import shutil
import socket
import subprocess
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

PLACES = "/usr/lib/postgresql"
"""Where Debian has its programs."""
SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "fsync": "off",  # of what is committed nothing is lost but with the machine
    "log_checkpoints": "off",
}


class Server:
    """A server with one database and one user, who has a password.

    Args:
        programs: folder of them.
        folder: for its files.
    """

    def __init__(self, programs: Path, folder: Path) -> None:
        self._programs, self._data = programs, folder / "data"
        self.password = f"pw-{secrets.token_hex(8)}"
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        given = folder / "password"
        given.write_text(self.password)
        # It refuses to be root, as the tests may be in a container.
        self._user = "postgres" if os.geteuid() == 0 else None
        for path in (folder, given):
            if self._user:
                shutil.chown(path, self._user)
        words = ["--auth=scram-sha-256", f"--pwfile={given}", "--username=me", "--no-sync"]
        self._call("initdb", *words, "--locale=C", "--encoding=UTF8")
        self.start()

    @property
    def url(self) -> str:
        """Of a database that is there."""
        return f"postgresql://me:{self.password}@127.0.0.1:{self.port}/postgres"

    def database(self) -> str:
        """The URL of a new and empty database."""
        name = f"db_{secrets.token_hex(4)}"
        self.query(f"CREATE DATABASE {name}")
        return self.url.replace("/postgres", f"/{name}")

    def start(self) -> None:
        options = " ".join(f"-c {name}='{value}'" for name, value in SETTINGS.items())
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


def programs() -> Path | None:
    """The folder of the newest PostgreSQL that is installed."""
    found = sorted(Path(PLACES).glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    there = shutil.which("initdb")
    return found[-1].parent if found else Path(there).parent if there else None


@contextmanager
def server():
    """A server while the block runs; the test is skipped where there is none."""
    where = programs()
    try:
        import psycopg  # noqa: F401
    except ImportError:
        where = None
    if where is None:
        why = "needs PostgreSQL (apt-get install postgresql) and psycopg (fcsweep[postgres])"
        if os.environ.get("FCSWEEP_POSTGRES"):
            pytest.fail(why)
        pytest.skip(why)
    with tempfile.TemporaryDirectory(prefix="postgres-") as folder:
        started = Server(where, Path(folder))
        try:
            yield started
        finally:
            started.crash()
