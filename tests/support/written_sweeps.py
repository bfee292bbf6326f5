"""Sweeps for the tests of the analysis: their folders, as runs would have left them."""

import math
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
from omegaconf import OmegaConf

from fcsweep.records.formats import HistoryRow
from fcsweep.records.writer import RunRecord

SEARCHED = {
    "model.weight_scale": "tag(log,interval(1e-4,10))",
    "optimizer.learning_rate": "tag(log,interval(1e-4,1))",
}


NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def trained_by(host: str, process: int, start: float, end: float | None) -> dict[str, Any]:
    """What the record of a run has of its worker; times in seconds after `NOON`."""
    times = {"started": start} if end is None else {"started": start, "ended": end}
    told = {name: NOON + timedelta(seconds=time) for name, time in times.items()}
    written = {name: time.isoformat(timespec="milliseconds") for name, time in told.items()}
    return {"host": host, "process": process, **written}


def write_sweep(folder: Path, params: dict[str, str], task: tuple[str, ...] = ()) -> Path:
    """The folder of a sweep, with what it was asked to search."""
    folder.mkdir(parents=True)
    asked = {"hydra": {"sweeper": {"params": params}, "overrides": {"task": list(task)}}}
    OmegaConf.save(OmegaConf.create(asked), folder / "multirun.yaml")
    return folder


def write_run(
    folder: Path,
    config: dict[str, Any],
    accuracies: tuple[float, ...],
    status: str = "completed",
    *,
    reason: str | None = None,
    target: float | None = 1.0,
    worker: dict[str, Any] | None = None,
) -> Path:
    """A run that was judged by its train accuracy, by the program's own writer.

    ``worker`` is as of `trained_by`, with its end.
    """
    trained = worker or {}
    (folder / ".hydra").mkdir(parents=True)
    OmegaConf.save(OmegaConf.create(config), folder / ".hydra" / "config.yaml")
    record = RunRecord(folder, "train_accuracy", target)
    record.start()
    facts = {"threads": 1, "git_commit": "c0ffee", "versions": {"torch": "2.13.0"}}
    record.provenance(facts | {key: trained[key] for key in trained if key != "ended"})
    best = -1.0
    for epoch, accuracy in enumerate(accuracies, 1):
        loss = math.inf if status == "diverged" and epoch == len(accuracies) else 2.3 / epoch
        val_loss = 2 * loss if math.isfinite(loss) else None
        row = HistoryRow(epoch, 2 * epoch, loss, accuracy, accuracy / 2, 0.1, val_loss)
        losses = np.array([loss, loss], np.float32)
        record.add(row, losses, epoch / 8, b"parameters" if accuracy > best else None)
        best = max(best, accuracy)
    with patch("fcsweep.records.writer.moment", lambda: trained.get("ended")):
        record.finish(status, reason)
    return folder


def config_of(weight_scale: float, learning_rate: float, **more: Any) -> dict[str, Any]:
    """A config with these two parameters."""
    return {
        "model": {"name": "three_layer", "weight_scale": weight_scale, "hidden_dims": [100, 100]},
        "optimizer": {"name": "sgd", "learning_rate": learning_rate},
        "data": {"name": "digits", "num_train": 50},
        "seed": 0,
        **more,
    }


def write_search(folder: Path, trials: int) -> Path:
    """A search whose trials hit, learn, learn nothing, diverge and fail, in turn."""
    write_sweep(folder, SEARCHED, ("experiment=overfit_three_layer",))
    ends: list[tuple[tuple[float, ...], str, str | None]] = [
        ((0.3, 0.7, 1.0), "completed", None),
        ((0.3, 0.5, 0.6), "completed", None),
        ((0.1, 0.18, 0.18), "completed", None),
        ((0.1, 0.12), "diverged", "loss is inf at epoch 2, step 4"),
        ((0.2,), "pruned", "fell behind at epoch 1"),
        ((), "failed", "RuntimeError: <b>not bold</b>"),
    ]
    for number in range(trials):
        accuracies, status, reason = ends[number % len(ends)]
        config = config_of(
            10 ** (-4 + 5 * number / trials), 10 ** (-4 + (number * 7 % trials) / trials)
        )
        write_run(folder / str(number), config, accuracies, status, reason=reason)
    return folder


def write_repeats(folder: Path) -> Path:
    """A grid of three learning rates and three seeds.

    0.1 is the best in the mean, 0.2 has the best run, and one seed of 0.3 has no value.
    """
    write_sweep(folder, {"optimizer.learning_rate": "0.1,0.2,0.3"}, ("seed=0,1,2",))
    reached = {0.1: (0.7, 0.8, 0.75), 0.2: (0.5, 0.9, 0.4), 0.3: (0.95, 0.95, None)}
    values = [(rate, seed, one) for rate, all_ in reached.items() for seed, one in enumerate(all_)]
    for number, (rate, seed, value) in enumerate(values):
        config = config_of(0.1, rate, seed=seed, objective="train_accuracy")
        if value is None:
            end = {"status": "failed", "reason": "out of memory"}
            write_run(folder / str(number), config, (), target=None, **end)
        else:
            write_run(folder / str(number), config, (0.3, value), target=None)
    return folder
