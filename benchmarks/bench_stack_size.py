"""Trials per second against the number of trials in a stack.

    python benchmarks/bench_stack_size.py [--device cuda] [--save]

Whole trainings by our Solver with momentum, from drawing the weights to the last accuracy, on
random examples in float32. A stack of one is the competitor. The sizes are interleaved round by
round in one process; the first round is discarded; medians.
"""

from __future__ import annotations

import argparse
import statistics
import time
from dataclasses import dataclass

import torch
from results_file import machine, save

from fcsweep.nets import FullyConnectedNet
from fcsweep.solver import Solver
from fcsweep.system.memory import keep_freed


@dataclass(frozen=True)
class Task:
    """What a trial trains."""

    inputs: int
    hidden: tuple[int, ...]
    rows: int
    batch: int
    epochs: int


TASKS = {
    "digits 64-100-10": Task(64, (100,), 1_397, 100, 5),
    "overfit 3072-100-100-10": Task(3_072, (100, 100), 50, 25, 20),
    "cifar10 3072-100-10": Task(3_072, (100,), 4_000, 200, 1),
}
STACKS = {"cpu": (1, 2, 4, 8, 16, 32), "cuda": (1, 4, 16, 64, 256)}


def seconds(task: Task, trials: int, device: torch.device) -> float:
    """To train a stack of so many trials."""
    generator = torch.Generator().manual_seed(0)
    X = torch.randn(task.rows + 200, task.inputs, generator=generator).to(device)
    y = torch.randint(10, (task.rows + 200,), generator=generator).to(device)
    data = {"X_train": X[:-200], "y_train": y[:-200], "X_val": X[-200:], "y_val": y[-200:]}
    start = time.perf_counter()
    scales = torch.logspace(-3, -2, trials)
    net = FullyConnectedNet(
        list(task.hidden), task.inputs, weight_scale=scales, seed=[0] * trials, device=device
    )
    rates = {"learning_rate": torch.logspace(-3, -2, trials), "momentum": 0.9}
    options = {"num_epochs": task.epochs, "batch_size": task.batch, "verbose": False}
    solver = Solver(
        net, data, update_rule="sgd_momentum", optim_config=rates, seed=[0] * trials, **options
    )
    solver.train(return_best_params=False)
    if device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - start


def measured(task: Task, device: torch.device, rounds: int) -> dict[str, float]:
    """Trials per second by stack size."""
    keep_freed()  # as a run does
    times: dict[int, list[float]] = {trials: [] for trials in STACKS[device.type]}
    for _ in range(rounds + 1):
        for trials, each in times.items():
            each.append(seconds(task, trials, device))
    return {
        str(trials): round(trials / statistics.median(each[1:]), 3)
        for trials, each in times.items()
    }


def main() -> None:
    """Measure, print and, with ``--save``, write the results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--device", default="cpu", type=torch.device)
    parser.add_argument("--rounds", default=5, type=int)
    parser.add_argument("--save", action="store_true", help="write results/stack_size_DEVICE.json")
    arguments = parser.parse_args()
    record = machine(arguments.device) | {"unit": "trials per second"}
    sizes = {
        name: measured(task, arguments.device, arguments.rounds) for name, task in TASKS.items()
    }
    record["sizes"] = sizes
    for name, each in sizes.items():
        print(name, *(f"{trials}: {rate:.3g}/s" for trials, rate in each.items()), sep="  ")
    if arguments.save:
        save(f"stack_size_{arguments.device.type}", record)


if __name__ == "__main__":
    main()
