"""W&B: a run each, in a group for the sweep; project, entity and mode are those of W&B's settings.

``WANDB_PROJECT`` is ``fcsweep`` if it is not set. W&B's own look at the machine, the command line
and the code is off: a command line may hold a password, and ``provenance.json`` has the rest.
"""

# pyright: reportMissingImports=false

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import wandb

from fcsweep.messages.errors import UserError
from fcsweep.trackers.contents import End, Row, Tracked

OFF = ("offline", "disabled", "dryrun")
SECONDS = 20
"""For which W&B is waited for, at the start of a run and at its end."""


class Wandb:
    """A `fcsweep.trackers.tracker.Tracker`."""

    def __init__(self) -> None:
        mode = os.environ.get("WANDB_MODE", "online")
        if mode not in OFF and not wandb.api.api_key:  # which it would ask for
            raise UserError("W&B has no key: wandb login, or WANDB_MODE=offline")
        self._project = os.environ.get("WANDB_PROJECT", "fcsweep")
        self.place = f"project {self._project}, {mode}"
        self._runs: dict[str, Any] = {}

    def start(self, run: Tracked) -> None:
        """Begin a run, or resume an earlier one of the same folder."""
        self._runs[run.identity] = wandb.init(
            project=self._project,
            group=run.sweep,
            name=run.name,
            id=run.identity,
            resume="allow",
            reinit="create_new",
            config={**run.params, **run.tags},
            settings=_settings(),
        )
        if run.config is not None:
            _attach(self._runs[run.identity], run.config)

    def log(self, run: Tracked, rows: Sequence[Row]) -> None:
        """Add metrics; the step is the epoch."""
        for epoch, metrics in rows:
            self._runs[run.identity].log(metrics, step=epoch)

    def end(self, run: Tracked, end: End) -> None:
        """Add the summary and the tags, and finish."""
        known = self._runs.pop(run.identity)
        known.summary.update({**end.summary, **end.tags})
        known.finish(exit_code=1 if end.status == "failed" else 0)


def open_tracker() -> Wandb:
    """W&B, as its settings say."""
    return Wandb()


def _attach(known: Any, config: Path) -> None:
    """Copy the config into the run; it keeps a ``config.yaml`` of its own there."""
    copy = Path(known.dir) / "fcsweep.yaml"
    copy.write_bytes(config.read_bytes())
    known.save(str(copy), known.dir, policy="now")


def _settings() -> wandb.Settings:
    return wandb.Settings(
        silent=True,
        console="off",
        init_timeout=SECONDS,
        disable_git=True,
        disable_code=True,
        disable_job_creation=True,
        x_disable_meta=True,
        x_disable_stats=True,
        x_disable_machine_info=True,
    )
