"""The best parameters of a run that was recorded, read from its folder as data."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load
from torch import Tensor

from fcsweep.config import RunConfig, read, typed
from fcsweep.config.import_paths import import_paths, refusal
from fcsweep.messages.errors import ConfigError, FolderError
from fcsweep.messages.wording import one_line
from fcsweep.records.evidence import largest
from fcsweep.records.filenames import BEST, CONFIG
from fcsweep.records.reader import damaged_since, look
from fcsweep.system.bounded import read_bounded


@dataclass(frozen=True, eq=False)
class Trained:
    """A run and the parameters of its best epoch."""

    folder: Path
    config: RunConfig
    params: dict[str, Tensor]
    """By name; on the CPU."""
    sha256: str
    """Of the file that holds them."""


def read_trained(folder: Path, trust: bool = False) -> Trained:
    """The best parameters of a run, as its record vouches for them.

    Args:
        folder: of the run.
        trust: whether its use may import the model that its config names by import path.

    Raises:
        ConfigError: the saved config does not fit the schemas.
        FolderError: the folder holds no run, one that was never evaluated, a damaged one, or one
            whose use imports code.
    """
    saved = folder / CONFIG
    if not saved.is_file():
        raise FolderError(f"{folder} holds no run: there is no {saved}")
    config = _config(saved)
    used = {key: path for key, path in import_paths(config).items() if key != "optimizer.rule"}
    if not trust and (refused := refusal(folder, used, "this command")):
        raise FolderError(refused)
    return Trained(folder, config, *_best_params(folder, largest(config, 1)[BEST]))


def _config(saved: Path) -> RunConfig:
    try:
        return typed(read(saved))
    except ConfigError as error:
        named = str(saved) in str(error)
        raise error if named else ConfigError(f"{saved}: {error}") from error


def _best_params(run_dir: Path, most: int) -> tuple[dict[str, Tensor], str]:
    """The parameters that ``result.json`` vouches for, ``most`` bytes of them; their sha256."""
    found = look(run_dir)
    if found.result is None:
        raise FolderError(found.damage or f"{run_dir} holds no run: it has no result.json")
    recorded = found.result.get("best_sha256")
    if recorded is None:
        status = found.result["status"]
        raise FolderError(f"{run_dir} has no best parameters: it is {status}, never evaluated")
    try:
        content = read_bounded(run_dir / BEST, most)
    except (OSError, ValueError) as error:
        raise FolderError(f"{run_dir / BEST} cannot be read: {_why(error)}") from error
    if sha256(content).hexdigest() != recorded:
        raise FolderError(f"{run_dir / BEST} is damaged: its sha256 is not the recorded one")
    if found.finished and (damage := damaged_since(run_dir)):
        raise FolderError(f"{run_dir} holds a damaged run ({damage})")
    try:
        return load(content), recorded
    except SafetensorError as error:
        raise FolderError(f"{run_dir / BEST} is damaged: {one_line(error)}") from error


def _why(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)
