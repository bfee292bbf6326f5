"""Stacks of trials against the same trials one by one; what a sweep costs around its training.

    python benchmarks/bench_stack.py [training] [row_space] [sweep] [overhead] [--save]

- ``training``: seconds to train a stack against those of a plain torch.nn + autograd + torch.optim
  loop with index batches for as many trials, of which a few are timed (each takes the same time).
  Same data sizes, batches, steps and evaluations; from initial weights to the last accuracy.
- ``row_space``: CPU seconds of the overfit size by ``solver.first_layer=row_space`` and ``plain``
  and by torch.nn, from initial weights to the last weights; evaluated once, and after each epoch.
- ``sweep``: 64 trials of digits by ``hydra/launcher=stacked``, by ``basic``, and by ``basic`` where
  Hydra composes every job itself; composing, folders and records included, imports not.
- ``overhead``: CPU time a trial of all that is not training, at 100 trials of one step.

The sides are interleaved, round by round, in one process; a first round is discarded; medians.
"""

from __future__ import annotations

import argparse
import gc
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import redirect_stdout, suppress
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from unittest.mock import patch

import torch
from results_file import machine, save
from torch import Tensor, nn

from fcsweep import data  # noqa: F401
from fcsweep.cli import main as cli
from fcsweep.composition.jobs import ComposedOnce
from fcsweep.launchers import grouping  # noqa: F401
from fcsweep.nets import FullyConnectedNet
from fcsweep.optim import sgd_momentum
from fcsweep.row_space import NetInRowSpace, RowSpace
from fcsweep.run import (
    provenance,  # noqa: F401
    stack,  # noqa: F401
)
from fcsweep.solver import Solver
from fcsweep.system.memory import keep_freed
from fcsweep.terminal import (
    run_view,  # noqa: F401
    stack_view,  # noqa: F401
)

LEARNING_RATE, MOMENTUM = 1e-3, 0.9
FOLDER = tempfile.TemporaryDirectory()


@dataclass(frozen=True)
class Size:
    """A comparison: what is trained, for how long, and how many of the other side are timed."""

    trials: int
    inputs: int
    hidden: list[int]
    batch: int
    rows: int
    val_rows: int
    epochs: int
    eval_every: int
    timed: int
    aim: float


SIZES = {
    "digits": Size(64, 64, [100], 100, 1_400, 200, 20, 1, timed=4, aim=8.0),
    "overfit": Size(64, 3_072, [100, 100], 25, 50, 200, 20, 20, timed=4, aim=1.9),
    "cifar10": Size(16, 3_072, [100], 200, 40_000, 10_000, 2, 1, timed=2, aim=1.7),
}


def examples(rows: int, inputs: int, device: str = "cpu") -> tuple[Tensor, Tensor]:
    return torch.randn(rows, inputs, device=device), torch.randint(10, (rows,), device=device)


def stacked(size: Size, sets: dict[str, Tensor], together: int, first_layer: str = "plain") -> None:
    """All trials, in stacks of at most ``together``, cut as the launcher cuts them."""
    for positions in grouping.cut(range(size.trials), together):
        start, count = positions[0], len(positions)
        scale = torch.linspace(1e-3, 1e-2, size.trials)[start : start + count]
        net = FullyConnectedNet(
            size.hidden, size.inputs, 10, weight_scale=scale, seed=[0] * count,
            device=sets["X_train"].device,
        )  # fmt: skip
        rates = torch.linspace(1e-4, 1e-3, size.trials)[start : start + count]
        examples = sets if first_layer == "plain" else RowSpace(sets)
        net = NetInRowSpace(net, examples) if isinstance(examples, RowSpace) else net
        Solver(
            net, examples, update_rule=sgd_momentum, seed=[0] * count, num_epochs=size.epochs,
            batch_size=size.batch, optim_config={"learning_rate": rates, "momentum": MOMENTUM},
            num_train_samples=1_000, eval_every=size.eval_every, verbose=False,
        ).train(return_best_params=False)  # fmt: skip
        if isinstance(net, NetInRowSpace):
            for trial in range(count):
                net.outside(net.params, trial)


def plain(size: Size, sets: dict[str, Tensor]) -> None:
    """One trial as most people would write it."""
    X, y = sets["X_train"], sets["y_train"]
    layers: list[nn.Module] = []
    for inputs, units in pairwise([size.inputs, *size.hidden]):
        layers += [nn.Linear(inputs, units), nn.ReLU()]
    net = nn.Sequential(*layers, nn.Linear(size.hidden[-1], 10))
    optimizer = torch.optim.SGD(net.parameters(), lr=LEARNING_RATE, momentum=MOMENTUM)
    loss_function = nn.CrossEntropyLoss()
    for epoch in range(1, size.epochs + 1):
        for rows in torch.randperm(len(y)).split(size.batch):
            optimizer.zero_grad()
            loss_function(net(X[rows]), y[rows]).backward()
            optimizer.step()
        if epoch % size.eval_every:
            continue
        for part, labels in ((X[:1_000], y[:1_000]), (sets["X_val"], sets["y_val"])):
            with torch.no_grad():
                (net(part).argmax(1) == labels).double().mean().item()


def interleaved(
    sides: dict[str, Callable[[], object]],
    rounds: int,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, list[float]]:
    """Seconds of each side, round by round; the first round is discarded."""
    times: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(rounds + 1):
        for name, side in sides.items():
            start = clock()
            side()
            times[name].append(clock() - start)
        gc.freeze()  # a command is a process of its own, which keeps aside what it has imported
    return {name: each[1:] for name, each in times.items()}


def training(rounds: int) -> dict[str, object]:
    found: dict[str, object] = {}
    keep_freed()  # as a run does; the other side gains by it, too
    for name, size in SIZES.items():
        torch.manual_seed(0)
        X, y = examples(size.rows, size.inputs)
        X_val, y_val = examples(size.val_rows, size.inputs)
        sets = {"X_train": X, "y_train": y, "X_val": X_val, "y_val": y_val}
        together = grouping.largest(_config(size))
        times = interleaved(
            {
                "stack": lambda s=size, d=sets, k=together: stacked(s, d, k),
                "torch.nn": lambda s=size, d=sets: [plain(s, d) for _ in range(s.timed)],
            },
            rounds,
        )
        scaled = [seconds * size.trials / size.timed for seconds in times["torch.nn"]]
        ratios = [b / a for a, b in zip(times["stack"], scaled, strict=True)]
        ratio = statistics.median(ratios)
        hidden = "-".join(map(str, size.hidden))
        print(
            f"{name:<8} {size.trials} trials of {size.inputs}-{hidden}-10, batch {size.batch}, "
            f"stacks of {together}: {statistics.median(times['stack']):.2f} s, torch.nn "
            f"{statistics.median(scaled):.2f} s, ratio {ratio:.2f} "
            f"({min(ratios):.2f} to {max(ratios):.2f}; aim {size.aim})"
        )
        found[name] = {
            "stack s": round(statistics.median(times["stack"]), 3),
            "torch.nn s": round(statistics.median(scaled), 3),
            "ratio": round(ratio, 2),
            "lowest": round(min(ratios), 2),
            "highest": round(max(ratios), 2),
            "stack": together,
        }
    return found


def row_space(rounds: int) -> dict[str, object]:
    found: dict[str, object] = {}
    keep_freed()
    for every in (20, 1):
        size = replace(SIZES["overfit"], eval_every=every)
        torch.manual_seed(0)
        (X, y), (X_val, y_val) = (examples(n, size.inputs) for n in (size.rows, size.val_rows))
        sets = {"X_train": X, "y_train": y, "X_val": X_val, "y_val": y_val}
        config = _config(size)
        config.data = replace(config.data, num_train=size.rows, num_val=size.val_rows)
        together = {"plain": grouping.largest(config)}
        config.solver.first_layer = "row_space"
        together["row_space"] = grouping.largest(config)
        sides: dict[str, Callable[[], object]] = {
            name: lambda s=size, d=sets, k=k, name=name: stacked(s, d, k, name)
            for name, k in together.items()
        }
        sides["torch.nn"] = lambda s=size, d=sets: [plain(s, d) for _ in range(s.timed)]
        times = interleaved(sides, rounds, time.process_time)
        times["torch.nn"] = [t * size.trials / size.timed for t in times["torch.nn"]]
        ratios = {
            name: [b / a for a, b in zip(times[name], times["torch.nn"], strict=True)]
            for name in together
        }
        for name, k in together.items():
            part = {
                "CPU s": round(statistics.median(times[name]), 3),
                "torch.nn CPU s": round(statistics.median(times["torch.nn"]), 3),
                "ratio": round(statistics.median(ratios[name]), 2),
                "lowest": round(min(ratios[name]), 2),
                "highest": round(max(ratios[name]), 2),
                "stack": k,
            }
            print(f"overfit, {size.epochs // every} evaluations, {name}: {part}")
            found[f"{size.epochs // every} evaluations, {name}"] = part
    return found


def _config(size: Size) -> stack.RunConfig:
    from fcsweep.config import (
        DigitsConfig,
        FullyConnectedConfig,
        MomentumConfig,
        RunConfig,
        SolverConfig,
        SyntheticConfig,
    )

    return RunConfig(
        model=FullyConnectedConfig(hidden_dims=size.hidden),
        optimizer=MomentumConfig(),
        data=DigitsConfig() if size.inputs == 64 else SyntheticConfig(),
        solver=SolverConfig(batch_size=size.batch),
        device="cpu",
    )


def command(*arguments: str) -> None:
    """The program, in this process and in a folder of its own, with nothing shown.

    The folder stays until the benchmark ends: where many files have just been removed, making new
    ones can take three times as long.
    """
    before = os.getcwd(), sys.argv
    folder = tempfile.mkdtemp(dir=FOLDER.name)
    with open(os.devnull, "w") as nowhere:
        os.chdir(folder)
        sys.argv = ["fcsweep", "-m", *arguments]
        try:
            with redirect_stdout(nowhere), suppress(SystemExit):
                cli.main()
            assert list(Path(folder).glob("multirun/*/trials.csv")), "the sweep did not end"
        finally:
            os.chdir(before[0])
            sys.argv = before[1]


GRID = [
    "optimizer=momentum",
    "optimizer.learning_rate=0.01,0.02,0.05,0.1,0.15,0.2,0.25,0.3",
    "model.weight_scale=1e-3,2e-3,3e-3,5e-3,1e-2,2e-2,3e-2,5e-2",
]


def as_hydra_composes() -> None:
    """`basic`, with Hydra's own composing of every job, twice as it does."""
    with patch.object(ComposedOnce, "job", lambda *_: None):
        with patch.object(ComposedOnce, "checked", lambda *_: None):
            command(*GRID, "hydra/launcher=basic")


def sweep(rounds: int) -> dict[str, object]:
    times = interleaved(
        {
            "stacked": lambda: command(*GRID, "hydra/launcher=stacked"),
            "basic": lambda: command(*GRID, "hydra/launcher=basic"),
            "basic, composed by Hydra": as_hydra_composes,
        },
        rounds,
    )
    found: dict[str, object] = {}
    for name, seconds in times.items():
        ratios = [b / a for a, b in zip(times["stacked"], seconds, strict=True)]
        median, ratio = statistics.median(seconds), statistics.median(ratios)
        print(
            f"sweep of 64 digits trials, {name}: {median:.2f} s, {ratio:.2f} times stacked "
            f"({min(ratios):.2f} to {max(ratios):.2f})"
        )
        found[name] = {"s": round(median, 2), "times stacked": round(ratio, 2)}
    return found


def overhead(rounds: int, trials: int = 100) -> dict[str, object]:
    """CPU of a sweep whose trials make a single step, less that of a lone one's, by its trials."""
    short = ["solver.num_epochs=1", "data.num_train=100", "solver.num_train_samples=100"]

    def cpu(count: int, *more: str) -> float:
        seeds = ",".join(map(str, range(count)))
        start = time.process_time()
        command(f"seed={seeds}", *short, *more)
        return time.process_time() - start

    found: dict[str, object] = {}
    each: dict[str, list[float]] = {"stacked": [], "basic": []}
    for _ in range(rounds + 1):
        for name, times in each.items():
            one = cpu(2, f"hydra/launcher={name}")
            times.append(1e3 * (cpu(trials, f"hydra/launcher={name}") - one) / (trials - 2))
    for name, times in each.items():
        median = statistics.median(times[1:])
        print(f"CPU a trial around its training, {name}: {median:.1f} ms (least {min(times):.1f})")
        found[f"{name} ms"] = {"median": round(median, 1), "least": round(min(times), 1)}
    return found


PARTS = {
    "training": training,
    "row_space": row_space,
    "sweep": sweep,
    "overhead": overhead,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("parts", nargs="*", help=f"of {', '.join(PARTS)}; default: all")
    parser.add_argument("--rounds", type=int, default=5, help="repeats of each comparison")
    parser.add_argument("--save", action="store_true", help="write results/stack_cpu.json")
    arguments = parser.parse_args()
    parts = arguments.parts or [*PARTS]
    data.load("digits")  # scikit-learn is imported before the clock starts
    how = {"rounds": arguments.rounds, **machine()}
    record = {name: how | PARTS[name](arguments.rounds) for name in parts}
    if arguments.save:
        save("stack_cpu", record)


if __name__ == "__main__":
    main()
