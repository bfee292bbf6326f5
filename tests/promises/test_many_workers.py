"""Several workers as commands: whatever happens to them, the records are those of one alone."""

import json
import os
import random
import shlex
import signal
import subprocess
import time
from contextlib import suppress

import psutil
import pytest
from support.many_workers import (
    GRID,
    LONG,
    SEARCH,
    at_work,
    left,
    nothing_left,
    said_by,
    start,
    undisturbed,
)

pytestmark = pytest.mark.skipif(os.name != "posix", reason="POSIX signals")

COMMANDS = {"search": SEARCH, "grid": GRID}
CODES = {0, 130, 143, -signal.SIGKILL}
CODES |= {-signal.SIGINT, -signal.SIGTERM}  # before a process hears signals, and after its work


@pytest.fixture(autouse=True)
def ended_with_the_test(tmp_path):
    with nothing_left(tmp_path, threads="1"):
        yield


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """What a command leaves that one worker carries out undisturbed."""
    known = {}

    def of(name):
        if name not in known:
            known[name] = undisturbed(tmp_path_factory.mktemp("alone"), COMMANDS[name])
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
