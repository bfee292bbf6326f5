"""The display of a run while it trains: a table of its epochs on a terminal, else lines."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.console import Group
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from fcsweep.config import RunConfig, TorchConfig
from fcsweep.messages.wording import printable
from fcsweep.objectives import is_other, of_quantity, sign_of
from fcsweep.records import formats
from fcsweep.records.events import Observer, Report
from fcsweep.records.formats import HistoryRow, Result
from fcsweep.terminal.console import Screen

SHOWN = 15
"""Epochs that the table holds; earlier ones scroll out."""


class RunView(Observer):
    """Shows each epoch of a run, and its best epoch at the end.

    Args:
        title: the folder of the run, as the display names it.
    """

    def __init__(self, title: str) -> None:
        self._title = title
        self._console = Screen(soft_wrap=True, highlight=False, markup=False)
        self._rows: list[HistoryRow] = []
        columns = (TextColumn("epoch"), MofNCompleteColumn(), BarColumn(), TimeRemainingColumn())
        self._bar = Progress(*columns)
        self._live = Live(console=self._console, refresh_per_second=8)

    def started(self, configs: Sequence[RunConfig], folders: Sequence[Path]) -> None:
        """Print what trains; on a terminal, begin the table."""
        self._num_epochs, self._objective = configs[0].solver.num_epochs, configs[0].objective
        self._console.print(heading(self._title, configs[0]))
        if self._console.is_terminal:
            self._bar.add_task("epochs", total=self._num_epochs)
            self._live.start()
            self._show()

    def epoch(self, reports: Sequence[Report]) -> None:
        """Print a line, or add a row to the table; first say where a resumed run goes on."""
        if not self._rows and reports and reports[0].row.epoch > 1:
            self._console.print(f"resumed after epoch {reports[0].row.epoch - 1}")
        self._rows += [report.row for report in reports]
        if self._console.is_terminal:
            self._show()
            return
        for report in reports:
            self._console.print(report.row.line(self._num_epochs, self._objective))

    def ended(self, results: Sequence[Result]) -> None:
        """Print the best value; the table stays."""
        self._live.stop()
        for result in results:
            self._console.print(ending(result))

    def __exit__(self, *error: object) -> None:
        """Release the terminal."""
        self._live.stop()

    def _show(self) -> None:
        for task in self._bar.task_ids:
            self._bar.update(task, completed=self._rows[-1].epoch if self._rows else 0)
        self._live.update(Group(_table(self._rows, self._objective), self._bar))


def heading(title: str, config: RunConfig) -> str:
    """One line: the net, the rule, the data, the seed, the folder."""
    optimizer = config.optimizer
    rate = f"learning_rate {optimizer.learning_rate:g}"
    return (
        f"{net(config)}, {optimizer.name} ({rate}), {config.data.name}, "
        f"seed {config.seed} -> {printable(title)}"
    )


def net(config: RunConfig) -> str:
    """The net of a run: ``three_layer (100-100)``, ``torch (my_nets:make)``."""
    model = config.model
    if isinstance(model, TorchConfig):
        return f"{model.name} ({model.build})"
    return f"{model.name} ({'-'.join(map(str, model.hidden_dims))})"


def ending(result: Result) -> str:
    """One line: the best value, and the reason if the run did not complete."""
    name = result.objective.replace("_", " ")
    value = formats.value_text(result.value, result.objective)
    best = f"best {name} {value} at epoch {result.best_epoch}"
    parts = [best] if result.value is not None else []
    if result.status not in ("running", "completed"):
        parts.append(f"{result.status}: {result.reason}")
    return "; ".join(parts) or f"no {name} yet"


def _table(rows: list[HistoryRow], objective: str) -> Table:
    table = Table(box=None, pad_edge=False)
    heads = ["epoch", "step", "loss", "val loss", "train accuracy", "val accuracy", "learning rate"]
    if of_quantity(objective):
        heads[4:6] = [f"train {objective}", f"val {objective}"]
    own = is_other(objective) and not of_quantity(objective) and objective != "val_loss"
    for name in [*heads, *([objective.replace("_", " ")] if own else [])]:
        table.add_column(name, justify="right")
    shown = objective if is_other(objective) else "val_accuracy"
    known = [value for row in rows if (value := row.value(shown)) is not None]
    best = (min if sign_of(shown) < 0 else max)(known, default=None)
    for row in rows[-SHOWN:]:
        style = "bold green" if best is not None and row.value(shown) == best else None
        table.add_row(
            str(row.epoch),
            str(row.step),
            f"{row.loss:.4g}",
            "-" if row.val_loss is None else f"{row.val_loss:.4g}",
            *measured(row, objective),
            f"{row.learning_rate:.4g}",
            *([formats.value_text(row.value(objective), objective)] if own else []),
            style=style,
        )
    return table


def measured(row: HistoryRow, objective: str) -> list[str]:
    """The accuracies, or the objective of a quantity: on the training rows, then validation's."""
    if of_quantity(objective):
        return [formats.value_text(one, objective) for one in (row.train_value, row.val_value)]
    return [formats.accuracy_text(one) for one in (row.train_accuracy, row.val_accuracy)]
