"""Which folder a run or a sweep may use: a new one, an empty one, or its own from before.

A folder is never shared and nothing in it is overwritten by another config. `look` reads what a run
has left, as data; `check_run` and `check_sweep` refuse a folder before anything is written into it;
`hold` makes the folder and keeps other processes out while it is in use.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn, cast

from fcsweep.config import RunConfig, differences, read, typed
from fcsweep.messages.errors import ConfigError
from fcsweep.messages.wording import one_line
from fcsweep.seal import PROVENANCE, altered
from fcsweep.system.bounded import bounded

STATUSES = ("running", "completed", "pruned", "diverged", "interrupted", "failed")
FINISHED = ("completed", "pruned", "diverged")
"""A run with one of these is not trained again."""

SWEEP_FILES = ("multirun.yaml", "study.journal")
"""Either says that a folder is a sweep's."""

SWEEP_ENDS = ("trials.csv", "optimization_results.yaml", "report.html")
"""What a sweep writes at its end, also one for whose first file the disk had no room."""

LOG = "fcsweep.log"
"""The first file of a run."""

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


def are_ours(runs: Iterable[Path]) -> bool | None:
    """Whether folders hold runs of this program; False: of another Hydra app; None: nothing tells.

    A run is ours by a record or by a config that fits the schemas; the runs of a sweep are alike.
    """
    of_another = False
    for found in map(look, runs):
        if found.result is not None or (found.config is not None and _is_ours(found.config)):
            return True
        of_another = of_another or found.config is not None
    return False if of_another else None


def _is_ours(config: dict[str, Any]) -> bool:
    try:
        typed(config)
    except ConfigError:
        return False
    return True


def check_run(folder: Path, config: RunConfig, key: str = "hydra.run.dir") -> bool:
    """Whether ``folder`` holds this very run, finished; False if the run may start or go on there.

    Raises:
        ConfigError: It is a file, or holds something else, another config's run or a damaged one.
    """
    entries = _entries(folder, key)
    if not entries or entries == [LOG]:  # killed before Hydra saved the config
        return False
    if not (folder / ".hydra").is_dir():
        _refuse(key, folder, "holds something that is not a run")
    _refuse_odd(key, folder)
    _refuse_odd(key, folder / ".hydra")
    found = look(folder)
    if found.config is None:
        # Killed while Hydra was writing: nothing was trained yet, so nothing can be lost.
        if not (folder / "result.json").exists():
            return False
        _refuse(key, folder, f"holds a damaged run ({found.damage or 'it has no saved config'})")
    damage = found.damage or (damaged_since(folder) if found.finished else None)
    if damage:
        _refuse(key, folder, f"holds a damaged run ({damage})")
    try:
        changes = differences(typed(found.config), config)
    except ConfigError as error:
        _refuse(key, folder, f"holds something that is not a run of this program ({error})")
    if changes:
        more = f" and {len(changes) - 3} more" if len(changes) > 3 else ""
        _refuse(key, folder, f"holds a run of another config ({'; '.join(changes[:3])}{more})")
    return found.finished


def damaged_since(folder: Path, gone: bool = True) -> str | None:
    """Which file of a run that has ended is not as the run left it; None if all are.

    A run without ``provenance.json`` has no seal to compare with.

    Args:
        folder: of the run.
        gone: whether a file that is not there any more counts.
    """
    path = folder / PROVENANCE
    if not path.exists():
        return None
    try:
        provenance = read_json(path)
        if not isinstance(provenance.get("files"), Mapping):
            raise ValueError("it has no sha256 of the files that the run left")
        found = altered(folder, provenance)
        names = [str(folder / name) for name, (_, now) in found.items() if gone or now is not None]
    except (OSError, ValueError) as error:
        return f"{path} cannot be read: {one_line(error)}"
    return f"{', '.join(names)} changed since it ended" if names else None


def changed_since(folder: Path, found: Found) -> str | None:
    """Which file was changed after the record says that the run has ended; None if none was.

    For tables of runs: a file that is gone tells nothing false, such as parameters that were
    removed for their size.
    """
    if found.finished:
        return damaged_since(folder, gone=False)
    if found.result is None or found.result["status"] == "running" or not _is_sealed(folder):
        return None
    changed = damaged_since(folder, gone=False)
    return changed if changed and not is_held(folder) else None  # else it goes on, and writes


def _is_sealed(folder: Path) -> bool:
    try:
        return "files" in read_json(folder / PROVENANCE)
    except (OSError, ValueError):
        return False


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
    foreign = sorted(set(entries) - set(SWEEP_ENDS))
    if foreign and not numbers and not set(SWEEP_FILES) & set(entries):
        _refuse(key, folder, f"holds something that is not a sweep ({foreign[0]})")
    _refuse_odd(key, folder)
    if jobs is None:
        return []
    if numbers and max(numbers) >= len(jobs):
        _refuse(key, folder, f"holds run {max(numbers)}, but this sweep has {len(jobs)}, from 0")
    return [n for n, job in enumerate(jobs) if check_run(folder / str(n), job, key)]


def make(folder: Path, key: str) -> list[Path]:
    """Make a folder; returns what was made, innermost first: nothing if it is there already.

    Raises:
        ConfigError: It cannot be made.
    """
    try:
        missing = [one for one in (folder, *folder.parents) if not one.exists()]
        folder.mkdir(parents=True)
    except FileExistsError:
        if not folder.is_dir() and not folder.is_file():  # from a pipe nothing might ever come
            _refuse(key, folder, "is no folder, or a link on the way to it leads nowhere")
        return []
    except (OSError, ValueError) as error:  # ValueError: a name with a null byte
        why = getattr(error, "strerror", None) or error
        _refuse(key, folder, f"cannot be made ({why})")
    return missing


@contextmanager
def unmade_if_unused(made: Sequence[Path]) -> Iterator[None]:
    """Remove folders that were made, innermost first, if an error leaves them empty."""
    try:
        yield
    except BaseException:
        with suppress(OSError):  # something lies there by now
            for folder in made:
                folder.rmdir()
        raise


@contextmanager
def hold(folder: Path, key: str) -> Iterator[None]:
    """Make the folder if need be, and keep other processes out of it while the block runs.

    Raises:
        ConfigError: It cannot be made, or another process uses it.
    """
    made = make(folder, key)
    lock = _locked(folder)
    if lock is None:
        _refuse(key, folder, "is in use by another process")
    try:
        with unmade_if_unused(made):
            remove_half_written(folder)
            yield
    finally:
        if lock is not NO_LOCK:
            os.close(lock)


def is_held(folder: Path) -> bool:
    """Whether a process uses a folder, as far as the file system can tell."""
    lock = _locked(folder)
    if lock is not None and lock is not NO_LOCK:
        os.close(lock)
    return lock is None or lock is NO_LOCK


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
    """Remove what killed processes were writing into a folder; what a living one writes stays."""
    for path in (*folder.glob(".*.tmp"), *folder.glob(".hydra/.*.tmp")):
        if not _is_being_written(path):
            path.unlink(missing_ok=True)


def _is_being_written(path: Path) -> bool:
    """Whether the process whose number is in the name is there, and is not a later one."""
    import psutil  # not for --help

    try:
        number = int(path.name.split(".")[-2])
        began = psutil.Process(number).create_time()
        return number != os.getpid() and began <= path.stat().st_mtime
    except (ValueError, OSError, psutil.Error):
        return False


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
    text = bounded(path, LARGEST_JSON)
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


def _refuse_odd(key: str, folder: Path) -> None:
    """What is written through a link lies outside the folder; from a pipe nothing may ever come."""
    for name in _entries(folder, key):
        path = folder / name
        if path.is_symlink() or not (path.is_file() or path.is_dir()):
            _refuse(key, folder, f"holds {name}, a link or no file")


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
