"""Where a sweep stands, read from its folder: by its study, or by the records of its jobs."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fcsweep.config import read as read_yaml
from fcsweep.messages.errors import ConfigError, FolderError
from fcsweep.objectives import digits_of
from fcsweep.records.filenames import RESULT, is_sweep, jobs_of
from fcsweep.records.reader import are_ours
from fcsweep.status.jobs import by_records, job
from fcsweep.status.standing import Standing, Worker
from fcsweep.system.crew import ROLL
from fcsweep.system.locks import holder

MULTIRUN = "multirun.yaml"


def read_folder(folder: Path) -> Standing:
    """Where the run, the grid or the search in a folder stands.

    Raises:
        FolderError: it holds none of them.
        StudyError, ConfigError: the study cannot be read.
    """
    if not folder.is_dir():
        raise FolderError(f"{folder} is not a folder; expected that of a run or a sweep")
    jobs = jobs_of(folder)
    if not is_sweep(folder) and not (folder / ROLL).is_dir() and not jobs:
        return _run(folder)
    config = asked(folder)
    sweeper = config.get("sweeper") or {}
    if (folder / "study.journal").exists() or "Optuna" in str(sweeper.get("_target_")):
        from fcsweep.status.study import read_search  # imports Optuna

        return read_search(folder, config)
    if jobs and are_ours(jobs) is False:
        what = f"{folder} holds the grid of another Hydra app"
        raise FolderError(f"{what}, whose jobs leave no records that tell where they stand")
    return by_records(folder, config)


def asked(folder: Path) -> dict[str, Any]:
    """Hydra's own part of the config of a sweep, as ``multirun.yaml`` has it; empty without one."""
    try:
        hydra = read_yaml(folder / MULTIRUN)["hydra"]
    except (ConfigError, OSError, KeyError, TypeError):
        return {}
    return dict(hydra) if isinstance(hydra, Mapping) else {}


def _run(folder: Path) -> Standing:
    """A single run."""
    if not (folder / ".hydra").is_dir() and not (folder / RESULT).is_file():
        raise FolderError(f"{folder} holds neither a run nor a sweep; name the folder of one")
    now, trial, process = time.time(), job(folder, 0), holder(folder)
    seen = None if trial.recorded is None else max(now - trial.recorded, 0.0)
    host = os.uname().nodename
    workers = [] if process is None else [Worker(1, host, process, "alive", seen, [0])]
    best, digits = None if trial.value is None else trial, digits_of(trial.objective)
    name = folder.resolve().name
    return Standing(name, "run", folder, 1, [trial], workers, now, best=best, digits=digits)
