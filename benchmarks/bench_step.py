"""One update of ours against one of torch.nn + autograd + torch.optim.SGD(momentum).

    python benchmarks/bench_step.py [--device cuda] [--save]

A single trial, random examples, float32. An update is what a training loop does for each minibatch:
take its rows from the data by index, loss, gradient, step; on a GPU until it is idle. The two are
interleaved update by update in one process, on the same batches; the first tenth is discarded;
medians. The competitor takes a batch by ``X[index]``, as most loops do; ``--given`` leaves the
taking out of both.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from results_file import machine, save
from torch import Tensor, nn

from fcsweep.nets import TwoLayerNet
from fcsweep.optim import sgd_momentum
from fcsweep.solver import Solver

SIZES = {
    "digits": (1_397, 64, 100, 10, 100, 4_000),
    "cifar10": (40_000, 3_072, 100, 10, 200, 600),
}
"""Training rows, inputs, hidden units, classes, batch; updates to time."""

LEARNING_RATE, MOMENTUM = 1e-3, 0.9


@dataclass(frozen=True)
class Update:
    """One side of the comparison."""

    take: Callable[[Tensor], Any]
    step: Callable[[Any], Tensor]
    mode: Callable[[], AbstractContextManager[object]]


def ours(X: Tensor, y: Tensor, hidden: int, classes: int) -> Update:
    """What the Solver does for each minibatch."""
    net = TwoLayerNet(X.shape[1], hidden, classes, seed=0, device=X.device)
    data = {"X_train": X, "y_train": y, "X_val": X[:1], "y_val": y[:1]}
    constants = {"learning_rate": LEARNING_RATE, "momentum": MOMENTUM}
    solver = Solver(
        net, data, update_rule=sgd_momentum, optim_config=constants, batch_size=1, verbose=False
    )
    update = solver._updates.prepare(net.params, solver._gradient, 0)
    return Update(
        take=solver._batches._take,
        step=lambda minibatch: solver._step(minibatch[0], minibatch[1], update),
        mode=torch.inference_mode,  # which the Solver enters once an epoch
    )


def theirs(X: Tensor, y: Tensor, hidden: int, classes: int) -> Update:
    """The usual training step."""
    net = nn.Sequential(nn.Linear(X.shape[1], hidden), nn.ReLU(), nn.Linear(hidden, classes))
    net.to(X.device)
    optimizer = torch.optim.SGD(net.parameters(), lr=LEARNING_RATE, momentum=MOMENTUM)
    loss_function = nn.CrossEntropyLoss()

    def step(minibatch: tuple[Tensor, Tensor]) -> Tensor:
        x, labels = minibatch
        optimizer.zero_grad()
        loss = loss_function(net(x), labels)
        loss.backward()
        optimizer.step()
        return loss.detach()

    return Update(take=lambda rows: (X[rows], y[rows]), step=step, mode=nullcontext)


def medians(updates: dict[str, Update], batches: Sequence[Tensor], given: bool) -> dict[str, float]:
    """Microseconds an update, interleaved."""
    times: dict[str, list[float]] = {name: [] for name in updates}
    for rows in batches:
        for name, update in updates.items():
            with update.mode():
                times[name].append(_seconds(update, rows, given))
    return {name: 1e6 * statistics.median(t[len(t) // 10 :]) for name, t in times.items()}


def _seconds(update: Update, rows: Tensor, given: bool) -> float:
    batch = update.take(rows) if given else None
    _wait(rows)
    start = time.perf_counter()
    update.step(batch or update.take(rows))
    _wait(rows)
    return time.perf_counter() - start


def _wait(tensor: Tensor) -> None:
    if tensor.is_cuda:
        torch.cuda.synchronize(tensor.device)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--rounds", type=int, default=3, help="repeats of everything")
    parser.add_argument("--given", action="store_true", help="leave the taking of a batch out")
    parser.add_argument("--save", action="store_true", help="write results/step_DEVICE.json")
    arguments = parser.parse_args()
    device = torch.device(arguments.device)
    record = machine(device)
    for name, (rows, inputs, hidden, classes, batch, count) in SIZES.items():
        torch.manual_seed(0)
        X = torch.randn(rows, inputs, device=device)
        y = torch.randint(classes, (rows,), device=device)
        batches = [torch.randint(rows, (batch,), device=device) for _ in range(count)]
        updates = {"ours": ours(X, y, hidden, classes), "torch.nn": theirs(X, y, hidden, classes)}
        rounds = [medians(updates, batches, arguments.given) for _ in range(arguments.rounds)]
        best = {side: statistics.median(r[side] for r in rounds) for side in updates}
        ratio = statistics.median(r["torch.nn"] / r["ours"] for r in rounds)
        print(
            f"{name:<8} {inputs}-{hidden}-{classes}, batch {batch}: "
            f"ours {best['ours']:.0f} us, torch.nn {best['torch.nn']:.0f} us, ratio {ratio:.2f}"
        )
        record[name] = {f"{side} us": round(us, 1) for side, us in best.items()} | {
            "ratio": round(ratio, 3)
        }
    if arguments.save:
        save(f"step_{device.type}", record)


if __name__ == "__main__":
    main()
