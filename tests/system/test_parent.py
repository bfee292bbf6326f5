"""A worker of a sweep ends when the sweep's process is gone."""

import os
import signal
import subprocess
import sys

import psutil
import pytest

from fcsweep.system import parent

WORKER = """
import os, signal, sys, time
from fcsweep.system import parent
parent.EVERY, parent.GRACE = 0.05, 0.2
if sys.argv[1] == "deaf":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
parent.end_with_sweep()
print(os.getpid(), "FCSWEEP_SWEEP_PID" in os.environ, flush=True)
try:
    time.sleep(60)
finally:
    print("records written", flush=True)
"""
SWEEP = """
import subprocess, sys
from fcsweep.system.parent import sweeping
with sweeping():
    subprocess.Popen([sys.executable, "-c", *sys.argv[1:]]).wait()
"""


@pytest.mark.parametrize("kind", ["obeys", pytest.param("deaf", marks=pytest.mark.slow)])
def test_a_worker_ends_when_its_sweep_is_killed(kind):
    command = [sys.executable, "-c", SWEEP, WORKER, kind]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as sweep:
        assert sweep.stdout is not None
        number, handed_on = sweep.stdout.readline().split()
        worker = psutil.Process(int(number))
        try:
            assert handed_on == "False" and worker.is_running()
            sweep.kill()
            worker.wait(10)
            said = sweep.stdout.read()
        finally:
            if worker.is_running():
                worker.kill()
    assert said == ("records written\n" if kind == "obeys" else "")


def test_a_job_that_begins_after_its_sweep_has_ended_does_not_run():
    with subprocess.Popen([sys.executable, "-c", ""]) as gone:
        gone.wait()
    done = subprocess.run(
        [sys.executable, "-c", WORKER, ""],
        env={**os.environ, parent.SWEEP: str(gone.pid)},
        capture_output=True,
    )
    assert (done.returncode, done.stdout) == (128 + signal.SIGTERM, b"")


def test_a_job_in_the_process_of_its_sweep_is_left_alone():
    with parent.sweeping():
        assert os.environ[parent.SWEEP] == str(os.getpid())
        parent.end_with_sweep()
    assert parent.SWEEP not in os.environ
