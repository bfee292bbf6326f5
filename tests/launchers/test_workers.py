"""What is left of joblib's workers when a launch does not come to its end: nothing."""

import subprocess
import sys

import pytest
from hydra.core.utils import JobReturn

from fcsweep.launchers.numbered import ProcessLost, launch_numbered


class TerminatedWorkerError(Exception):
    """As joblib's, which need not be there."""


class Joblib:
    """A launcher of joblib that a signal has interrupted before it could end its workers."""

    def __init__(self, error):
        self.error, self.workers = error, []

    def launch(self, overrides, first):
        words = ["import time; time.sleep(60)", "LokyProcess-1"]
        self.workers.append(subprocess.Popen([sys.executable, "-c", *words]))
        if self.error is not None:
            raise self.error
        return [JobReturn() for _ in overrides]


Joblib.__module__ = "hydra_plugins.hydra_joblib_launcher.joblib_launcher"


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (SystemExit(143), SystemExit),
        (KeyboardInterrupt(), KeyboardInterrupt),
        (TerminatedWorkerError("of which one"), ProcessLost),
        (ValueError("pickle"), ValueError),
    ],
)
def test_workers_have_ended_before_records_are_read(error, expected):
    launcher = Joblib(error)
    with pytest.raises(expected):
        launch_numbered(launcher, [(0, []), (1, [])])
    assert [worker.wait(0) for worker in launcher.workers] == [-9]


def test_workers_stay_for_the_next_batch():
    launcher = Joblib(None)
    try:
        assert len(launch_numbered(launcher, [(0, []), (2, [])])) == 2
        assert [worker.poll() for worker in launcher.workers] == [None, None]
    finally:
        for worker in launcher.workers:
            worker.kill()
            worker.wait()
