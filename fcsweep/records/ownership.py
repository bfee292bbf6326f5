"""Which folder a run or a sweep may use: a new one, an empty one, or its own from before.

A folder is never shared and nothing in it is overwritten by another config. `look` reads what a run
has left, as data; `check_run` and `check_sweep` refuse a folder before anything is written into it;
`hold` makes the folder and keeps other processes out while it is in use.
"""

from __future__ import annotations

import os
import shlex
import stat
from collections.abc import Generator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NoReturn

from fcsweep.config import RunConfig, differences, typed
from fcsweep.messages.errors import ConfigError, FolderError
from fcsweep.records.filenames import CHECKPOINTS, LOG, SLURM_LOGS, SWEEP_ENDS, SWEEP_FILES
from fcsweep.records.reader import damaged_since, look
from fcsweep.system.crew import ROLL
from fcsweep.system.locks import holder, lock, unlock


def check_run(folder: Path, config: RunConfig, key: str = "hydra.run.dir") -> bool:
    """Whether ``folder`` holds this very run, finished; False if the run may start or resume there.

    Raises:
        FolderError: It is a file, or holds something else, another config's run or a damaged one.
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
        summary = f"{'; '.join(changes[:3])}{more}"
        _refuse(key, folder, f"contains a run with a different config ({summary})")
    return found.finished


def check_sweep(folder: Path, jobs: Sequence[RunConfig] | None) -> list[int]:
    """The numbers of the finished jobs in ``folder``, if the sweep may start or resume there.

    Args:
        folder: Where job number ``n`` has the folder ``n``.
        jobs: The configs of a grid, in order; None if they are not known beforehand.

    Raises:
        FolderError: As for `check_run`, for the folder or for one of its jobs; or it holds a job
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
        FolderError: It cannot be made.
    """
    try:
        missing = [one for one in (folder, *folder.parents) if not one.exists()]
        folder.mkdir(parents=True)
    except FileExistsError:
        if not folder.is_dir() and not folder.is_file():  # opening a pipe might block
            _refuse(key, folder, "is not a folder, or a link in its path is broken")
        return []
    except (OSError, ValueError) as error:  # ValueError: a name with a null byte
        why = getattr(error, "strerror", None) or error
        _refuse(key, folder, f"cannot be made ({why})")
    return missing


@contextmanager
def remove_if_unused(made: Sequence[Path]) -> Generator[None]:
    """Remove folders that were made, innermost first, if an error leaves them empty."""
    try:
        yield
    except BaseException:
        with suppress(OSError):  # something lies there by now
            for folder in made:
                folder.rmdir()
        raise


@contextmanager
def hold(folder: Path, key: str, together: bool = False) -> Generator[None]:
    """Make the folder if need be, and keep other processes out of it while the block runs.

    Args:
        folder: of a run or a sweep.
        key: that names it.
        together: share it with others that pass True: a `fcsweep.system.crew` shares the work.

    Raises:
        FolderError: It cannot be made, or another process uses it.
    """
    made = make(folder, key)
    locked = lock(folder, together=together)
    if locked is None:
        _refuse(key, folder, f"is in use by {_user_of(folder)}")
    try:
        with remove_if_unused(made):
            remove_half_written(folder)
            yield
    finally:
        unlock(locked)


def _user_of(folder: Path) -> str:
    """``process 12 (python -m fcsweep ...)``, as far as the system tells."""
    import psutil  # not for --help

    number = holder(folder)
    if number is None:
        return "another process"
    try:
        program, *words = psutil.Process(number).cmdline()
        command = shlex.join([os.path.basename(program), *words])
    except (psutil.Error, ValueError):  # it has ended by now, or does not tell
        return f"process {number}"
    return f"process {number} ({command if len(command) <= 80 else f'{command[:77]}...'})"


def remove_half_written(folder: Path) -> None:
    """Remove the temporary files of killed processes; those of living ones stay."""
    for path in (*folder.glob(".*.tmp"), *folder.glob(".hydra/.*.tmp")):
        if not _is_being_written(path):
            path.unlink(missing_ok=True)


def _is_being_written(path: Path) -> bool:
    """Whether the process whose id is in the name still runs: the same one, not a reused id."""
    import psutil  # not for --help

    try:
        number = int(path.name.split(".")[-2])
        began = psutil.Process(number).create_time()
        return number != os.getpid() and began <= path.stat().st_mtime
    except (ValueError, OSError, psutil.Error):
        return False


def remove_checkpoints(folder: Path) -> None:
    """Remove the checkpoints of a run that no longer needs them."""
    for name in CHECKPOINTS:
        (folder / name).unlink(missing_ok=True)


def _entries(folder: Path, key: str) -> list[str]:
    """The names in a folder, without what its workers have there; none if it does not exist."""
    try:
        return sorted({entry.name for entry in folder.iterdir()} - {ROLL, SLURM_LOGS})
    except FileNotFoundError:
        return []
    except NotADirectoryError:
        _refuse(key, folder, "is a file, or lies in one")
    except OSError as error:
        _refuse(key, folder, f"cannot be read ({error.strerror})")


def _refuse_odd(key: str, folder: Path) -> None:
    """Refuse links, which lead outside the folder, and pipes, which may block."""
    for name in _entries(folder, key):
        path = folder / name
        with suppress(FileNotFoundError):  # others work in the folder of a sweep
            mode = path.lstat().st_mode
            if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
                _refuse(key, folder, f"holds {name}, a link or no file")


def _refuse(key: str, folder: Path, why: str) -> NoReturn:
    raise FolderError(f"{key}: {folder} {why}; name a new or an empty folder")
