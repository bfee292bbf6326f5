"""What a run shows while it trains: a table of its epochs on a terminal, else a line for each."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from rich.console import Group
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from fcsweep.config import RunConfig
from fcsweep.messages.wording import printable
from fcsweep.records import formats
from fcsweep.records.events import OnEpoch, Report
from fcsweep.records.formats import HistoryRow, Result
from fcsweep.terminal.console import Screen

SHOWN = 15
"""Epochs that the table holds; earlier ones scroll out."""


@contextmanager
def shown(title: str, config: RunConfig) -> Iterator[OnEpoch]:
    """A hook for ``run`` that shows each epoch, and at the end the best.

    Args:
        title: the folder of the run.
        config: of the run.
    """
    console = Screen(soft_wrap=True, highlight=False, markup=False)
    console.print(heading(title, config))
    last: list[Result] = []
    with _table_of(console, config) if console.is_terminal else _lines(console, config) as show:

        def hook(reports: Sequence[Report]) -> tuple[()]:
            last[:] = [report.result for report in reports]
            show(reports)
            return ()

        yield hook
    for result in last:
        console.print(ending(result))


def heading(title: str, config: RunConfig) -> str:
    """One line: what is trained, on what, where."""
    model, optimizer = config.model, config.optimizer
    hidden = "-".join(map(str, model.hidden_dims))
    rate = f"learning_rate {optimizer.learning_rate:g}"
    return (
        f"{model.name} ({hidden}), {optimizer.name} ({rate}), {config.data.name}, "
        f"seed {config.seed} -> {printable(title)}"
    )


def ending(result: Result) -> str:
    """One line: how good it became, and why it ended if not by itself."""
    name = result.objective.replace("_", " ")
    best = f"best {name} {formats.shown(result.value)} at epoch {result.best_epoch}"
    parts = [best] if result.value is not None else []
    if result.status not in ("running", "completed"):
        parts.append(f"{result.status}: {result.reason}")
    return "; ".join(parts) or f"no {name} yet"


Show = Callable[[Sequence[Report]], None]


@contextmanager
def _lines(console: Screen, config: RunConfig) -> Iterator[Show]:
    """A line an epoch."""

    def show(reports: Sequence[Report]) -> None:
        for report in reports:
            console.print(report.row.line(config.solver.num_epochs))

    yield show


@contextmanager
def _table_of(console: Screen, config: RunConfig) -> Iterator[Show]:
    """A table of the epochs that grows, and how far the run is; both stay at the end."""
    rows: list[HistoryRow] = []
    columns = (TextColumn("epoch"), MofNCompleteColumn(), BarColumn(), TimeRemainingColumn())
    progress = Progress(*columns)
    task = progress.add_task("epochs", total=config.solver.num_epochs)
    with Live(Group(_table(rows), progress), console=console, refresh_per_second=8) as live:

        def show(reports: Sequence[Report]) -> None:
            rows.extend(report.row for report in reports)
            progress.update(task, completed=rows[-1].epoch)
            live.update(Group(_table(rows), progress))

        yield show


def _table(rows: list[HistoryRow]) -> Table:
    table = Table(box=None, pad_edge=False)
    for name in ("epoch", "step", "loss", "train accuracy", "val accuracy", "learning rate"):
        table.add_column(name, justify="right")
    best = max((row.val_accuracy for row in rows if row.val_accuracy is not None), default=None)
    for row in rows[-SHOWN:]:
        style = "bold green" if best is not None and row.val_accuracy == best else None
        table.add_row(
            str(row.epoch),
            str(row.step),
            f"{row.loss:.4g}",
            formats.shown(row.train_accuracy),
            formats.shown(row.val_accuracy),
            f"{row.learning_rate:.4g}",
            style=style,
        )
    return table
