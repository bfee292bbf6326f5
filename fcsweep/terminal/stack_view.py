"""The display of a stack while it trains: a live table on a terminal, else a line an epoch.

Up to `EACH` trials have a row or a line each; of more, the display shows the best and counts all.
"""

from __future__ import annotations

import math
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from rich.console import Group
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from fcsweep.config import RunConfig, flat
from fcsweep.messages.wording import printable
from fcsweep.objectives import sign_of
from fcsweep.records.events import Observer, Report
from fcsweep.records.formats import Result, value_text
from fcsweep.terminal.console import Screen
from fcsweep.terminal.run_view import measured, net

EACH = 20
BEST = 5


class StackView(Observer):
    """Shows the progress of a stack, and at the end how its trials ended."""

    def __init__(self) -> None:
        self._console = Screen(soft_wrap=True, highlight=False, markup=False)
        columns = (TextColumn("epoch"), MofNCompleteColumn(), BarColumn(), TimeRemainingColumn())
        self._bar = Progress(*columns)
        self._live = Live(console=self._console, refresh_per_second=8, transient=True)

    def started(self, configs: Sequence[RunConfig], folders: Sequence[Path]) -> None:
        """Print what trains; on a terminal, begin the table."""
        self._board = Board(folders, configs)
        self._console.print(self._board.heading())
        if self._console.is_terminal:
            self._epochs = self._bar.add_task("epochs", total=configs[0].solver.num_epochs)
            self._live.start()

    def epoch(self, reports: Sequence[Report]) -> None:
        """Print a line, or redraw the table."""
        self._board.update(reports)
        if self._console.is_terminal:
            if reports:
                self._bar.update(self._epochs, completed=reports[0].row.epoch)
            self._live.update(Group(self._board.table(), self._bar))
        elif reports:
            self._console.print(self._board.line(reports[0].row.epoch))

    def ended(self, results: Sequence[Result]) -> None:
        """Print how each trial ended, or the best of many."""
        self._live.stop()
        for line in self._board.endings():
            self._console.print(line)

    def __exit__(self, *error: object) -> None:
        """Release the terminal."""
        self._live.stop()


class Board:
    """The latest report of each trial of a stack, as text."""

    def __init__(self, folders: Sequence[Path], configs: Sequence[RunConfig]) -> None:
        self.folders, self.config = folders, configs[0]
        self.values = [flat(asdict(config)) for config in configs]
        first = self.values[0]
        self.keys = [k for k, v in first.items() if any(each[k] != v for each in self.values)]
        self.latest: dict[int, Report] = {}

    def update(self, reports: Sequence[Report]) -> None:
        """Keep the latest report of each trial."""
        self.latest |= {report.trial: report for report in reports}

    def heading(self) -> str:
        """One line: how many trials, the net, the rule, the data, the folders."""
        count = len(self.folders)
        names = f"{printable(os.path.relpath(self.folders[0]))} to {self.folders[-1].name}"
        what = f"{net(self.config)}, {self.config.optimizer.name}, {self.config.data.name}"
        return f"stack of {count}: {what} -> {names}"

    def line(self, epoch: int) -> str:
        """One line: the epoch, the best value so far and its trial, the trials by status."""
        of = self.config.solver.num_epochs
        best = self._ranking()[0]
        objective = self.config.objective
        value, name = value_text(best.result.value, objective), objective.replace("_", " ")
        whose = self.folders[best.trial].name
        return (
            f"epoch {epoch:>{len(str(of))}}/{of}  best {name} {value} (trial {whose})  "
            f"{self._counts()}"
        )

    def table(self) -> Table:
        """A row for each trial, or for the best ones; the caption counts all."""
        table = Table(box=None, pad_edge=False, caption=self._counts(), caption_justify="left")
        table.add_column("trial", justify="right", no_wrap=True)
        for key in self.keys:  # these give way on a narrow terminal
            table.add_column(key.rpartition(".")[2], justify="right", overflow="ellipsis")
        for name in ("epoch", "loss", "train", "val", "best", "status"):
            table.add_column(name, justify="right", no_wrap=True)
        best = self._ranking()[:1]
        for report in self._rows():
            row, result = report.row, report.result
            table.add_row(
                self.folders[report.trial].name,
                *(self._digits(report.trial, key) for key in self.keys),
                f"{row.epoch}/{self.config.solver.num_epochs}",
                f"{row.loss:.4g}",
                *measured(row, result.objective),
                value_text(result.value, result.objective),
                _status(report),
                style="bold green" if report in best and result.value is not None else None,
            )
        return table

    def endings(self) -> list[str]:
        """A line for each trial; of many, the best ones and a line that counts all."""
        lines = [self._ending(report) for report in self._rows()]
        return lines if len(self.latest) <= EACH else [*lines, self._counts()]

    def _ending(self, report: Report) -> str:
        result = report.result
        name = f"trial {self.folders[report.trial].name}"
        trial = report.trial
        what = [f"{key.rpartition('.')[2]} {self._digits(trial, key)}" for key in self.keys]
        ends: list[str] = []
        if result.value is not None:
            value = value_text(result.value, result.objective)
            ends.append(f"best {value} at epoch {result.best_epoch}")
        if result.status != "completed":
            ends.append(f"{_status(report)}: {result.reason}" if result.reason else _status(report))
        return f"{', '.join([name, *what])}: {'; '.join(ends)}"

    def _digits(self, trial: int, key: str) -> str:
        """The value of a key in a trial, with at most four significant digits."""
        value = self.values[trial][key]
        return f"{value:.4g}" if isinstance(value, float) else str(value)

    def _rows(self) -> list[Report]:
        if len(self.latest) <= EACH:
            return [self.latest[trial] for trial in sorted(self.latest)]
        return self._ranking()[:BEST]

    def _ranking(self) -> list[Report]:
        """All trials, best first; of equal ones, the lower number first."""
        by_number = [self.latest[trial] for trial in sorted(self.latest)]
        return sorted(by_number, key=_value, reverse=True)

    def _counts(self) -> str:
        """``61 training, 3 diverged``."""
        counts = Counter(_status(report) for report in self.latest.values())
        return ", ".join(f"{count} {status}" for status, count in counts.items())


def _status(report: Report) -> str:
    return "training" if report.result.status == "running" else report.result.status


def _value(report: Report) -> float:
    """The value that ranks a trial; a trial without one ranks last."""
    value, sign = report.result.value, sign_of(report.result.objective)
    return -math.inf if value is None else sign * value
