"""What refilling a running stack of a search could save at most, where a pruner halves by three.

    python benchmarks/bench_refill.py [digits] [overfit] [--trials 192] [--rounds 3] [--save]

Today a stack shrinks as its trials are pruned, and the next batch waits until the last has ended. A
refilled stack would take in the next batch at the end of an epoch, once it has room and the window
(``hydra.sweeper.ahead``) allows it. Its trials are then in different epochs, and so on different
minibatches. This is measured, in CPU seconds of one thread:

- an epoch by the width of a stack, on common minibatches and on a trial's own (medians);
- whole searches, and the epochs that each of their trials trains. The window alone decides how
  many, and not how trials are stacked; so from them follows what any stacking costs.

``same trials`` is what the epochs of a search cost today, over what they would cost refilled, and
``with the rest`` the same with all that a search does around them. A window of several batches is
news that comes late, as a larger ``n_jobs`` is: ``unseen`` is how many trials the sampler does not
know when it draws one, on average. ``best of today`` compares with the cheapest search without
refilling that has no more unseen, also with the rest. Joining is taken to be free.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import numpy as np
import torch
from results_file import machine, save

from fcsweep.nets import FullyConnectedNet
from fcsweep.solver import Solver
from fcsweep.system.memory import keep_freed

Lives = list[int]
"""Epochs that each trial of a search trains, by number."""
Cost = Callable[[int], float]
"""Seconds of an epoch of a stack, by its width."""


@dataclass(frozen=True)
class Task:
    """What a trial trains."""

    inputs: int
    hidden: list[int]
    rows: int
    batch: int
    words: list[str]
    """Of the command that searches for it."""


TASKS = {
    "digits": Task(64, [100], 1_397, 100, ["data=digits"]),
    "overfit": Task(
        3_072,
        [100, 100],
        50,
        25,
        ["data=synthetic", "data.num_train=50", "solver.num_val_samples=200", "model=three_layer"]
        + ["solver.batch_size=25", "objective=train_accuracy"],
    ),
}
EPOCHS = 81
WIDTHS = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128)
HALVING = "hydra.sweeper.pruner.min_resource=1", "hydra.sweeper.pruner.reduction_factor=3"
PRUNERS = {
    "successive_halving": HALVING,
    "hyperband": (*HALVING, f"hydra.sweeper.pruner.max_resource={EPOCHS}"),
}
SEARCHES = {
    "successive_halving": [
        *((16, 1), (32, 1), (64, 1)),
        *((8, 3), (16, 2), (16, 3), (16, 5), (64, 2)),
    ],
    "hyperband": [(16, 1), (64, 1), (16, 5)],
}
"""Trials of a batch, and batches that may be under way at once: 1 leaves nothing to refill with."""


def epoch_seconds(task: Task, width: int, own: bool, epochs: int = 4) -> list[float]:
    """Of a stack, the first epoch apart."""
    generator = torch.Generator().manual_seed(0)
    X = torch.randn(task.rows + 200, task.inputs, generator=generator)
    y = torch.randint(10, (task.rows + 200,), generator=generator)
    sets = {"X_train": X[:-200], "y_train": y[:-200], "X_val": X[-200:], "y_val": y[-200:]}
    net = FullyConnectedNet(task.hidden, task.inputs, weight_scale=1e-2, seed=[0] * width)
    solver = Solver(
        net, sets, update_rule="sgd_momentum", optim_config={"learning_rate": 1e-3},
        seed=[*range(width)] if own else [0] * width, batch_size=task.batch,
        num_epochs=epochs + 1, verbose=False,
    )  # fmt: skip
    clock = [time.process_time() for _ in solver.epochs()]
    return np.diff(clock).tolist()


def curve(task: Task, own: bool, rounds: int) -> dict[int, float]:
    """Seconds of an epoch by width."""
    times: dict[int, list[float]] = {width: [] for width in WIDTHS}
    for _ in range(rounds):
        for width, each in times.items():
            each += epoch_seconds(task, width, own)
    return {width: statistics.median(each) for width, each in times.items()}


def cost(measured: dict[int, float]) -> Cost:
    """Between the widths that were measured, a straight line."""
    every = np.interp(range(max(measured) + 1), [*measured], [*measured.values()])
    return lambda width: float(every[width])


def search(task: Task, pruner: str, jobs: int, ahead: int, trials: int) -> tuple[float, Lives]:
    """CPU seconds of a search, from the command to the page, and the lives of its trials."""
    words = ["-m", *task.words, "optimizer=momentum", f"solver.num_epochs={EPOCHS}"]
    words += ["hydra/sweeper=optuna", f"hydra/sweeper/pruner={pruner}", *PRUNERS[pruner]]
    words += ["optimizer.learning_rate=tag(log,interval(1e-4,1))"]
    words += ["model.weight_scale=tag(log,interval(1e-3,1))", "hydra.sweeper.sampler.seed=1"]
    words += [f"hydra.sweeper.{key}" for key in (f"n_jobs={jobs}", f"ahead={ahead}")]
    words += [f"hydra.sweeper.n_trials={trials}", f"hydra.launcher.max_trials={jobs}"]
    with tempfile.TemporaryDirectory() as folder:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(
            [sys.executable, "-m", "fcsweep", *words, "hydra.sweep.dir=it"],
            cwd=folder, env={**os.environ, "OMP_NUM_THREADS": "1"},
            stdout=subprocess.DEVNULL, check=True,
        )  # fmt: skip
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        histories = (Path(folder, "it", str(n), "history.csv") for n in range(trials))
        lives = [len(history.read_text().splitlines()) - 1 for history in histories]
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, lives


def today(lives: Sequence[int], jobs: int, most: int, epoch: Cost) -> float:
    """Seconds of training in batches, in stacks of at most ``most``."""
    batches = (lives[start : start + jobs] for start in range(0, len(lives), jobs))
    stacks = [b[start : start + most] for b in batches for start in range(0, len(b), most)]
    return sum(
        epoch(sum(life > done for life in stack)) for stack in stacks for done in range(max(stack))
    )


def refilled(
    lives: Sequence[int], jobs: int, ahead: int, most: int, shared: Cost, own: Cost
) -> float:
    """Seconds of training in one stack of at most ``most``, which batches join."""
    left = [list(lives[start : start + jobs]) for start in range(0, len(lives), jobs)]
    seconds, joined = 0.0, 0
    for _ in count():
        running = [sum(life > 0 for life in batch) for batch in left[:joined]]
        width, ended = sum(running), next((b for b, n in enumerate(running) if n), joined)
        while joined < min(len(left), ended + ahead) and width + len(left[joined]) <= most:
            running.append(len(left[joined]))
            width, joined = width + running[-1], joined + 1
        if not width:
            return seconds
        seconds += (shared if sum(n > 0 for n in running) == 1 else own)(width)
        left[:joined] = [[life - 1 for life in batch] for batch in left[:joined]]
    raise AssertionError


def compared(
    whole: float, lives: Lives, jobs: int, ahead: int, shared: Cost, own: Cost
) -> dict[str, float]:
    """Today's way and refilling, each with the size of stack that is best for it."""
    cuts = [width for width in (4, 8, 16, 32, 64) if width <= jobs]
    before = min(today(lives, jobs, most, shared) for most in cuts)
    rooms = [width for width in WIDTHS if width >= jobs]
    after, most = min((refilled(lives, jobs, ahead, most, shared, own), most) for most in rooms)
    return {
        "unseen": (ahead - 1) * jobs + (jobs - 1) / 2,
        "epochs a trial": round(statistics.mean(lives), 2),
        "search CPU s": round(whole, 2),
        "training CPU s": round(before, 2),
        "refilled CPU s": round(after, 2),
        "most trials": most,
        "same trials": round(before / after, 2),
        "with the rest": round(whole / (whole - before + after), 2),
    }


def searched(task: Task, pruner: str, trials: int, shared: Cost, own: Cost) -> dict[str, object]:
    """Every search with a pruner; those that leave nothing to refill with come first."""
    found: dict[str, dict[str, float]] = {}
    fixed: list[tuple[float, float]] = []
    for jobs, ahead in SEARCHES[pruner]:
        whole, lives = search(task, pruner, jobs, ahead, trials)
        one = compared(whole, lives, jobs, ahead, shared, own)
        if ahead == 1:
            fixed.append((one["unseen"], one["training CPU s"]))
        else:
            known = min(seconds for unseen, seconds in fixed if unseen <= one["unseen"])
            rest = one["search CPU s"] - one["training CPU s"]
            one["best of today"] = round((known + rest) / (one["refilled CPU s"] + rest), 2)
        found[f"n_jobs={jobs}, ahead={ahead}"] = one
        print(pruner, f"n_jobs={jobs}, ahead={ahead}", one, flush=True)
    return dict(found)


def measured(task: Task, trials: int, rounds: int) -> dict[str, object]:
    """All that is said of a task."""
    curves = {what: curve(task, what == "own", rounds) for what in ("common", "own")}
    found: dict[str, object] = {
        f"ms of an epoch, {what} minibatches": {w: round(1e3 * s, 2) for w, s in each.items()}
        for what, each in curves.items()
    }
    print(task, found, flush=True)
    costs = [cost(each) for each in curves.values()]
    return found | {pruner: searched(task, pruner, trials, *costs) for pruner in PRUNERS}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("tasks", nargs="*", help=f"of {', '.join(TASKS)}; default: all")
    parser.add_argument("--trials", type=int, default=192)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--save", action="store_true", help="write results/refill_cpu.json")
    given = parser.parse_args()
    torch.set_num_threads(1)
    keep_freed()  # as a run does
    for name in given.tasks or TASKS:
        found = measured(TASKS[name], given.trials, given.rounds)
        if given.save:
            how = {**machine(), "trials": given.trials, "rounds": given.rounds}
            save("refill_cpu", {name: how | found})


if __name__ == "__main__":
    main()
