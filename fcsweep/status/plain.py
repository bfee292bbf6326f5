"""Where a sweep stands, as JSON."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from fcsweep.status.estimate import seconds_left
from fcsweep.status.standing import Standing, Trial


def as_json(standing: Standing) -> str:
    """One line of strict JSON; the keys are in ``docs/many-machines.md``."""
    left, why = seconds_left(standing)
    told = {
        "name": standing.name,
        "kind": standing.kind,
        "folder": None if standing.folder is None else str(standing.folder),
        "state": standing.state,
        "trials": {
            "total": standing.total,
            "done": len(standing.done),
            **standing.counts,
            "running": len(standing.running),
            "left": standing.left,
            "to_go": standing.to_go,
        },
        "best": None if standing.best is None else _ended(standing.best),
        "target": standing.target,
        "seconds_left": left,
        "seconds_left_unknown": why or None,
        "workers": [asdict(worker) for worker in standing.workers],
        "running": [_running(one, standing) for one in standing.running],
        "remarks": list(standing.remarks),
        "now": standing.now,
    }
    return json.dumps(told, default=str, allow_nan=False)


def _ended(trial: Trial) -> dict[str, Any]:
    return {"number": trial.number, "value": trial.value, "params": dict(trial.params)}


def _running(trial: Trial, standing: Standing) -> dict[str, Any]:
    worker = next(one.number for one in standing.workers if trial.number in one.work)
    known = {"epoch": trial.epoch, "epochs": trial.epochs, "worker": worker}
    return {**_ended(trial), **known}
