"""CPU time and size of ``report.html``, imports included.

    python benchmarks/bench_page.py [--runs 64 1000] [--rounds 5] [--save]

Sweeps of digits trials with 20 epochs, written by the program's own writer. ``page`` is what the
page adds to a sweep that ends: in a process that has imported what a sweep imports and has read the
records for ``trials.csv``, the time to import the report, make the page and write it. ``command``
is a whole process of ``python -m fcsweep.report``, which also starts Python and reads the records.
Each measurement has a process of its own; rounds are interleaved; medians of CPU time (user and
system).
"""

from __future__ import annotations

import argparse
import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import numpy as np
from omegaconf import OmegaConf
from results_file import machine, save

from fcsweep.config import typed
from fcsweep.records.formats import HistoryRow
from fcsweep.records.writer import RunRecord

EPOCHS = 20
KEYS = {
    "optimizer.learning_rate": "tag(log,interval(1e-3,1))",
    "model.weight_scale": "tag(log,interval(1e-4,1))",
    "model.reg": "tag(log,interval(1e-6,0.1))",
}
PAGE = """
import sys, time
import hydra, numpy, torch, yaml
from pathlib import Path
from fcsweep.records import sweep_table
from fcsweep.terminal import sweep_view
readings = [row.found for row in sweep_table.load(sys.argv[1])]
start = time.process_time()
from fcsweep.report import write
write(sys.argv[1], readings=readings)
print(time.process_time() - start)
"""
COMMAND = "import sys; from fcsweep.report.__main__ import main; main()"


def write_sweep(folder: Path, runs: int) -> Path:
    """A search as it is left by ``runs`` trials."""
    folder.mkdir()
    OmegaConf.save({"hydra": {"sweeper": {"params": KEYS}}}, folder / "multirun.yaml")
    draw = np.random.default_rng(0)
    names = {"model": "two_layer", "optimizer": "sgd", "data": "digits", "solver": "default"}
    base = typed({group: {"name": name} for group, name in names.items()})
    for number in range(runs):
        config = asdict(base)
        rate, scale, reg = (float(one) for one in 10 ** draw.uniform((-3, -4, -6), (0, 0, -1)))
        config["optimizer"]["learning_rate"] = rate
        config["model"].update(weight_scale=scale, reg=reg)
        write_run(folder / str(number), config, draw)
    return folder


def write_run(folder: Path, config: dict, draw: np.random.Generator) -> None:
    """A completed trial."""
    (folder / ".hydra").mkdir(parents=True)
    OmegaConf.save(OmegaConf.create(config), folder / ".hydra" / "config.yaml")
    record = RunRecord(folder, "val_accuracy", None)
    record.start()
    record.provenance({"threads": 1, "git_commit": "c0ffee", "versions": {"torch": "2.13.0"}})
    best = draw.uniform(0.3, 1)
    for epoch in range(1, EPOCHS + 1):
        train, val = (round(best * (1 - math.exp(-epoch / 5)) * one, 4) for one in (1, 0.97))
        row = HistoryRow(epoch, 13 * epoch, float(2.3 - 2 * train), train, val, 0.1)
        record.add(row, np.full(13, row.loss, np.float32), epoch / 8, b"parameters" * 100)
    record.finish("completed", None)


def page(sweep: Path) -> float:
    """CPU seconds that the page adds to a sweep."""
    command = [sys.executable, "-c", PAGE, str(sweep)]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def command(sweep: Path) -> float:
    """CPU seconds of the command."""
    started = os.times()
    words = [sys.executable, "-c", COMMAND, str(sweep)]
    subprocess.run(words, check=True, capture_output=True)
    ended = os.times()
    return ended.children_user + ended.children_system - sum(started[2:4])


def measured(sweeps: dict[int, Path], rounds: int) -> dict[str, dict[str, float]]:
    """Medians by number of runs and way."""
    ways: dict[str, Callable[[Path], float]] = {"page": page, "command": command}
    spent: dict[int, dict[str, list[float]]] = {n: {name: [] for name in ways} for n in sweeps}
    for _ in range(rounds):
        for runs, sweep in sweeps.items():
            for name, way in ways.items():
                spent[runs][name].append(way(sweep))
    return {
        str(runs): {name: round(statistics.median(all_), 3) for name, all_ in each.items()}
        for runs, each in spent.items()
    }


def main() -> None:
    """Measure, print, and with ``--save`` write ``results/page_cpu.json``."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, nargs="+", default=[64, 1000])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--save", action="store_true")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        sweeps = {runs: write_sweep(Path(scratch) / str(runs), runs) for runs in given.runs}
        place = machine()
        seconds = measured(sweeps, given.rounds)
        sizes = {str(n): (one / "report.html").stat().st_size for n, one in sweeps.items()}
    result = {
        **place,
        "cpu_seconds": seconds,
        "bytes": sizes,
        "epochs": EPOCHS,
        "rounds": given.rounds,
    }
    print(json.dumps(result, indent=2))
    if given.save:
        save("page_cpu", result)


if __name__ == "__main__":
    main()
