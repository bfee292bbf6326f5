"""The folders of a sweep and of its jobs, from Hydra's config; and a command that names one."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hydra.core.override_parser.types import Quote, QuotedString

from fcsweep.config import read, typed
from fcsweep.records.filenames import CONFIG


def sweep_folder(hydra: Any) -> Path:
    """The folder of a sweep, absolute.

    Args:
        hydra: Hydra's own part of the sweep's config, or of a job's: a job may run in its folder.
    """
    return Path(str(hydra.runtime.cwd), str(hydra.sweep.dir)).absolute()


def job_folder(hydra: Any) -> Path:
    """The folder of a job, as the config names it: relative to where the command was given.

    Args:
        hydra: Hydra's own part of the job's config.
    """
    return Path(str(hydra.sweep.dir), str(hydra.sweep.subdir))


def with_folder(words: Sequence[str], key: str, folder: str) -> list[str]:
    """The words of a command that resumes in a folder: ``key`` names it.

    Args:
        words: of the command that was given, which may name another or none.
        key: ``hydra.sweep.dir`` or ``hydra.run.dir``.
        folder: its name.
    """
    if not re.fullmatch(r"[\w./-]+", folder):  # a text in Hydra's grammar
        folder = QuotedString(folder, Quote.single).with_quotes()
    return [*(word for word in words if not word.startswith(f"{key}=")), f"{key}={folder}"]


def longer(run: Path) -> str:
    """The command that trains the config of a run for twice as many epochs, in a new folder.

    Raises:
        ConfigError: its config cannot be read.
    """
    config = run / CONFIG
    here = "" if run.is_absolute() else '"$PWD"/'  # Hydra takes another path for one in the package
    words = [f"solver.num_epochs={2 * typed(read(config)).solver.num_epochs}"]
    words = with_folder(words, "hydra.run.dir", f"{run}_longer")
    start = f"python -m fcsweep --config-path {here}{shlex.quote(str(config.parent))}"
    return f"{start} --config-name {config.stem} {shlex.join(words)}"
