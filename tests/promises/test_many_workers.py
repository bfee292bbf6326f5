"""Several workers as commands: whatever happens to them, the records are those of one alone."""

import csv
import json
import os
import random
import shlex
import signal
import subprocess
import sys
import time
from contextlib import suppress

import psutil
import pytest
from support.toy_app import study_of

pytestmark = pytest.mark.skipif(os.name != "posix", reason="POSIX signals")

TASK = ["-m", "data=synthetic", "data.num_train=60", "data.num_val=20", "solver.batch_size=10"]
TASK += ["model.hidden_dims=[8]", "solver.checkpoint_seconds=0.01", "hydra.sweep.dir=out"]
SEARCH = [*TASK, "solver.num_epochs=60", "hydra/sweeper=optuna", "hydra.sweeper.ahead=3"]
SEARCH += ["hydra.sweeper.n_trials=30", "hydra.sweeper.n_jobs=4", "hydra.sweeper.sampler.seed=2"]
SEARCH += ["hydra/sweeper/pruner=median", "hydra.sweeper.pruner.n_startup_trials=3"]
SEARCH += ["optimizer.learning_rate=tag(log,interval(1e-3,100))"]
GRID = [*TASK, "solver.num_epochs=60", "seed=0,1,2,3", "optimizer=sgd,momentum"]
LONG = [
    *TASK,
    "solver.num_epochs=1000000",
    "solver.eval_every=1000",
    "seed=0,1",
    "optimizer=sgd,adam",
]
COMMANDS = {"search": SEARCH, "grid": GRID}
NUMBERS = (".hydra/config.yaml", ".hydra/overrides.yaml", "history.csv", "losses.npy")
NUMBERS += ("best.safetensors",)
CODES = {-signal.SIGKILL, 0, 130, 143}


@pytest.fixture(autouse=True)
def nothing_left(tmp_path, monkeypatch):
    """Whatever a test that fails has left running is ended."""
    monkeypatch.setenv("STARTED_BY", str(tmp_path))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    yield
    for process in at_work(tmp_path):
        process.kill()


def at_work(folder):
    """The processes that were started in a test, but for its own."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if process.environ().get("STARTED_BY") == str(folder) and process.pid != os.getpid():
                found.append(process)
    return found


def start(folder, words):
    folder.mkdir(exist_ok=True)
    command = [sys.executable, "-W", "error", "-m", "fcsweep", *words]
    return subprocess.Popen(
        command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def said_by(process):
    out, error = process.communicate(timeout=250)
    return process.returncode, out, error


def left(out):
    """All that a sweep leaves, without times, places in stacks and the name of its folder."""
    found = {}
    for path in out.glob("*/result.json"):
        run = path.parent
        files = {name: (run / name).read_bytes() for name in NUMBERS if (run / name).exists()}
        found[run.name] = json.loads(path.read_text()) | {"seconds": 0}, files
    rows = csv.DictReader((out / "trials.csv").read_text().splitlines())
    found["table"] = [{**row, "seconds": 0} for row in rows]
    found["names"] = sorted(path.relative_to(out).as_posix() for path in out.rglob("*"))
    if (out / "study.journal").exists():
        found["study"] = [
            (one.number, one.state.name, one.params, one.values, one.intermediate_values)
            for one in study_of(out).get_trials(deepcopy=False)
        ]
    return found


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """What a command leaves that one worker carries out undisturbed."""
    known = {}

    def of(name):
        if name not in known:
            folder = tmp_path_factory.mktemp("alone")
            assert said_by(start(folder, COMMANDS[name]))[::2] == (0, "")
            known[name] = left(folder / "out")
        return known[name]

    return of


@pytest.mark.slow
@pytest.mark.parametrize("name", COMMANDS)
def test_workers_that_are_struck_at_random_leave_the_records_of_one(name, alone, tmp_path):
    seed = int(os.environ.get("FCSWEEP_TEST_SEED") or random.SystemRandom().randrange(10**6))
    print(f"FCSWEEP_TEST_SEED={seed}")  # pytest shows it with a failure
    expected, chance = alone(name), random.Random(seed)
    workers = [start(tmp_path / "many", COMMANDS[name]) for _ in range(3)]
    for _ in range(10):
        time.sleep(chance.uniform(0.3, 4))
        place = chance.randrange(3)
        strike(workers[place], chance)
        if workers[place].poll() is not None:
            code, _, error = said_by(workers[place])
            assert code in CODES and "Traceback" not in error, error
            workers[place] = start(tmp_path / "many", COMMANDS[name])
    for worker in workers:
        assert said_by(worker)[::2] == (0, "")
    assert left(tmp_path / "many" / "out") == expected


def strike(worker, chance):
    kind = chance.choice(["KILL", "TERM", "INT", "STOP"])
    with suppress(ProcessLookupError):
        worker.send_signal(getattr(signal, f"SIG{kind}"))
        if kind == "STOP":
            time.sleep(chance.uniform(0.3, 2))
            worker.send_signal(signal.SIGCONT)
        else:
            with suppress(subprocess.TimeoutExpired):
                worker.wait(20)


@pytest.mark.slow
@pytest.mark.parametrize("name", COMMANDS)
def test_one_command_starts_workers_and_leaves_the_records_of_one(name, alone, tmp_path):
    code, out, error = said_by(start(tmp_path, [*COMMANDS[name], "hydra.launcher.workers=2"]))
    assert (code, error) == (0, "")
    assert out.startswith("2 workers, 1 thread each\n")
    assert out.count("report: ") == 1 and "joining" not in out
    assert left(tmp_path / "out") == alone(name)
    assert at_work(tmp_path) == []


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_workers_end_with_the_command_that_started_them(number, tmp_path):
    process = start(tmp_path, [*LONG, "hydra.launcher.workers=2"])
    until = time.monotonic() + 100
    while len(list(tmp_path.glob("out/*/result.json"))) < 2:
        assert process.poll() is None and time.monotonic() < until
        time.sleep(0.05)
    process.send_signal(number)
    code, _, error = said_by(process)
    if number == signal.SIGKILL:
        psutil.wait_procs(at_work(tmp_path), timeout=15)
    else:
        assert code == 128 + number and error.count("\n") == 1
        told = shlex.split(error.rpartition("python -m fcsweep ")[2])
        assert {"hydra.launcher.workers=2", "hydra.sweep.dir=out"} <= set(told)
    assert at_work(tmp_path) == []
    results = [json.loads(path.read_text()) for path in tmp_path.glob("out/*/result.json")]
    assert {one["status"] for one in results} == {"interrupted"} and len(results) == 2


@pytest.mark.slow
def test_a_command_whose_workers_were_all_killed_says_so(tmp_path):
    words = [*SEARCH, "hydra.launcher.workers=2", "solver.num_epochs=1000000"]
    process = start(tmp_path, words)
    while not list(tmp_path.glob("out/*/result.json")):
        assert process.poll() is None
        time.sleep(0.05)
    for child in psutil.Process(process.pid).children():
        child.kill()
    code, out, error = said_by(process)
    assert (code, error) == (1, "error: all workers were killed; run the same command to resume\n")
    assert " interrupted" in out
