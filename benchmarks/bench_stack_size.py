"""Trials per second against the number of trials in a stack; and what a grid learns of it.

    python benchmarks/bench_stack_size.py [--device cuda] [--rounds 3] [--save]

Whole trainings by our Solver with momentum, from drawing the weights to the last accuracy, on
random examples in float32. A stack of one is the competitor. The sizes are interleaved round by
round in one process; the first round is discarded; medians. On a CPU the seconds are CPU seconds of
one thread, so that other programs on the machine count little.

On a CPU each size of task is also a grid of 64 trials, planned as `fcsweep.launchers` plans it: how
many percent the guess, and what is learnt of fresh measurements, take more than the fastest size.
"""

from __future__ import annotations

import argparse
import statistics
import time
from dataclasses import dataclass

import torch
from results_file import machine, save

from fcsweep.config import (
    DigitsConfig,
    FullyConnectedConfig,
    MomentumConfig,
    RunConfig,
    SolverConfig,
    SyntheticConfig,
)
from fcsweep.launchers.grouping import largest
from fcsweep.launchers.stack_size import StackSizes
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
GRID = 64


def seconds(task: Task, trials: int, device: torch.device) -> float:
    """To train a stack of so many trials."""
    generator = torch.Generator().manual_seed(0)
    X = torch.randn(task.rows + 200, task.inputs, generator=generator).to(device)
    y = torch.randint(10, (task.rows + 200,), generator=generator).to(device)
    data = {"X_train": X[:-200], "y_train": y[:-200], "X_val": X[-200:], "y_val": y[-200:]}
    clock = time.process_time if device.type == "cpu" else time.perf_counter
    start = clock()
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
    return clock() - start


def measured(task: Task, device: torch.device, rounds: int) -> dict[str, float]:
    """Trials per second by stack size."""
    times: dict[int, list[float]] = {trials: [] for trials in STACKS[device.type]}
    for _ in range(rounds + 1):
        for trials, each in times.items():
            each.append(seconds(task, trials, device))
    return {
        str(trials): round(trials / statistics.median(each[1:]), 3)
        for trials, each in times.items()
    }


def config_of(task: Task) -> RunConfig:
    """The config of such a trial, as far as its stack depends on it."""
    return RunConfig(
        model=FullyConnectedConfig(hidden_dims=list(task.hidden)),
        optimizer=MomentumConfig(),
        data=DigitsConfig() if task.inputs == 64 else SyntheticConfig(),
        solver=SolverConfig(batch_size=task.batch),
        device="cpu",
    )


def learnt(task: Task) -> int:
    """The size that a grid goes on with, after stacks that are measured afresh."""
    learning, left = StackSizes(None).learn(config_of(task), GRID), GRID
    while left:
        size = learning.next(left)
        learning.add(size, seconds(task, size, torch.device("cpu")) / (size * task.epochs))
        left -= size
    return learning.best


def compared(task: Task, rates: dict[str, float], rounds: int) -> dict[str, object]:
    """Guess and learnt sizes, and how many percent more CPU time than the fastest they take."""
    guess = largest(config_of(task))
    sizes = [learnt(task) for _ in range(rounds)]
    off = {size: round(100 * (max(rates.values()) / rate - 1)) for size, rate in rates.items()}
    known = [str(min(size, max(STACKS["cpu"]))) for size in [guess, *sizes]]
    return {
        "guess": guess,
        "guess off %": off[known[0]],
        "learnt": sizes,
        "learnt off %": [off[size] for size in known[1:]],
    }


def main() -> None:
    """Measure, print and, with ``--save``, write the results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--device", default="cpu", type=torch.device)
    parser.add_argument("--rounds", default=5, type=int)
    parser.add_argument("--save", action="store_true", help="write results/stack_size_DEVICE.json")
    arguments = parser.parse_args()
    keep_freed()  # as a run does
    on_cpu = arguments.device.type == "cpu"
    torch.set_num_threads(1 if on_cpu else torch.get_num_threads())
    record = machine(arguments.device)
    record["unit"] = f"trials per {'CPU ' * on_cpu}second"
    sizes = {
        name: measured(task, arguments.device, arguments.rounds) for name, task in TASKS.items()
    }
    record["sizes"] = sizes
    for name, each in sizes.items():
        print(name, *(f"{trials}: {rate:.3g}/s" for trials, rate in each.items()), sep="  ")
    if on_cpu:
        grids = {name: compared(TASKS[name], sizes[name], arguments.rounds) for name in TASKS}
        record["grids"] = grids
        for name, grid in grids.items():
            print(name, *(f"{what}: {value}" for what, value in grid.items()), sep="  ")
    if arguments.save:
        save(f"stack_size_{arguments.device.type}", record)


if __name__ == "__main__":
    main()
