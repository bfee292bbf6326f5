"""What the TPE sampler loses when it hears of n_jobs trials at once, on a real landscape.

    python benchmarks/bench_batches.py [--seeds 40] [--save]

A stack of 30 x 30 digits trials (64-100-10, momentum, 5 epochs) gives the validation accuracy over
learning rate and weight scale; between its points it is interpolated. Searches of 100 trials in
batches of 1 to 64 then find how far the best accuracy of 30 and of 100 trials stays below the best
of all, in points of a hundred: the median and the upper quartile of the seeds. A search itself
trains nothing, so this is not a matter of time.
"""

from __future__ import annotations

import argparse
import math
import statistics
import warnings
from itertools import product

import numpy as np
import optuna
import torch
from optuna.distributions import BaseDistribution, FloatDistribution
from results_file import machine, save
from scipy.interpolate import RegularGridInterpolator

from fcsweep import data
from fcsweep.nets import FullyConnectedNet
from fcsweep.optim import sgd_momentum
from fcsweep.solver import Solver

RATES, SCALES, POINTS = (1e-3, 1.0), (1e-4, 1e-1), 30
BATCHES = (1, 2, 4, 8, 16, 32, 64)
TRIALS = (30, 100)
SPACE: dict[str, BaseDistribution] = {
    "learning_rate": FloatDistribution(*RATES, log=True),
    "weight_scale": FloatDistribution(*SCALES, log=True),
}


def landscape() -> RegularGridInterpolator:
    """Accuracy over the logarithms of learning rate and weight scale."""
    axes = [np.linspace(math.log(low), math.log(high), POINTS) for low, high in (RATES, SCALES)]
    points = np.exp(list(product(*axes)))
    rates, scales = torch.tensor(points).T
    net = FullyConnectedNet([100], 64, 10, weight_scale=scales, seed=[0] * len(points))
    solver = Solver(
        net, data.load("digits"), update_rule=sgd_momentum, seed=[0] * len(points),
        num_epochs=5, optim_config={"learning_rate": rates, "momentum": 0.9}, verbose=False,
    )  # fmt: skip
    solver.train()
    best = np.array(solver.best_val_acc).reshape(POINTS, POINTS)
    return RegularGridInterpolator(axes, best)


def regrets(accuracy: RegularGridInterpolator, batch: int, seed: int) -> list[float]:
    """Points of a hundred by which the best of so many trials misses the best of all."""
    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=seed))
    values: list[float] = []
    while len(values) < max(TRIALS):
        trials = [study.ask(SPACE) for _ in range(min(batch, max(TRIALS) - len(values)))]
        for trial in trials:
            values.append(accuracy(np.log([*trial.params.values()])).item())
            study.tell(trial, values[-1])
    top = accuracy.values.max()
    return [100 * (top - max(values[:count])) for count in TRIALS]


def main() -> None:
    """Measure, print, and with ``--save`` write ``results/batches.json``."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=40)
    parser.add_argument("--save", action="store_true")
    given = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    warnings.simplefilter("ignore")
    accuracy = landscape()
    missed = {}
    for batch in BATCHES:
        each = [regrets(accuracy, batch, seed) for seed in range(given.seeds)]
        missed[batch] = {
            f"{count} trials": [
                round(float(statistics.median(column)), 2),
                round(float(statistics.quantiles(column, n=4)[2]), 2),
            ]
            for count, column in zip(TRIALS, zip(*each, strict=True), strict=True)
        }
        print(batch, missed[batch])
    if given.save:
        unit = "points of a hundred below the best accuracy: median and upper quartile of the seeds"
        result = {"unit": unit, "seeds": given.seeds, "missed": missed}
        save("batches", result | machine())


if __name__ == "__main__":
    main()
