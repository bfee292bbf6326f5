"""One update of ours against one of torch.nn + autograd + torch.optim.SGD(momentum).

    python benchmarks/bench_step.py [--device cuda] [--save]

A single trial, the same minibatch of random examples for both, float32. The two are interleaved
update by update in one process; the first tenth is discarded; medians. What is timed is what a
training loop does with a batch that lies ready: loss, gradient, update; on a GPU until it is idle.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn

from fcsweep.nets import TwoLayerNet
from fcsweep.optim import per_trial, sgd_momentum
from fcsweep.provenance import device_name, git_commit

SIZES = {"digits": (64, 100, 10, 100, 4000), "cifar10": (3072, 100, 10, 200, 600)}
"""Inputs, hidden units, classes, batch; updates to time."""

LEARNING_RATE, MOMENTUM = 1e-3, 0.9

Update = Callable[[], torch.Tensor]


def ours(x: torch.Tensor, y: torch.Tensor, hidden: int, classes: int) -> Update:
    """What the Solver does for each minibatch."""
    net = TwoLayerNet(x.shape[1], hidden, classes, seed=0, device=x.device)
    grads, velocity = net.params.zeros_like(), net.params.zeros_like()
    blocks = list(zip(net.params.blocks, grads.blocks, velocity.blocks, strict=True))
    constants = {"learning_rate": LEARNING_RATE, "momentum": MOMENTUM}
    configs = [
        {name: per_trial(c, w) for name, c in constants.items()} | {"velocity": v}
        for w, _, v in blocks
    ]

    def update() -> torch.Tensor:
        with torch.inference_mode():
            loss = net.gradient(x, y, grads)
            for (w, dw, _), config in zip(blocks, configs, strict=True):
                sgd_momentum.step(w, dw, config)
            return loss

    return update


def theirs(x: torch.Tensor, y: torch.Tensor, hidden: int, classes: int) -> Update:
    """The usual training step."""
    net = nn.Sequential(nn.Linear(x.shape[1], hidden), nn.ReLU(), nn.Linear(hidden, classes))
    net.to(x.device)
    optimizer = torch.optim.SGD(net.parameters(), lr=LEARNING_RATE, momentum=MOMENTUM)
    loss_function = nn.CrossEntropyLoss()

    def update() -> torch.Tensor:
        optimizer.zero_grad()
        loss = loss_function(net(x), y)
        loss.backward()
        optimizer.step()
        return loss.detach()

    return update


def medians(updates: dict[str, Update], count: int, device: torch.device) -> dict[str, float]:
    """Microseconds an update, interleaved."""
    times: dict[str, list[float]] = {name: [] for name in updates}
    for _ in range(count):
        for name, update in updates.items():
            start = time.perf_counter()
            update()
            if device.type == "cuda":
                torch.cuda.synchronize(device)
            times[name].append(time.perf_counter() - start)
    return {name: 1e6 * statistics.median(t[count // 10 :]) for name, t in times.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--rounds", type=int, default=3, help="repeats of everything")
    parser.add_argument("--save", action="store_true", help="write results/step_DEVICE.json")
    arguments = parser.parse_args()
    device = torch.device(arguments.device)
    record: dict[str, object] = {
        "device": device_name(device),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "python": platform.python_version(),
        "commit": git_commit(),
    }
    for name, (inputs, hidden, classes, batch, count) in SIZES.items():
        torch.manual_seed(0)
        x = torch.randn(batch, inputs, device=device)
        y = torch.randint(classes, (batch,), device=device)
        updates = {"ours": ours(x, y, hidden, classes), "torch.nn": theirs(x, y, hidden, classes)}
        rounds = [medians(updates, count, device) for _ in range(arguments.rounds)]
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
        path = Path(__file__).parent / "results" / f"step_{device.type}.json"
        path.write_text(json.dumps(record, indent=2) + "\n")
        print(f"wrote {path.name}")


if __name__ == "__main__":
    main()
