"""What a finished run left in its folder, read as evidence: checked before anything is trained.

Every file is bounded, must lie in the folder itself (no links), and is parsed as data by a reader
that can do nothing else: YAML without tags or aliases, strict JSON, ``.npy`` without objects. The
parameters are only hashed. Importing this module does not import torch.
"""

from __future__ import annotations

import re
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from numpy.typing import NDArray

from fcsweep.config import RunConfig, read, sizes, typed
from fcsweep.config.allowed import COUNT, Device
from fcsweep.config.import_paths import import_paths, refusal
from fcsweep.messages.errors import ConfigError, FolderError
from fcsweep.messages.wording import one_line
from fcsweep.records.filenames import (
    BEST,
    CONFIG,
    HISTORY,
    LOSSES,
    PREPROCESSING,
    PROVENANCE,
    RESULT,
)
from fcsweep.records.formats import OLDER_COLUMNS
from fcsweep.records.reader import look, losses_of, read_json
from fcsweep.records.seal import changed_files

ROW_BYTES = 250
"""Upper bound on a row of ``history.csv``."""
MOST_THREADS = 4096


@dataclass(frozen=True)
class Evidence:
    """A run that has ended, as its folder tells it."""

    folder: Path
    config: RunConfig
    config_text: bytes
    result: dict[str, Any]
    provenance: dict[str, Any]
    history: bytes
    losses: NDArray[Any]
    losses_bytes: bytes
    altered: dict[str, tuple[str, str]]
    """Files that are not as the run wrote them: the beginning of their sha256 then and now."""

    @property
    def epochs(self) -> int:
        """Epochs that the run trained, at least 1."""
        return self.result["epochs"]

    def in_its_columns(self, history: bytes) -> bytes:
        """A ``history.csv`` without the last column, where this run was recorded without it."""
        older = self.history.partition(b"\n")[0] == ",".join(OLDER_COLUMNS).encode()
        return re.sub(rb",[^,\n]*$", b"", history, flags=re.MULTILINE) if older else history


def read_evidence(folder: Path, trust: bool = False) -> Evidence:
    """Read the folder of a run.

    Args:
        folder: of the run.
        trust: whether training it again may import what its config names by import path.

    Raises:
        ConfigError: Its config cannot be read or does not fit the schemas.
        FolderError: It holds no run, one that is running or has no finished epoch, something that
            is damaged or that no run leaves, or one that imports code; one line that names it.
    """
    _check_files(folder)
    config = _config(folder)
    if not trust:
        _refuse_imports(folder, config)
    result = _result(folder, config)
    provenance = _provenance(folder, config)
    bounds = largest(config, result["epochs"])
    for name, most in bounds.items():
        if (folder / name).exists() and (size := (folder / name).stat().st_size) > most:
            _refuse(folder, name, f"has {size} bytes; expected at most {most} of this run")
    history, losses = ((folder / name).read_bytes() for name in (HISTORY, LOSSES))
    return Evidence(
        folder=folder,
        config=config,
        config_text=(folder / CONFIG).read_bytes(),
        result=result,
        provenance=provenance,
        history=history,
        losses=_losses(folder, losses),
        losses_bytes=losses,
        altered={
            name: (_short(then), _short(now))
            for name, (then, now) in changed_files(folder, provenance).items()
        },
    )


def _check_files(folder: Path) -> None:
    """Refuse what is not a file or a folder of its own: links lead outside, pipes never end."""
    if not folder.is_dir():
        raise FolderError(f"{folder} holds no run: there is no such folder")
    for name in (".hydra", CONFIG, RESULT, PROVENANCE, HISTORY, LOSSES, BEST, PREPROCESSING):
        path = folder / name
        try:
            mode = path.lstat().st_mode
        except FileNotFoundError:
            if name in (BEST, PREPROCESSING):
                continue
            raise FolderError(f"{folder} holds no run: there is no {path}") from None
        except OSError as error:
            raise FolderError(f"{path} cannot be read: {one_line(error)}") from error
        if stat.S_ISLNK(mode):
            _refuse(folder, name, "is a link; a run's files lie in its own folder")
        if not (stat.S_ISDIR(mode) if name == ".hydra" else stat.S_ISREG(mode)):
            _refuse(folder, name, "is not what a run leaves there")


def _config(folder: Path) -> RunConfig:
    saved = read(folder / CONFIG)
    try:
        return typed(saved)
    except ConfigError as error:
        raise ConfigError(f"{folder / CONFIG}: {error}") from error


def _refuse_imports(folder: Path, config: RunConfig) -> None:
    if refused := refusal(folder, import_paths(config), "a rerun"):
        raise FolderError(refused)


def _result(folder: Path, config: RunConfig) -> dict[str, Any]:
    found = look(folder)
    result = found.result
    if result is None:
        raise FolderError(found.damage or f"{folder} holds no run: it has no {RESULT}")
    if result["status"] == "running":
        raise FolderError(
            f"{folder} is running, or was killed; expected a run that has ended (to resume "
            "it, repeat the command that started it, with the same folder)"
        )
    epochs, most = result.get("epochs"), config.solver.num_epochs
    if not isinstance(epochs, bool) and epochs == 0:
        ending = short_line(f"{result['status']}: {result.get('reason')}")
        raise FolderError(f"{folder} has no finished epoch to compare ({ending})")
    if epochs not in COUNT or epochs > most:  # type: ignore[operator]
        _refuse(folder, RESULT, f"has epochs {epochs!r:.40}; expected 1 to {most}")
    return result


def short_line(text: object) -> str:
    """A text on one line, cut to 200 characters."""
    return " ".join(str(text).split())[:200]


def _provenance(folder: Path, config: RunConfig) -> dict[str, Any]:
    try:
        provenance = read_json(folder / PROVENANCE)
    except (OSError, ValueError) as error:
        raise FolderError(f"{folder / PROVENANCE} cannot be read: {one_line(error)}") from error
    threads, device = provenance.get("threads"), provenance.get("device")
    if threads not in COUNT or threads > MOST_THREADS:  # type: ignore[operator]
        _refuse(folder, PROVENANCE, f"has threads {threads!r:.40}; expected 1 to {MOST_THREADS}")
    if device not in Device() or config.device not in ("auto", device):
        _refuse(folder, PROVENANCE, f"has device {device!r:.40}; the config has {config.device}")
    if not isinstance(provenance.get("files"), Mapping):
        _refuse(folder, PROVENANCE, "has no sha256 of the files that the run left")
    return provenance


def largest(config: RunConfig, epochs: int) -> dict[str, int]:
    """The most bytes that each file of such a run can have."""
    header = 10_000 + 1_000 * len(sizes.units(config))
    return {
        HISTORY: ROW_BYTES * (epochs + 1),
        LOSSES: 8 * sizes.steps(config, epochs) + header,
        BEST: 8 * sizes.most_parameters(config) + header,
    }


def _losses(folder: Path, content: bytes) -> NDArray[Any]:
    try:
        return losses_of(content)
    except ValueError as error:
        raise FolderError(f"{folder / LOSSES} cannot be read: {error}") from error


def _short(digest: object) -> str:
    return "none" if digest is None else short_line(digest)[:12]


def _refuse(folder: Path, name: str, why: str) -> NoReturn:
    raise FolderError(f"{folder / name} {why}")
