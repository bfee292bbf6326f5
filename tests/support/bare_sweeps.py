"""Sweep folders in which a run has its config and its result, and nothing else."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from fcsweep.config import MomentumConfig, RunConfig

RESULT: dict[str, Any] = {
    "objective": "val_accuracy",
    "target": None,
    "status": "completed",
    "reason": None,
    "value": 0.95,
    "best_val_accuracy": 0.95,
    "best_train_accuracy": 0.9,
    "best_epoch": 3,
    "epochs": 4,
    "target_reached": False,
    "seconds": 1.25,
    "best_sha256": "0" * 64,
}
SGD, MOMENTUM = RunConfig(), RunConfig(optimizer=MomentumConfig(learning_rate=0.1))


def leave(sweep: Path, *runs: tuple[RunConfig | None, dict[str, Any] | str | None]) -> Path:
    """A sweep folder with these runs: config and what differs from RESULT, a text, or nothing."""
    for number, (config, result) in enumerate(runs):
        folder = sweep / str(number)
        (folder / ".hydra").mkdir(parents=True)
        if config is not None:
            OmegaConf.save(OmegaConf.create(asdict(config)), folder / ".hydra" / "config.yaml")
        if isinstance(result, dict):
            result = json.dumps(RESULT | result)
        if result is not None:
            (folder / "result.json").write_text(result)
    return sweep
