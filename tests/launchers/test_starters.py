"""What starts the workers of a sweep: their command, how they end, and what is refused."""

import logging
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from fcsweep.launchers.starters import starter
from fcsweep.launchers.starters.command import WORKER, is_worker, worker_command
from fcsweep.launchers.starters.settings import starter_of
from fcsweep.launchers.starters.starter import KILLED, WorkerFailed, require_program, started
from fcsweep.messages.errors import ConfigError

URL = "postgresql://me:secret@db/studies"
STACKED = {"_target_": "hydra_plugins.fcsweep.StackedLauncher", "max_trials": "auto"}


class Known:
    """A starter whose workers end as is said beforehand."""

    asked = "hydra/launcher is known"

    def __init__(self, endings):
        self.count, self._endings = len(endings), endings
        self.command, self.ended_by = None, None

    def start(self, command):
        self.command = command

    def working(self):
        return False

    def end(self, number):
        self.ended_by = number

    def endings(self):
        return self._endings


@pytest.fixture(autouse=True)
def a_program(monkeypatch):
    """Not a notebook; and no worker, unless a test says so."""
    monkeypatch.setattr(starter, "is_listening", lambda: True)
    is_worker.cache_clear()
    yield
    is_worker.cache_clear()


@pytest.mark.parametrize(
    ("endings", "why"),
    [
        ([None, "the disk is full", "later"], "a worker failed: the disk is full"),
        ([KILLED, KILLED], "all workers were killed; run the same command to resume"),
        ([KILLED], "the worker was killed; run the same command to resume"),
    ],
)
def test_an_ending_that_leaves_work_undone_is_told(endings, why, tmp_path):
    with pytest.raises(WorkerFailed) as error, started(Known(endings), tmp_path, tmp_path):
        pass
    assert str(error.value) == why


def test_of_several_workers_one_may_be_killed(tmp_path, caplog):
    with caplog.at_level(logging.WARNING), started(Known([None, KILLED]), tmp_path, tmp_path):
        pass
    assert caplog.messages == ["1 of 2 workers were killed; the others have trained what was left"]


@pytest.mark.parametrize(
    ("error", "number"), [(KeyboardInterrupt, signal.SIGINT), (SystemExit(143), signal.SIGTERM)]
)
def test_what_ends_the_sweep_ends_its_workers(error, number, tmp_path):
    known = Known([None, None])
    with pytest.raises((KeyboardInterrupt, SystemExit)), started(known, tmp_path, tmp_path):
        raise error
    assert known.ended_by == number


def test_a_notebook_starts_no_workers(monkeypatch):
    monkeypatch.setattr(starter, "is_listening", lambda: False)
    require_program(None)
    with pytest.raises(ConfigError, match="is known; from Python a sweep has one worker: use a"):
        require_program(Known([None]))


def test_a_worker_has_the_command_of_its_sweep_and_no_password_in_it(monkeypatch):
    given = ["-m", "seed=0,1", f"hydra.sweeper.storage='{URL}'", "hydra.sweep.dir=out"]
    monkeypatch.setattr(sys, "argv", ["app.py", *given])
    monkeypatch.setattr(sys, "orig_argv", ["python", "-W", "error", "app.py", *given])
    monkeypatch.setenv("FCSWEEP_STORAGE", URL)
    command = worker_command(Path("/shared/out"), Path("/home/me"))
    assert command.words[1:] == [
        *("-W", "error", "app.py", "-m", "seed=0,1"),
        *("hydra.sweeper.storage=${oc.env:FCSWEEP_STORAGE}", "hydra.sweep.dir=/shared/out"),
    ]
    assert command.words[0] == sys.executable
    assert command.environment == {**os.environ, WORKER: "1"}


def test_a_worker_starts_no_workers_and_what_it_starts_is_none(monkeypatch):
    launcher = OmegaConf.create({**STACKED, "workers": 2})
    assert starter_of(launcher).count == 2
    is_worker.cache_clear()
    monkeypatch.setenv(WORKER, "1")
    assert starter_of(launcher) is None
    told = subprocess.run(
        [sys.executable, "-c", f"import os; print(os.environ.get({WORKER!r}))"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert told.stdout == "None\n" and starter_of(launcher) is None


REFUSED = [
    ({"workers": 0}, "hydra.launcher.workers is 0; expected auto or a whole number >= 1"),
    ({"workers": True}, "hydra.launcher.workers is true; expected auto or a whole number >= 1"),
    ({"workers": "few"}, "hydra.launcher.workers is 'few'; expected auto or a whole number >= 1"),
]


@pytest.mark.parametrize(("given", "why"), REFUSED)
def test_a_wrong_key_of_the_launcher_is_refused(given, why):
    with pytest.raises(ConfigError) as error:
        starter_of(OmegaConf.create({**STACKED, **given}))
    assert str(error.value) == why
