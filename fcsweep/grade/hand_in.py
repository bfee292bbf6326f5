"""What a student handed in: which run of a folder is graded, and that it is harmless to read."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from pathlib import Path

from fcsweep.evaluate import best_of
from fcsweep.messages.errors import FolderError
from fcsweep.messages.wording import join
from fcsweep.records.filenames import jobs_of

MOST_FILES = 50_000
MOST_BYTES = 4_000_000_000
DEEPEST = 5
"""Levels of folders around the run or the sweep."""


@dataclass(frozen=True)
class HandIn:
    """The run that is graded."""

    folder: Path
    """That was handed in."""
    run: Path
    """Its folder: the same, or one within."""
    note: str = ""
    """How it was chosen."""

    @property
    def place(self) -> str:
        """Of the run, within what was handed in; nothing if it is that itself."""
        within = self.run.relative_to(self.folder).as_posix()
        return "" if within == "." else within


def find(folder: Path) -> HandIn:
    """The run of a hand-in: the only one, or of a sweep the best by its records.

    Raises:
        FolderError: It holds none, or something that is not to be read; one line.
    """
    if not folder.is_dir() or folder.is_symlink():
        raise FolderError(f"{folder} is not a folder")
    _check_contents(folder)
    found = _runs_and_sweeps(folder) or [folder]
    if len(found) > 1:
        some = join(path.relative_to(folder).as_posix() for path in found[:3])
        raise FolderError(f"{folder} holds {len(found)} runs or sweeps ({some}); name one")
    if not (jobs := jobs_of(found[0])):
        return HandIn(folder, found[0])
    run, _ = best_of(found[0])
    return HandIn(folder, run, f"the best of {len(jobs)} runs")


def _check_contents(folder: Path) -> None:
    """Refuse links, which lead outside, pipes, and more than any sweep leaves."""
    files = size = 0
    folders = [folder]
    while folders:
        with os.scandir(folders.pop()) as entries:
            for entry in entries:
                about = entry.stat(follow_symlinks=False)
                files, size = files + 1, size + about.st_size
                if not (stat.S_ISREG(about.st_mode) or stat.S_ISDIR(about.st_mode)):
                    raise FolderError(f"{entry.path} is a link, or no file")
                if files > MOST_FILES or size > MOST_BYTES:
                    most = f"{MOST_FILES:,} files or {MOST_BYTES:,} bytes"
                    raise FolderError(f"{folder} holds more than {most}")
                if stat.S_ISDIR(about.st_mode):
                    folders.append(Path(entry.path))


def _runs_and_sweeps(folder: Path, levels: int = DEEPEST) -> list[Path]:
    """The folders of runs and sweeps among everything that was handed in."""
    if (folder / ".hydra").exists() or jobs_of(folder):
        return [folder]
    inner = [path for path in sorted(folder.iterdir()) if path.is_dir() and _is_meant(path)]
    return [one for path in inner if levels for one in _runs_and_sweeps(path, levels - 1)]


def _is_meant(path: Path) -> bool:
    """Whether a folder is a user's, not one that a system or Python makes."""
    return not path.name.startswith((".", "__"))
