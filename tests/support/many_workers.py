"""Sweeps of a few seconds, as commands for one worker or several, and what they leave."""

import csv
import json
import os
import subprocess
import sys
from contextlib import contextmanager, suppress

import psutil
import pytest

from fcsweep.records.formats import TRAINED
from support import preloaded
from support.toy_app import study_of

TASK = ["-m", "data=synthetic", "data.num_train=60", "data.num_val=20", "solver.batch_size=10"]
TASK += ["model.hidden_dims=[8]", "solver.checkpoint_seconds=0.01", "hydra.sweep.dir=out"]
SEARCH = [*TASK, "solver.num_epochs=60", "hydra/sweeper=optuna", "hydra.sweeper.ahead=3"]
SEARCH += ["hydra.sweeper.n_trials=30", "hydra.sweeper.n_jobs=4", "hydra.sweeper.sampler.seed=2"]
SEARCH += ["hydra/sweeper/pruner=median", "hydra.sweeper.pruner.n_startup_trials=3"]
SEARCH += ["optimizer.learning_rate=tag(log,interval(1e-3,100))"]
BRIEF = ["hydra.sweeper.n_trials=16", "solver.checkpoint_seconds=0.2"]
"""Of a search for tests that have little time."""
GRID = [*TASK, "solver.num_epochs=60", "seed=0,1,2,3", "optimizer=sgd,momentum"]
LONG = [
    *TASK,
    "solver.num_epochs=1000000",
    "solver.eval_every=1000",
    "seed=0,1",
    "optimizer=sgd,adam",
]
NUMBERS = (".hydra/config.yaml", ".hydra/overrides.yaml", "history.csv", "losses.npy")
NUMBERS += ("best.safetensors",)
LOGS = ".slurm"


def at_work(folder):
    """The processes that were started in a test, but for its own."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if process.environ().get("STARTED_BY") == str(folder) and process.pid != os.getpid():
                found.append(process)
    return found


def workers_at_work(folder):
    """Those `at_work` that no other of them has started: a worker asks Git for its commit."""
    found = at_work(folder)
    numbers, workers = {process.pid for process in found}, []
    for process in found:
        with suppress(psutil.Error):
            if process.ppid() not in numbers:
                workers.append(process)
    return workers


@contextmanager
def nothing_left(folder, threads=None):
    """Whatever a test that fails has left running is ended.

    Args:
        folder: of the test; what it starts has it in its environment.
        threads: of what it starts, as the environment says; None says nothing.
    """
    with pytest.MonkeyPatch.context() as own:
        own.setenv("STARTED_BY", str(folder))
        own.delenv("OMP_NUM_THREADS", raising=False)
        if threads is not None:
            own.setenv("OMP_NUM_THREADS", threads)
        yield
    for process in at_work(folder):
        process.kill()


def command(words):
    return [sys.executable, "-W", "error", "-m", "fcsweep", *words]


def start(folder, words):
    folder.mkdir(exist_ok=True)
    return subprocess.Popen(
        command(words), cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def said_by(process):
    out, error = process.communicate(timeout=250)
    return process.returncode, out, error


def undisturbed(folder, words):
    """What one worker leaves."""
    folder.mkdir(exist_ok=True)
    with pytest.MonkeyPatch.context() as own:
        own.delenv("STARTED_BY", raising=False)  # the process that forks outlives the test
        done = preloaded.run(
            command(words), cwd=folder, capture_output=True, text=True, timeout=250
        )
    assert (done.returncode, done.stderr) == (0, "")
    return left(folder / "out")


def left(out):
    """All that a sweep leaves, without times, workers, places in stacks and its folder's name."""
    found = {}
    for path in out.glob("*/result.json"):
        run = path.parent
        files = {name: (run / name).read_bytes() for name in NUMBERS if (run / name).exists()}
        found[run.name] = json.loads(path.read_text()) | {"seconds": 0}, files
    rows = csv.DictReader((out / "trials.csv").read_text().splitlines())
    found["table"] = [row | dict.fromkeys(["seconds", *TRAINED]) for row in rows]
    names = sorted(path.relative_to(out).as_posix() for path in out.rglob("*"))
    found["names"] = [name for name in names if not name.startswith(LOGS)]
    if (out / "study.journal").exists():
        found["study"] = [
            (one.number, one.state.name, one.params, one.values, one.intermediate_values)
            for one in study_of(out).get_trials(deepcopy=False)
        ]
    return found
