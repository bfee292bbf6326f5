"""The runs of a sweep as a table: in colour on a terminal, else as plain lines."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from textwrap import fill
from typing import TYPE_CHECKING, Any

from fcsweep.messages.wording import printable

if TYPE_CHECKING:
    from rich.table import Table
from fcsweep.records.sweep_table import FILE, Row, as_text, best, differing, ties

LISTED = 10
"""Rows that are shown; of more, so many of the best."""
VAL, TRAIN = "best val", "best train"
AT_SPACES: Any = {"break_long_words": False, "break_on_hyphens": False}
"""How `textwrap.fill` leaves the name of a folder whole."""


def table(rows: Sequence[Row], width: int) -> Table:
    """The rows as a table for a terminal; of many the best, without the folder that they share.

    Args:
        rows: of the sweep.
        width: columns of the terminal. Where a frame does not fit there is none, and then the least
            needed columns are left out.
    """
    from rich.box import HEAVY_HEAD
    from rich.markup import escape
    from rich.table import Table

    listed = _listed(rows)
    cut = len(listed) < len(rows)
    columns = _columns(rows, listed, lambda row: row.folder.name)
    framed = _width(columns, 3) + 1 <= width
    shown = Table(
        box=HEAVY_HEAD if framed else None,
        pad_edge=framed,
        title=None if cut or not rows else escape(printable(rows[0].folder.parent)),
        title_justify="left",
        caption=_caption(rows),
        caption_justify="left",
    )
    columns = columns if framed else _fitting(columns, rows, width)
    for name in columns:
        shown.add_column(escape(name), overflow="ellipsis" if cut else "fold", no_wrap=cut)
    top = best(rows)
    for row, *cells in zip(listed, *columns.values(), strict=True):
        style = "bold green" if row is top else "red" if row.failed else None
        shown.add_row(*map(escape, cells), style=style)
    return shown


def lines(rows: Sequence[Row]) -> list[str]:
    """The rows, or the best of many, as plain lines for a file or a pipe: columns, nothing cut."""
    columns = _columns(rows, _listed(rows), lambda row: str(row.folder))
    texts = zip(*([name, *cells] for name, cells in columns.items()), strict=True)
    widths = [max(map(len, [name, *cells])) for name, cells in columns.items()]
    aligned = [
        "  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)).rstrip()
        for cells in texts
    ]
    return aligned + [caption for caption in [_caption(rows)] if caption]


def below(rows: Sequence[Row]) -> list[str]:
    """What stands below the table: where the other rows are; the best run and its parameters."""
    more = len(rows) - len(_listed(rows))
    left = [f"{more} more in {printable(rows[0].folder.parent / FILE)}"] if more else []
    top = best(rows)
    if top is None:
        return [*left, "no run has a value"]
    keys = differing(rows)
    named = zip(_short(keys), (top.config.get(key) for key in keys), strict=True)
    params = [f"{name} {_digits(value)}" for name, value in named if value is not None]
    text = ", ".join([f"best: {top.folder} ({top.value:.4f})", *params])
    return [*left, printable(text + ties(sum(row.value == top.value for row in rows) - 1))]


def show(rows: Sequence[Row]) -> None:
    """Print the table and the best run: in colour on a terminal, else plain lines."""
    from rich.console import Console

    if not rows:
        return
    console, ending = Console(), below(rows)
    if console.is_terminal:
        console.print(table(rows, console.width))
        ending = [fill(line, console.width, **AT_SPACES) for line in ending]
    else:
        print(*lines(rows), sep="\n")
    print(*ending, sep="\n")


def _listed(rows: Sequence[Row]) -> Sequence[Row]:
    """All rows in their order, or the best of many, best first."""
    if len(rows) <= LISTED:
        return rows
    return sorted(rows, key=lambda row: (row.value is None, -(row.value or 0), row.number))[:LISTED]


def _columns(
    rows: Sequence[Row], listed: Sequence[Row], folder: Callable[[Row], str]
) -> dict[str, list[str]]:
    """The cells of the listed rows, as texts, by the heading of their column."""
    keys = differing(rows)
    columns = {
        name: [_digits(row.config.get(key)) for row in listed]
        for name, key in zip(_short(keys), keys, strict=True)
    }
    columns |= {
        VAL: [_fraction(row.best_val_accuracy) for row in listed],
        TRAIN: [_fraction(row.best_train_accuracy) for row in listed],
        "status": [row.status for row in listed],
        "seconds": ["" if row.seconds is None else f"{row.seconds:.1f}" for row in listed],
        "folder": [folder(row) for row in listed],
    }
    return {printable(name): [printable(cell) for cell in columns[name]] for name in columns}


def _fitting(
    columns: dict[str, list[str]], rows: Sequence[Row], width: int
) -> dict[str, list[str]]:
    """Without the least needed columns, as far as there is no room for them."""
    judged_by_train = rows[0].config.get("objective") == "train_accuracy"
    alike = ["status"] if len(set(columns["status"])) == 1 else []
    kept = dict(columns)
    for name in ("seconds", VAL if judged_by_train else TRAIN, *alike):
        if _width(kept, 2) - 2 > width:
            del kept[name]
    return kept


def _width(columns: Mapping[str, Sequence[str]], between: int) -> int:
    """Of a table, with so many characters from one column to the next and after the last."""
    from rich.cells import cell_len

    return sum(max(map(cell_len, [name, *cells])) + between for name, cells in columns.items())


def _short(keys: Sequence[str]) -> list[str]:
    """The last part of each key where that tells them apart; of ``optimizer.name`` the group."""
    short = [key.removesuffix(".name").rpartition(".")[2] for key in keys]
    return [name if short.count(name) == 1 else key for name, key in zip(short, keys, strict=True)]


def _caption(rows: Sequence[Row]) -> str | None:
    """Made-up data stays visible where no column names the data."""
    if rows and all(row.config.get("data.name") == "synthetic" for row in rows):
        return "data: synthetic (made-up images, no photographs)"
    return None


def _fraction(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"


def _digits(value: object) -> str:
    """As `as_text`, with at most four significant digits."""
    return f"{value:.4g}" if isinstance(value, float) else as_text(value)
