"""Stacks of 1 to 1,000 trials on a GPU: time of a step, memory, arithmetic and memory traffic.

    python benchmarks/bench_gpu.py [--device cuda] [--rounds 3] [--tiny] [--save]

Trains 3072-100-10 at batch 200 with momentum, one epoch of 200 steps and an evaluation of 2,000
rows, as `fcsweep.run` trains it: with deterministic algorithms. The first round is discarded;
medians. ``--tiny`` shows on any machine that the program runs: its figures say nothing.
"""

from __future__ import annotations

import argparse
import re
import statistics
import time

import torch
from results_file import machine, save

from fcsweep.nets import FullyConnectedNet
from fcsweep.run.stack import deterministic
from fcsweep.solver import Solver

INPUTS, UNITS, CLASSES, BATCH = 3_072, 100, 10, 200
PARAMETERS = (INPUTS + 1) * UNITS + (UNITS + 1) * CLASSES
MULTIPLICATIONS = 3 * BATCH * (INPUTS * UNITS + UNITS * CLASSES)
"""Of a trial and step: forward, and twice as many backward but for the first layer's input."""
PASSES = 8
"""Over the weights in a step: gradient written; rule of momentum: 2 + 3 + 2; products read them."""
STACKS, STEPS = (1, 16, 64, 256, 1_000), 200
TINY_STACKS, TINY_STEPS = (1, 4), 2


def data(steps: int, device: torch.device) -> dict[str, torch.Tensor]:
    """Random examples, made on the device."""
    rows = steps * BATCH
    X = torch.randn(rows, INPUTS, device=device)
    y = torch.randint(CLASSES, (rows,), device=device)
    return {"X_train": X, "y_train": y, "X_val": X[:1_000], "y_val": y[:1_000]}


def seconds(trials: int, sets: dict[str, torch.Tensor], device: torch.device) -> dict[str, float]:
    """Of what comes before an epoch of a stack, and of the epoch with its evaluation."""
    start = time.perf_counter()
    scales = torch.linspace(1e-3, 1e-2, trials)
    net = FullyConnectedNet(
        [UNITS], INPUTS, CLASSES, weight_scale=scales, seed=[0] * trials, device=device
    )
    rates = {"learning_rate": torch.linspace(1e-4, 1e-3, trials), "momentum": 0.9}
    options = {"num_epochs": 1, "batch_size": BATCH, "verbose": False, "seed": [0] * trials}
    solver = Solver(net, sets, update_rule="sgd_momentum", optim_config=rates, **options)
    _wait(device)
    began = time.perf_counter()
    solver.train(return_best_params=False)
    _wait(device)
    return {"start": began - start, "epoch": time.perf_counter() - began}


def measured(trials: int, steps: int, device: torch.device, rounds: int) -> dict[str, float]:
    """What a stack of so many trials takes."""
    sets = data(steps, device)
    held = _peak(device, reset=True)
    times = [seconds(trials, sets, device) for _ in range(rounds + 1)][1:]
    median = {part: statistics.median(each[part] for each in times) for part in times[0]}
    step = median["epoch"] / steps
    return {
        "start s": round(median["start"], 3),
        "ms a step": round(1e3 * step, 3),
        "us a trial and step": round(1e6 * step / trials, 2),
        "GB": round((_peak(device) - held) / 1e9, 2),
        "TFLOP/s": round(2 * trials * MULTIPLICATIONS / step / 1e12, 2),
        "GB/s of weights": round(4 * PASSES * trials * PARAMETERS / step / 1e9, 1),
    }


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _peak(device: torch.device, reset: bool = False) -> int:
    """Most bytes that were allocated since the last reset; 0 on a CPU."""
    if device.type != "cuda":
        return 0
    if reset:
        torch.cuda.reset_peak_memory_stats(device)
    return torch.cuda.max_memory_allocated(device)


def main() -> None:
    """Measure, print and, with ``--save``, write ``results/DEVICE.json``."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--device", default="cuda", type=torch.device)
    parser.add_argument("--rounds", default=3, type=int)
    parser.add_argument("--tiny", action="store_true", help="two small stacks, on any device")
    parser.add_argument("--save", action="store_true")
    arguments = parser.parse_args()
    stacks, steps = (TINY_STACKS, TINY_STEPS) if arguments.tiny else (STACKS, STEPS)
    record = machine(arguments.device) | {"rounds": arguments.rounds, "steps": steps}
    found: dict[str, dict[str, float]] = {}
    with deterministic(arguments.device):
        for trials in stacks:
            each = measured(trials, steps, arguments.device, arguments.rounds)
            found[str(trials)] = each
            said = ", ".join(f"{value} {unit}" for unit, value in each.items())
            print(f"{trials:>4} trials: {said}", flush=True)
            if arguments.save:  # a machine that is lent may be taken back at any time
                name = re.sub(r"\W+", "-", str(record["device"]).lower()).strip("-")
                save(name, record | {"trials": found})


if __name__ == "__main__":
    main()
