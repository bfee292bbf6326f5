"""Where a search in PostgreSQL stands, seen from a machine that has nothing but its URL."""

import json
import os
import signal
import sys
import time

import pytest
from support.forked_workers import ended, worker
from support.postgres import server

from fcsweep.status import __main__ as status
from fcsweep.system import crew

pytestmark = pytest.mark.slow

TABLES = ("studies", "trials", "trial_params", "trial_values", "study_system_attributes")


def told(capsys, monkeypatch, *words):
    """A command in this process: exit code and what it printed."""
    monkeypatch.setattr(sys, "argv", ["fcsweep.status", *words])
    capsys.readouterr()
    with pytest.raises(SystemExit) as stop:
        status.main()
    said = capsys.readouterr()
    return stop.value.code, said.out + said.err


def until(happened):
    for _ in range(600):
        if happened():
            return
        time.sleep(0.05)
    raise AssertionError("it has not happened")


def test_who_lives_on_another_machine_who_has_died_and_nothing_is_written_or_waited_for(
    tmp_path, hydra_restore_singletons, capsys, monkeypatch
):
    import psycopg

    monkeypatch.setattr(crew, "this_machine", lambda: "another")
    with server() as postgres:
        url = postgres.database()
        code, said = told(capsys, monkeypatch, url)
        assert code == 1 and "cannot be read" in said and postgres.password not in said
        assert not postgres.query("SELECT 1 FROM pg_tables WHERE schemaname = 'public'", url)
        words = [f"hydra.sweeper.storage='{url}'", "hydra.sweeper.lease=6"]
        first = worker(tmp_path, *words, sleep=30)
        look = lambda: json.loads(told(capsys, monkeypatch, url, "--json")[1])  # noqa: E731
        try:
            until(lambda: (tmp_path / "starts").exists())
            monkeypatch.undo()
            tables = lambda: [postgres.query(f"TABLE {one}", url) for one in TABLES]  # noqa: E731
            with psycopg.connect(url) as other:  # as a worker in its turn
                other.execute(
                    "SELECT * FROM study_system_attributes WHERE key = 'fcsweep' FOR UPDATE"
                )
                found = look()
                other.rollback()
            (one,) = found["workers"]
            assert (one["state"], one["work"], one["pid"]) == ("alive", [0, 1, 2], first)
            assert 0 <= one["seen"] < 6
            assert found["state"] == "running" and found["trials"]["total"] == 13
            assert postgres.password not in json.dumps(found)
        finally:
            os.kill(first, signal.SIGKILL)
            ended(first)
        until(lambda: look()["state"] == "stopped")
        before = tables()
        (one,) = look()["workers"]
        assert tables() == before
        assert one["state"] == "silent" and one["seen"] > 6
        code, said = told(capsys, monkeypatch, url, tmp_path.name)
        assert code == 4 and " silent " in said and postgres.password not in said
