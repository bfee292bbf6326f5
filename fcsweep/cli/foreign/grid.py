"""The grid of another app: its display, and its jobs as rows of the table."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from hydra.types import HydraContext
from omegaconf import DictConfig, OmegaConf

from fcsweep.cli.checks import parsed_grid
from fcsweep.cli.foreign.jobs import JobEnds
from fcsweep.cli.summary import refuse_failures, show
from fcsweep.composition.folders import sweep_folder
from fcsweep.launchers.protocols import GridSweeper
from fcsweep.launchers.unfinished import UnfinishedJobs
from fcsweep.messages.secrets import mask
from fcsweep.records.sweep_table import Row, write_rows
from fcsweep.system.atomic import giving_way, write_atomically

JOBS = ".jobs"
"""Folder in that of the sweep, with a file a job."""
SIGNS = {"minimize": -1, "maximize": 1, None: 0}


class Grid:
    """Shows a grid while it runs, and its jobs when it has ended.

    Args:
        sweeper: any that launches jobs; with Hydra's own a job that fails costs only itself.
        cfg: of the sweep.
        context: Hydra's, whose callbacks get one more.
        direction: which end of the value is best, if the app says so.

    Raises:
        ConfigError: the grid has a range in place of values.
    """

    def __init__(
        self, sweeper: Any, cfg: DictConfig, context: HydraContext, direction: str | None
    ) -> None:
        self._cfg, self._direction = cfg, direction
        self._folder, self._jobs = Path(str(cfg.hydra.sweep.dir)), sweep_folder(cfg.hydra) / JOBS
        total, live = None, sys.stdout.isatty()
        if isinstance(sweeper, GridSweeper):
            (jobs,) = sweeper.split_arguments(parsed_grid(sweeper, cfg, context), None)
            total, sweeper.launcher = len(jobs), UnfinishedJobs(sweeper.launcher, ())
        context.callbacks.callbacks.append(JobEnds(self._jobs, told=not live))
        self._view = self._live(total) if live else None

    def __enter__(self) -> Grid:
        for file in self._jobs.glob("*.json"):  # of another sweep in this folder
            file.unlink()
        if self._view:
            self._view.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        """Release the terminal."""
        if self._view:
            self._view.__exit__(*error)

    def rows(self) -> list[Row]:
        """A row a job that has begun, by number."""
        return sorted(map(self._row, self._known()), key=lambda row: row.number)

    def end(self) -> None:
        """Show the table, and write ``trials.csv`` and the page."""
        if not (rows := self.rows()):
            return
        with giving_way():
            write_rows(self._jobs.parent, rows)
            self._note_direction()
        show(self._folder, rows, page=self._direction is not None)
        if self._direction is None and any(row.value is not None for row in rows):
            what = "which value is best is not known"
            print(f'no page: {what}; say so by @fcsweep.app(direction="minimize") or "maximize"')

    def refuse_failures(self) -> None:
        """Name the jobs that failed.

        Raises:
            Failure: there is one.
        """
        refuse_failures(self.rows(), {})

    def _live(self, total: int | None) -> Any:
        from fcsweep.terminal.grid_view import GridView

        return GridView(total, lambda: [job["status"] for job in self._known()])

    def _known(self) -> Iterator[Mapping[str, Any]]:
        for file in self._jobs.glob("*.json"):
            yield json.loads(file.read_text())

    def _row(self, job: Mapping[str, Any]) -> Row:
        return Row(
            number=job["number"],
            status=job["status"],
            value=job.get("value"),
            reached={"value": job.get("value")},
            seconds=job.get("seconds"),
            folder=self._folder / job["folder"],
            config=job["params"],
            reason=job.get("reason", ""),
            sign=SIGNS[self._direction],
            digits=".4g",
        )

    def _note_direction(self) -> None:
        """Keep the direction where a search has it, for whoever reads the table."""
        file = self._jobs.parent / "multirun.yaml"
        if self._direction is not None and file.is_file():
            plain: Any = OmegaConf.to_container(self._cfg, resolve=False)
            plain["hydra"]["sweeper"]["direction"] = self._direction
            write_atomically(file, mask(OmegaConf.to_yaml(plain)).encode())
