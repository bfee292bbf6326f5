"""The search of another app: its display, and its trials as rows of the table."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hydra.types import HydraContext
from omegaconf import DictConfig, OmegaConf

from fcsweep.cli.foreign.jobs import JobLogs
from fcsweep.cli.summary import show
from fcsweep.messages.errors import ConfigError
from fcsweep.records.sweep_table import Row


class Search:
    """Shows a search while it runs, and its trials when it has ended.

    Args:
        sweeper: ``OptunaSweeper``, set up.
        cfg: of the sweep.
        context: Hydra's.
        direction: that the app gives for its grids; the search has its own.

    Raises:
        ConfigError: the two are not the same.
    """

    def __init__(
        self, sweeper: Any, cfg: DictConfig, context: HydraContext, direction: str | None
    ) -> None:
        given = OmegaConf.select(cfg, "hydra.sweeper.direction")
        if direction is not None and isinstance(given, str) and given != direction:
            what = f"hydra.sweeper.direction is {given}"
            raise ConfigError(f"{what}; the app says {direction} by fcsweep.app(direction=...)")
        self._folder = Path(str(cfg.hydra.sweep.dir))
        self._study: Any = None
        sweeper.display = self._display
        context.callbacks.callbacks.append(JobLogs())

    def __enter__(self) -> Search:
        return self

    def __exit__(self, *error: object) -> None:
        """Nothing to do: the sweeper enters and leaves its display itself."""

    def rows(self) -> Sequence[Row]:
        """A row a trial; none if there is no study yet."""
        from fcsweep.search.results import rows_of

        return [] if self._study is None else rows_of(self._study, self._folder)

    def end(self) -> None:
        """Show the table, and write the page."""
        show(self._folder, self.rows())

    def refuse_failures(self) -> None:
        """Nothing to do: the search has rules of its own."""

    def _display(self, study: Any, n_trials: int, digits: str) -> Any:
        """The display of a study that was opened."""
        if sys.stdout.isatty():
            from fcsweep.terminal.search_view import LiveProgress as Progress
        else:
            from fcsweep.search.progress import Progress
        self._study, progress = study, Progress(study, n_trials, digits)
        progress.in_table = True
        return progress
