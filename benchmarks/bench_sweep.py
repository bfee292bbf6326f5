"""CPU time of whole sweeps, from the command to the page, against programs without records.

    python benchmarks/bench_sweep.py [--rounds 5] [--save]

Each measurement is a process with everything that it imports, on one thread: user and system time
of it and its children, and its largest memory. ``random`` searches 64 digits trials against
``competitors/fused.py``, ``search`` and ``pruned`` 100 with TPE against
``competitors/optuna_loop.py``; ``short`` is a grid of 1,000 trials of five steps against one of
two. Rounds are interleaved; medians.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from results_file import machine, save

HERE = Path(__file__).parent
SPACE = [
    "optimizer.learning_rate=tag(log,interval(1e-3,1))",
    "model.weight_scale=tag(log,interval(1e-4,1e-1))",
]
SWEEP = [sys.executable, "-m", "fcsweep", "-m", "hydra.sweep.dir=sweep"]
SEARCH = [*SWEEP, "hydra/sweeper=optuna", "solver.num_epochs=20", *SPACE]
TPE = [*SEARCH, "optimizer=momentum", "hydra.sweeper.n_trials=100", "hydra.sweeper.n_jobs=16"]
SHORT = [*SWEEP, "model.hidden_dims=[16]", "data.num_train=100", "solver.num_epochs=5"]
LOOP = [sys.executable, str(HERE / "competitors" / "optuna_loop.py"), "100"]
FUSED = [sys.executable, str(HERE / "competitors" / "fused.py"), "64"]

WAYS = {
    "import torch": [sys.executable, "-c", "import torch"],
    "random": [
        *SEARCH,
        "hydra/sweeper/sampler=random",
        "hydra.sweeper.n_trials=64",
        "hydra.sweeper.n_jobs=64",
    ],
    "fused": FUSED,
    "search": TPE,
    "loop": [*LOOP, "none"],
    "pruned": [*TPE, "hydra/sweeper/pruner=median"],
    "loop pruned": [*LOOP, "median"],
    "short": [*SHORT, "seed=range(1000)"],
    "two": [*SHORT, "seed=0,1"],
}


def spent(command: Sequence[str]) -> tuple[float, int]:
    """CPU seconds and KiB of a process."""
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        process = subprocess.Popen(command, cwd=folder, env=environment, stdout=subprocess.DEVNULL)
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)}: exit code {process.returncode}")
    return used.ru_utime + used.ru_stime, used.ru_maxrss


def main() -> None:
    """Measure, print, and with ``--save`` write ``results/sweep_cpu.json``."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--save", action="store_true")
    given = parser.parse_args()
    place, seconds = machine(), {name: list[float]() for name in WAYS}
    memory = dict.fromkeys(WAYS, 0)
    for _ in range(given.rounds):
        for name, command in WAYS.items():
            cpu, size = spent(command)
            seconds[name].append(cpu)
            memory[name] = max(memory[name], size)
    median = {name: statistics.median(all_) for name, all_ in seconds.items()}
    torch_alone = median["import torch"]
    result = {
        **place,
        "cpu_seconds": {name: round(one, 2) for name, one in median.items()},
        "range": {
            name: [round(min(all_), 2), round(max(all_), 2)] for name, all_ in seconds.items()
        },
        "ratios": {
            "random to fused": round(median["random"] / median["fused"], 2),
            "random to fused, both less torch's import": round(
                (median["random"] - torch_alone) / (median["fused"] - torch_alone), 2
            ),
            "loop to search": round(median["loop"] / median["search"], 2),
            "loop to search, with the median pruner": round(
                median["loop pruned"] / median["pruned"], 2
            ),
        },
        "milliseconds a short trial": round((median["short"] - median["two"]) / 0.998, 2),
        "megabytes": {name: round(size / 1000) for name, size in memory.items()},
        "rounds": given.rounds,
    }
    print(json.dumps(result, indent=2))
    if given.save:
        save("sweep_cpu", result)


if __name__ == "__main__":
    main()
