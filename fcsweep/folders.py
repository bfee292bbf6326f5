"""Which folder a run or a sweep may use: a new one, an empty one, or its own from before.

A folder is never shared and nothing in it is overwritten by another config. `look` reads what a run
has left, as data; `check_run` and `check_sweep` refuse a folder before anything is written into it;
`hold` makes the folder and keeps other processes out while it is in use.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn, cast

from fcsweep.config import ConfigError, RunConfig, differences, one_line, read, typed

STATUSES = ("running", "completed", "pruned", "diverged", "interrupted", "failed")
FINISHED = ("completed", "pruned", "diverged")
"""A run with one of these is not trained again."""

SWEEP_FILES = ("multirun.yaml", "study.journal")
"""Either says that a folder is a sweep's."""

CHECKPOINTS = ("checkpoint-0.safetensors", "checkpoint-1.safetensors")
"""Two generations, in the folder of a run while it trains; see `fcsweep.checkpoint`."""

LARGEST_JSON = 1_000_000  # bytes


@dataclass(frozen=True)
class Found:
    """What a run has left in its folder; each part None where it is not there or damaged."""

    config: dict[str, Any] | None
    """``.hydra/config.yaml``, not yet checked against the schemas."""
    result: dict[str, Any] | None
    """``result.json``: ``status`` is one of `STATUSES`, every number finite."""
    damage: str | None
    """What is damaged, and how; None if nothing is."""

    @property
    def finished(self) -> bool:
        """Whether the run came to its own end."""
        return self.result is not None and self.result["status"] in FINISHED


def look(folder: Path) -> Found:
    """Read the config and the result that a run has left; never raises for what they hold."""
    config, result, damage = None, None, None
    config_file, result_file = folder / ".hydra" / "config.yaml", folder / "result.json"
    if config_file.exists():
        try:
            config = read(config_file)
        except ConfigError as error:
            damage = str(error)
    if result_file.exists():
        try:
            result = _read_result(result_file)
        except (OSError, ValueError) as error:
            damage = f"{result_file} cannot be read: {one_line(error)}"
    return Found(config, result, damage)


def check_run(folder: Path, config: RunConfig, key: str = "hydra.run.dir") -> bool:
    """Whether ``folder`` holds this very run, finished; False if the run may start or go on there.

    Raises:
        ConfigError: It is a file, or holds something else, another config's run or a damaged one.
    """
    if not _entries(folder, key):
        return False
    if not (folder / ".hydra").is_dir():
        _refuse(key, folder, "holds something that is not a run")
    found = look(folder)
    if found.config is None:
        # Killed while Hydra was writing: nothing was trained yet, so nothing can be lost.
        if not (folder / "result.json").exists():
            return False
        _refuse(key, folder, f"holds a damaged run ({found.damage or 'it has no saved config'})")
    try:
        changes = differences(typed(found.config), config)
    except ConfigError as error:
        _refuse(key, folder, f"holds something that is not a run of this program ({error})")
    if changes:
        more = f" and {len(changes) - 3} more" if len(changes) > 3 else ""
        _refuse(key, folder, f"holds a run of another config ({'; '.join(changes[:3])}{more})")
    if found.result is None and found.damage:
        _refuse(key, folder, f"holds a damaged run ({found.damage})")
    return found.finished


def check_sweep(folder: Path, jobs: Sequence[RunConfig] | None) -> list[int]:
    """The numbers of the jobs that ``folder`` holds finished, if the sweep may go on there.

    Args:
        folder: Where job number ``n`` has the folder ``n``.
        jobs: The configs of a grid, in order; None if they are not known beforehand.

    Raises:
        ConfigError: As for `check_run`, for the folder or for one of its jobs; or it holds a job
            that the grid does not have.
    """
    key = "hydra.sweep.dir"
    entries = _entries(folder, key)
    numbers = [int(name) for name in entries if name.isdecimal()]
    if entries and not numbers and not set(SWEEP_FILES) & set(entries):
        _refuse(key, folder, f"holds something that is not a sweep ({entries[0]})")
    if jobs is None:
        return []
    if numbers and max(numbers) >= len(jobs):
        _refuse(key, folder, f"holds run {max(numbers)}, but this sweep has {len(jobs)}, from 0")
    return [n for n, job in enumerate(jobs) if check_run(folder / str(n), job, key)]


def make(folder: Path, key: str) -> bool:
    """Make a folder; False if it is there already.

    Raises:
        ConfigError: It cannot be made.
    """
    try:
        folder.mkdir(parents=True)
    except FileExistsError:
        return False
    except OSError as error:
        _refuse(key, folder, f"cannot be made ({error.strerror or one_line(error)})")
    return True


@contextmanager
def hold(folder: Path, key: str) -> Iterator[None]:
    """Make the folder if need be, and keep other processes out of it while the block runs.

    Raises:
        ConfigError: It cannot be made, or another process uses it.
    """
    make(folder, key)
    lock = _locked(folder)
    if lock is None:
        _refuse(key, folder, "is in use by another process")
    try:
        yield
    finally:
        if lock is not NO_LOCK:
            os.close(lock)


NO_LOCK = -1


def _locked(folder: Path) -> int | None:
    """A locked descriptor of the folder; None if it is taken, NO_LOCK where there are no locks.

    The lock is on the folder itself: it leaves no file, and the system drops it with the process,
    however that ends.
    """
    try:
        import fcntl
    except ImportError:  # Windows
        return NO_LOCK
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError:  # not readable; whoever looks into it will say so
        return NO_LOCK
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    except OSError:  # a file system without locks
        os.close(descriptor)
        return NO_LOCK
    return descriptor


def remove_half_written(folder: Path) -> None:
    """Remove what a process that was killed was writing; nobody else writes in the folder now."""
    for path in folder.glob(".*.tmp"):
        path.unlink(missing_ok=True)


def remove_checkpoints(folder: Path) -> None:
    """Remove the checkpoints of a run that needs them no more."""
    for name in CHECKPOINTS:
        (folder / name).unlink(missing_ok=True)


def read_json(path: Path) -> dict[str, Any]:
    """A mapping from a file of strict JSON.

    Raises:
        ValueError: It is larger than 1 MB, nested too deeply, or is not what was expected.
        OSError: It cannot be read.
    """
    with open(path, "rb") as file:
        text = file.read(LARGEST_JSON + 1)
    if len(text) > LARGEST_JSON:
        raise ValueError(f"larger than {LARGEST_JSON} bytes")
    try:
        content = json.loads(text, parse_constant=_refuse_constant)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    if not isinstance(content, Mapping):
        raise ValueError("expected a mapping")
    return dict(cast("Mapping[str, Any]", content))


def _entries(folder: Path, key: str) -> list[str]:
    """The names in a folder, none if it is not there yet."""
    try:
        return sorted(entry.name for entry in folder.iterdir())
    except FileNotFoundError:
        return []
    except NotADirectoryError:
        _refuse(key, folder, "is a file, or lies in one")
    except OSError as error:
        _refuse(key, folder, f"cannot be read ({error.strerror})")


def _refuse(key: str, folder: Path, why: str) -> NoReturn:
    raise ConfigError(f"{key}: {folder} {why}; name a new or an empty folder")


def _read_result(path: Path) -> dict[str, Any]:
    """``result.json``, or a ValueError that says what is wrong with it."""
    record = read_json(path)
    if record.get("status") not in STATUSES:
        raise ValueError("it has no status")
    for name in ("value", "best_val_accuracy", "best_train_accuracy", "seconds"):
        number = record.get(name)
        if number is not None and not _is_finite(number):
            raise ValueError(f"{name} is not a finite number")
    return record


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _is_finite(value: object) -> bool:
    # 1e999 is JSON, and inf to Python.
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
