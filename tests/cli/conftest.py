import logging
import sys
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from support.commands import Command, Said, Trained

from fcsweep.cli.main import main
from fcsweep.cli.task import Task
from fcsweep.launchers.protocols import StackableTask
from fcsweep.run import device_of


@pytest.fixture
def trained(monkeypatch) -> Iterator[Trained]:
    """Replaces `fcsweep.run`, and the display of its epochs; jobs are run one by one."""
    trained = Trained()
    quick = SimpleNamespace(run=trained.run, device_of=device_of)
    silent = SimpleNamespace(RunView=lambda title: None)
    monkeypatch.setitem(sys.modules, "fcsweep.run", quick)
    monkeypatch.setitem(sys.modules, "fcsweep.terminal.run_view", silent)
    monkeypatch.delattr(Task, "train")
    stackable: Any = StackableTask
    stackable._abc_caches_clear()  # Python keeps which classes are one
    yield trained
    stackable._abc_caches_clear()


@pytest.fixture
def fcsweep(tmp_path, monkeypatch, capfd) -> Iterator[Command]:
    """The program, called with arguments in an empty folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("HYDRA_FULL_ERROR", raising=False)
    root = logging.getLogger()
    before = root.handlers[:], root.level

    def call(*arguments: str) -> Said:
        monkeypatch.setattr(sys, "argv", ["fcsweep", *arguments])
        capfd.readouterr()
        code: Any = 0
        try:
            main()
        except SystemExit as leave:
            code = leave.code
        said = capfd.readouterr()
        for handler in set(root.handlers) - set(before[0]):  # the log file of the last run
            root.removeHandler(handler)
            handler.close()
        return Said(code, said.out, said.err)

    yield call
    root.handlers[:], root.level = before
