"""Wall time of a small stack while other programs use the cores: the default against more threads.

    python benchmarks/bench_busy.py [--rounds 5] [--save]

A process spins on each core. Three others train 16 trials of 64-100-10 for an epoch in turn: one
with the threads that a command takes by itself, one with ``OMP_NUM_THREADS=1``, and one with a
thread for each core. Imports are not timed; the first round is discarded; medians.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from results_file import machine, save

CORES = os.cpu_count() or 1
SIDES: dict[str, dict[str, str]] = {
    "default": {},
    "one thread": {"OMP_NUM_THREADS": "1"},
    "a thread a core": {"OMP_NUM_THREADS": str(CORES)},
}
SPIN = "while True: pass"
TRAIN = """
import sys, time
import torch
from fcsweep.kernels.threads import one_thread
from fcsweep.nets import FullyConnectedNet
from fcsweep.solver import Solver

one_thread()
X, y = torch.randn(1600, 64), torch.randint(10, (1600,))
data = {"X_train": X[:1400], "y_train": y[:1400], "X_val": X[1400:], "y_val": y[1400:]}
for _ in sys.stdin:
    start = time.perf_counter()
    net = FullyConnectedNet([100], 64, weight_scale=torch.linspace(1e-3, 1e-2, 16), seed=[0] * 16)
    options = {"num_epochs": 1, "update_rule": "momentum", "seed": [0] * 16, "verbose": False}
    Solver(net, data, **options).train()
    print(time.perf_counter() - start, flush=True)
"""


@contextmanager
def running(program: str, more: dict[str, str]) -> Iterator[subprocess.Popen[str]]:
    """A process of Python while the block runs."""
    kept = {name: v for name, v in os.environ.items() if not name.endswith("_NUM_THREADS")}
    process = subprocess.Popen(
        [sys.executable, "-c", program],
        env=kept | more,
        text=True,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def seconds(process: subprocess.Popen[str]) -> float:
    """Of one training there."""
    assert process.stdin is not None and process.stdout is not None
    process.stdin.write("\n")
    process.stdin.flush()
    return float(process.stdout.readline())


def main() -> None:
    """Measure, print and, with ``--save``, write the results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", default=5, type=int)
    parser.add_argument("--save", action="store_true", help="write results/busy_cpu.json")
    arguments = parser.parse_args()
    times: dict[str, list[float]] = {name: [] for name in SIDES}
    record = machine() | {"spinning": CORES}
    with ExitStack() as stack:
        sides = {name: stack.enter_context(running(TRAIN, more)) for name, more in SIDES.items()}
        for process in sides.values():
            seconds(process)
        for _ in range(CORES):
            stack.enter_context(running(SPIN, {}))
        for _ in range(arguments.rounds):
            for name, process in sides.items():
                times[name].append(seconds(process))
    record["seconds"] = {
        name: {"median": round(statistics.median(each), 2), "most": round(max(each), 2)}
        for name, each in times.items()
    }
    for name, each in times.items():
        print(f"{name}: {statistics.median(each):.2f} s ({min(each):.2f} to {max(each):.2f})")
    ratios = [a / b for a, b in zip(times["default"], times["one thread"], strict=True)]
    record["default / one thread"] = round(statistics.median(ratios), 2)
    print(f"default / one thread: {statistics.median(ratios):.2f}")
    if arguments.save:
        save("busy_cpu", record)


if __name__ == "__main__":
    main()
