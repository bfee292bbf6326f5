"""The files of a run and of a sweep, the statuses of a run, and where runs lie."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from fcsweep.messages.errors import FolderError

CONFIG = ".hydra/config.yaml"
HISTORY, LOSSES, RESULT = "history.csv", "losses.npy", "result.json"
PROVENANCE, BEST = "provenance.json", "best.safetensors"
PREPROCESSING = "preprocessing.json"
"""Of a run on a table only."""


STATUSES = ("running", "completed", "pruned", "diverged", "interrupted", "failed")
FINISHED = ("completed", "pruned", "diverged")
"""A run with one of these is not trained again."""

SWEEP_FILES = ("multirun.yaml", "study.journal", "study.journal.size")
"""Any of these marks a folder as a sweep's."""

SWEEP_ENDS = ("trials.csv", "optimization_results.yaml", "report.html")
"""What a sweep writes at its end, even if a full disk kept it from writing its first file."""

SLURM_LOGS = ".slurm"
"""Folder in that of a sweep: what each worker that is a job of Slurm wrote to standard error."""

LOG = "fcsweep.log"
"""The first file of a run."""

CHECKPOINTS = ("checkpoint-0.safetensors", "checkpoint-1.safetensors")
"""Two generations, in the folder of a run while it trains; see `fcsweep.run.checkpoint`."""

DEEPEST = 8
"""How many levels below the given folder are searched for runs."""


def find_runs(folder: str | Path) -> list[Path]:
    """The folders of runs in a folder, itself included, sorted; links are not followed.

    Raises:
        FolderError: it is not a folder.
    """
    top = Path(folder)
    if not top.is_dir():
        raise FolderError(f"{top} is not a folder; expected that of a run or a sweep")
    return [top] if _is_run(top) else list(_below(top, DEEPEST))


def is_sweep(folder: Path) -> bool:
    """Whether a folder is that of a sweep."""
    return any((folder / name).exists() for name in SWEEP_FILES)


def jobs_of(folder: str | Path) -> list[Path]:
    """The folders of the jobs of a sweep, by number; none in the folder of a run."""
    top = Path(folder)
    if not top.is_dir() or (top / ".hydra").exists():
        return []
    numbered = [path for path in top.iterdir() if path.name.isdecimal() and path.is_dir()]
    return sorted(numbered, key=lambda path: int(path.name))


def _below(folder: Path, levels: int) -> Iterator[Path]:
    try:
        names = [entry.name for entry in os.scandir(folder) if entry.is_dir(follow_symlinks=False)]
    except OSError:  # it was removed meanwhile, or may not be read
        return
    sweep = is_sweep(folder)
    for name in sorted(names, key=_by_number):
        one = folder / name
        if _is_run(one) or (sweep and name.isdecimal()):
            yield one
        elif levels and not name.startswith("."):
            yield from _below(one, levels - 1)


def _by_number(name: str) -> tuple[bool, int, str]:
    return (not name.isdecimal(), int(name) if name.isdecimal() else 0, name)


def _is_run(folder: Path) -> bool:
    return (folder / ".hydra").is_dir() or (folder / "result.json").is_file()


def place(run: Path) -> dict[str, Any]:
    """Where a run lies: the columns of `PLACE`."""
    name = run.name or run.resolve().name
    in_sweep = name.isdecimal() or is_sweep(run.parent)
    return {
        "folder": str(run),
        "sweep": str(run.parent) if in_sweep else None,
        "number": int(name) if name.isdecimal() and len(name) < 10 else None,
    }
