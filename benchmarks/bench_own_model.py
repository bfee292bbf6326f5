"""64 trials of a user's own ``nn.Module`` as one stack, against the same trials one by one.

    python benchmarks/bench_own_model.py [--save]

Digits: 64 inputs, ten classes, 1,400 rows, minibatches of 100, momentum, both accuracies after each
epoch. The module has three layers, ``Linear - ReLU - Linear - ReLU - Linear``. One by one means by
torch.nn, autograd and torch.optim, as most people would write it; and, for comparison, by the same
Solver with stacks of one. Of these sides a few trials are timed: each takes the same.

CPU seconds of one thread, interleaved round by round in one process; a first round is discarded;
medians.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import torch
from bench_stack import examples, interleaved
from results_file import machine, save
from torch import Tensor, nn

from fcsweep.modules import ModuleNet
from fcsweep.optim import sgd_momentum
from fcsweep.solver import Solver
from fcsweep.system.memory import keep_freed

TRIALS, EPOCHS, BATCH, TIMED, AIM = 64, 3, 100, 4, 4.0
WIDTHS = (32, 64, 100)
RATE, MOMENTUM = 1e-2, 0.9


def module(width: int) -> nn.Module:
    return nn.Sequential(
        nn.Linear(64, width),
        nn.ReLU(),
        nn.Linear(width, width),
        nn.ReLU(),
        nn.Linear(width, 10),
    )


def stacked(width: int, trials: int, sets: dict[str, Tensor]) -> None:
    net = ModuleNet([module(width) for _ in range(trials)], 64, 10)
    rates = {"learning_rate": torch.full((trials,), RATE), "momentum": MOMENTUM}
    Solver(
        net, sets, update_rule=sgd_momentum, seed=[0] * trials, num_epochs=EPOCHS,
        batch_size=BATCH, optim_config=rates, num_train_samples=1_000, verbose=False,
    ).train(return_best_params=False)  # fmt: skip


def by_torch(width: int, sets: dict[str, Tensor]) -> None:
    X, y, net = sets["X_train"], sets["y_train"], module(width)
    rule = torch.optim.SGD(net.parameters(), lr=RATE, momentum=MOMENTUM)
    loss_function = nn.CrossEntropyLoss()
    for _ in range(EPOCHS):
        for rows in torch.randperm(len(y)).split(BATCH):
            rule.zero_grad()
            loss_function(net(X[rows]), y[rows]).backward()
            rule.step()
        for part, labels in ((X[:1_000], y[:1_000]), (sets["X_val"], sets["y_val"])):
            with torch.no_grad():
                (net(part).argmax(1) == labels).double().mean().item()


def measured(width: int, rounds: int) -> dict[str, object]:
    torch.manual_seed(0)
    (X, y), (X_val, y_val) = examples(1_400, 64), examples(200, 64)
    sets = {"X_train": X, "y_train": y, "X_val": X_val, "y_val": y_val}
    sides: dict[str, Callable[[], object]] = {
        "stack": lambda: stacked(width, TRIALS, sets),
        "torch.nn": lambda: [by_torch(width, sets) for _ in range(TIMED)],
        "stacks of one": lambda: [stacked(width, 1, sets) for _ in range(TIMED)],
    }
    times = interleaved(sides, rounds, time.process_time)
    found: dict[str, object] = {"stack s": round(statistics.median(times["stack"]), 3)}
    for name in ("torch.nn", "stacks of one"):
        scaled = [seconds * TRIALS / TIMED for seconds in times[name]]
        ratios = [b / a for a, b in zip(times["stack"], scaled, strict=True)]
        found[f"{name} s"] = round(statistics.median(scaled), 3)
        found[f"ratio to {name}"] = round(statistics.median(ratios), 2)
        found[f"lowest, highest to {name}"] = [round(min(ratios), 2), round(max(ratios), 2)]
    print(f"64-{width}-{width}-10: {found} (aim {AIM})", flush=True)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--save", action="store_true")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    keep_freed()  # as a run does; the other sides gain by it, too
    found = {f"64-{w}-{w}-10": measured(w, arguments.rounds) for w in WIDTHS}
    if arguments.save:
        save("own_model_cpu", {"machine": machine(), **found})


if __name__ == "__main__":
    main()
