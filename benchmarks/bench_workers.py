"""Two workers on one search against two searches, each of half its trials.

    python benchmarks/bench_workers.py [--trials 128] [--rounds 3] [--postgres] [--save]

Whole processes, from the command to the page, one thread each, interleaved; medians of the wall
time, since two cores are what a second worker is for: only a quiet machine tells. A trial takes
some 0.5 s. With ``--postgres`` the study is in a PostgreSQL of the benchmark's own.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from results_file import machine, save

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

# pyright: reportMissingImports=false
from support.postgres import Server, programs  # noqa: E402

SEARCH = ["-m", "fcsweep", "-m", "data=digits", "solver.num_epochs=200", "hydra/sweeper=optuna"]
SEARCH += ["optimizer.learning_rate=tag(log,interval(1e-3,1))", "hydra.sweeper.n_jobs=8"]
SEARCH += ["hydra.sweeper.sampler.seed=1"]


def start(folder: Path, name: str, trials: int, *words: str) -> subprocess.Popen[bytes]:
    given = [f"hydra.sweep.dir={name}", f"hydra.sweeper.n_trials={trials}", *words]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, *SEARCH, *given]
    return subprocess.Popen(command, cwd=folder, env=environment, stdout=subprocess.DEVNULL)


def wall(started: list[subprocess.Popen[bytes]], began: float) -> float:
    assert [process.wait() for process in started] == [0] * len(started)
    return time.monotonic() - began


def shared(folder: Path, trials: int, *words: str) -> float:
    """Seconds of one search with two workers."""
    began = time.monotonic()
    return wall([start(folder, "one", trials, "hydra.launcher.workers=2", *words)], began)


def alone(folder: Path, trials: int) -> float:
    """Seconds of two searches at once, each with half the trials."""
    began = time.monotonic()
    return wall([start(folder, name, trials // 2) for name in ("left", "right")], began)


def measured(trials: int, rounds: int, words: Callable[[], list[str]]) -> dict[str, object]:
    """The seconds of each round, and what two workers reach of two searches, in the median."""
    times: dict[str, list[float]] = {"one search": [], "two searches": []}
    for _ in range(rounds):
        with tempfile.TemporaryDirectory() as folder:
            times["one search"].append(shared(Path(folder), trials, *words()))
            times["two searches"].append(alone(Path(folder), trials))
    found = {name: [round(one, 1) for one in taken] for name, taken in times.items()}
    pairs = zip(times["two searches"], times["one search"], strict=True)
    ratio = statistics.median(two / one for two, one in pairs)
    return {**found, "reached": round(ratio, 3), "trials": trials}


def with_postgres(trials: int, rounds: int) -> dict[str, object]:
    where = programs()
    assert where is not None, "PostgreSQL is not installed"
    with tempfile.TemporaryDirectory() as folder:
        server = Server(where, Path(folder))

        def words() -> list[str]:
            os.environ["FCSWEEP_DB"] = server.database()
            return ["hydra.sweeper.storage=${oc.env:FCSWEEP_DB}"]

        try:
            return measured(trials, rounds, words)
        finally:
            server.crash()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--postgres", action="store_true")
    parser.add_argument("--save", action="store_true")
    given = parser.parse_args()
    asked = given.trials, given.rounds
    found = with_postgres(*asked) if given.postgres else measured(*asked, list)
    print(found)
    if given.save:
        place = "postgresql" if given.postgres else "journal"
        save("workers_cpu", {place: {**machine(), **found}})


if __name__ == "__main__":
    main()
