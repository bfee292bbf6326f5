"""A command of the program, called in this process: how it ended, and runs that are quick."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from fcsweep.config import RunConfig


@dataclass
class Said:
    """How a command ended."""

    code: int
    out: str
    err: str


Command = Callable[..., Said]


class Trained(list[str]):
    """The folders that were trained in, in order; a run of ours is quick, and ends as told to.

    Seed 13 fails, 14 diverges.
    """

    def run(
        self, config: RunConfig, folder: Path, on_epoch: object = None, observers: object = ()
    ) -> SimpleNamespace:
        self.append(folder.name)
        value = config.seed / 100
        record: dict[str, Any] = {"status": "completed", "value": value, "seconds": 0.5}
        record |= {"objective": config.objective, "best_val_accuracy": value}
        if config.seed == 13:
            record |= {"status": "failed", "value": None, "reason": "RuntimeError: unlucky"}
        if config.seed == 14:
            record |= {"status": "diverged", "value": None, "reason": "the loss is not finite"}
        (folder / "result.json").write_text(json.dumps(record))
        if config.seed == 13:
            raise RuntimeError("unlucky")
        return SimpleNamespace(value=value)


def contents(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))
