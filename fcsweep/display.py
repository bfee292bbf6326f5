"""What a run shows while it trains: a table of its epochs on a terminal, else a line for each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from fcsweep.config import RunConfig
from fcsweep.records import HistoryRow
from fcsweep.run import OnEpoch, Report

SHOWN = 15
"""Epochs that the table holds; earlier ones scroll out."""


@contextmanager
def shown(title: str, config: RunConfig) -> Iterator[OnEpoch]:
    """A hook for ``run`` that shows each epoch; on a terminal the table stays at the end.

    Args:
        title: the folder of the run.
        config: of the run.
    """
    console = Console(soft_wrap=True)
    console.print(heading(title, config), highlight=False)
    if not console.is_terminal:
        yield _lines(console, config)
        return
    rows: list[HistoryRow] = []
    progress = Progress(
        TextColumn("epoch"), MofNCompleteColumn(), BarColumn(), TimeRemainingColumn()
    )
    task = progress.add_task("epochs", total=config.solver.num_epochs)
    with Live(Group(_table(rows), progress), console=console, refresh_per_second=8) as live:

        def show(reports: Sequence[Report]) -> tuple[()]:
            rows.extend(report.row for report in reports)
            progress.update(task, completed=rows[-1].epoch)
            live.update(Group(_table(rows), progress))
            return ()

        yield show


def heading(title: str, config: RunConfig) -> str:
    """One line: what is trained, on what, where."""
    model, optimizer = config.model, config.optimizer
    hidden = "-".join(map(str, model.hidden_dims))
    rate = f"learning_rate {optimizer.learning_rate:g}"
    return (
        f"{model.name} ({hidden}), {optimizer.name} ({rate}), {config.data.name}, "
        f"seed {config.seed} -> {title}"
    )


def line(row: HistoryRow, num_epochs: int) -> str:
    """One epoch as plain text."""
    width = len(str(num_epochs))
    return (
        f"epoch {row.epoch:>{width}}/{num_epochs}  loss {row.loss:<8.4g}  "
        f"train {_percent(row.train_accuracy)}  val {_percent(row.val_accuracy)}"
    )


def _lines(console: Console, config: RunConfig) -> OnEpoch:
    def show(reports: Sequence[Report]) -> tuple[()]:
        for report in reports:
            console.print(line(report.row, config.solver.num_epochs), highlight=False)
        return ()

    return show


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
            _percent(row.train_accuracy),
            _percent(row.val_accuracy),
            f"{row.learning_rate:.4g}",
            style=style,
        )
    return table


def _percent(fraction: float | None) -> str:
    return "-" if fraction is None else f"{100 * fraction:.2f} %"
