"""A search whose workers are disturbed, and what is left of it when they have ended."""

import csv
import json
from pathlib import Path
from typing import Any

from fcsweep.records.formats import TRAINED

TASK = ["data=synthetic", "data.num_train=60", "data.num_val=20", "solver.batch_size=10"]
TASK += ["model.hidden_dims=[8]", "solver.checkpoint_seconds=0.01", "hydra.sweep.dir=out"]
SEARCH = [*TASK, "solver.num_epochs=60", "hydra/sweeper=optuna", "hydra.sweeper.ahead=6"]
SEARCH += ["hydra.sweeper.n_jobs=4", "hydra.sweeper.sampler.seed=2"]
SEARCH += ["hydra/sweeper/pruner=median", "hydra.sweeper.pruner.n_startup_trials=3"]
SEARCH += ["optimizer.learning_rate=tag(log,interval(1e-3,100))"]
RECORDS = (".hydra/config.yaml", "history.csv", "losses.npy", "best.safetensors")


def left(out: Path) -> dict[Any, Any]:
    """The records of all trials and the rows of the table, without times and workers."""
    found: dict[Any, Any] = {}
    for path in out.glob("*/result.json"):
        run = path.parent
        found[run.name] = {**json.loads(path.read_text()), "seconds": 0}
        for name in RECORDS:
            if (run / name).exists():
                found[run.name, name] = (run / name).read_bytes()
    rows = csv.DictReader((out / "trials.csv").read_text().splitlines())
    where_and_when = dict.fromkeys(["seconds", *TRAINED])
    return found | {("table", row["number"]): row | where_and_when for row in rows}


def differences(expected: dict[Any, Any], found: dict[Any, Any]) -> list[Any]:
    """What of two sweeps is not the same: names of records, or rows of the table."""
    keys = expected.keys() | found.keys()
    return [key for key in keys if expected.get(key) != found.get(key)]
