"""The runs of a sweep as a table: in colour on a terminal, else as plain lines.

Repeats, which differ in their seed alone, are one row: means and standard deviations.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from statistics import fmean
from textwrap import fill
from typing import TYPE_CHECKING, Any

from fcsweep.messages.wording import printable, ties, together

if TYPE_CHECKING:
    from rich.table import Table
from fcsweep.records.sweep_table import (
    FILE,
    JUDGED_BY,
    REPEATED,
    TRAIN,
    VAL,
    Point,
    Row,
    as_text,
    best_point,
    differing,
    points,
)

LISTED = 10
"""Points that are shown; if there are more, the best ones."""
MOST_NUMBERS = 5
"""Of repeats that are listed."""
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

    every = points(rows)
    listed = _rows_to_show(every)
    cut = len(listed) < len(every)
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
    columns = columns if framed else _fit(columns, rows, width)
    for name in columns:
        shown.add_column(escape(name), overflow="ellipsis" if cut else "fold", no_wrap=cut)
    top = best_point(every)
    for one, *cells in zip(listed, *columns.values(), strict=True):
        failed = any(row.failed for row in one.rows)
        style = "bold green" if one is top else "red" if failed else None
        shown.add_row(*map(escape, cells), style=style)
    return shown


def lines(rows: Sequence[Row]) -> list[str]:
    """The rows, or the best of many, as plain lines for a file or a pipe: columns, nothing cut."""
    columns = _columns(rows, _rows_to_show(points(rows)), lambda row: str(row.folder))
    texts = zip(*([name, *cells] for name, cells in columns.items()), strict=True)
    widths = [max(map(len, [name, *cells])) for name, cells in columns.items()]
    aligned = [
        "  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)).rstrip()
        for cells in texts
    ]
    return aligned + [caption for caption in [_caption(rows)] if caption]


def below(rows: Sequence[Row]) -> list[str]:
    """The text below the table: where the others are; the best run or point, its parameters."""
    every = points(rows)
    left = _others(rows, len(every))
    top = best_point(every)
    if top is None:
        valued = any(row.reached[name] is not None for row in rows for name in row.reached)
        return left if valued and not rows[0].sign else [*left, "no run has a value"]
    alike = sum(point.value.rank == top.value.rank for point in every)
    return [*left, printable(_best(top, _params(rows, top.first)) + ties(alike - 1))]


def _others(rows: Sequence[Row], count: int) -> list[str]:
    """Which of many points are shown, in which order, and where the others are."""
    if count <= LISTED:
        return []
    shown = f"{LISTED} best of {count}, best first" if rows[0].sign else f"{LISTED} of {count}"
    return [f"{shown}; {count - LISTED} more in {printable(rows[0].folder.parent / FILE)}"]


def _best(point: Point, params: Sequence[str]) -> str:
    """The best run and its parameters, or the mean of the best repeats and their best run."""
    run, value = point.top, point.value
    assert run is not None  # the best point has a value
    reached = f"({run.value:{run.digits}})"
    if len(point.rows) > 1:
        reached = f"(best of {value.told})"
    return ", ".join([f"best: {run.folder} {reached}", *params])


def _params(rows: Sequence[Row], row: Row) -> list[str]:
    """What distinguishes a row from the others; repeats leave out the seed."""
    keys = _keys(rows)
    named = zip(_short(keys), (row.config.get(key) for key in keys), strict=True)
    return [f"{name} {_digits(value)}" for name, value in named if value is not None]


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
    print(*ending, sep="\n", end="\n" if ending else "")


def _rows_to_show(every: Sequence[Point]) -> Sequence[Point]:
    """All points in their order, or the best of many, best first."""
    if len(every) <= LISTED:
        return every
    return sorted(every, key=lambda point: point.value.rank, reverse=True)[:LISTED]


def _keys(rows: Sequence[Row]) -> list[str]:
    """The config keys that tell points apart."""
    repeated = len(points(rows)) < len(rows)
    return [key for key in differing(rows) if not (repeated and key in REPEATED)]


def _columns(
    rows: Sequence[Row], listed: Sequence[Point], folder: Callable[[Row], str]
) -> dict[str, list[str]]:
    """The cells of the listed points, as texts, by the heading of their column."""
    keys = _keys(rows)
    units = {point.value.unit for point in listed if len(point.rows) > 1}
    counted = f"{units.pop()}s" if len(units) == 1 else "repeats"
    columns = {
        name: [_digits(point.first.config.get(key)) for point in listed]
        for name, key in zip(_short(keys), keys, strict=True)
    }
    columns |= {
        **{name: [str(point.reached(name)) for point in listed] for name in rows[0].reached},
        counted: [point.value.count for point in listed],
        "status": [together([row.status for row in point.rows]) for point in listed],
        "seconds": [_seconds(point) for point in listed],
        "folder": [_folders(point, folder) for point in listed],
    }
    if all(len(point.rows) == 1 for point in listed):
        del columns[counted]
    return {printable(name): [printable(cell) for cell in columns[name]] for name in columns}


def _seconds(point: Point) -> str:
    """The time of a run, or the mean of those of repeats."""
    known = [row.seconds for row in point.rows if row.seconds is not None]
    return f"{fmean(known):.1f}" if known else ""


def _folders(point: Point, folder: Callable[[Row], str]) -> str:
    """The folder of a run; of repeats that of the first, and the names of the others."""
    names = [folder(point.first), *(row.folder.name for row in point.rows[1:])]
    more = [f"{len(names) - MOST_NUMBERS} more"] if len(names) > MOST_NUMBERS else []
    return ", ".join([*names[:MOST_NUMBERS], *more])


def _fit(columns: dict[str, list[str]], rows: Sequence[Row], width: int) -> dict[str, list[str]]:
    """Drop the least needed columns until the rest fit."""
    judged = JUDGED_BY.get(str(rows[0].config.get("objective")))
    others = [name for name in (TRAIN, VAL) if name != judged]
    alike = ["status"] if len(set(columns["status"])) == 1 else []
    kept = dict(columns)
    for name in ("seconds", *others, *alike):
        if name in kept and _width(kept, 2) - 2 > width:
            del kept[name]
    return kept


def _width(columns: Mapping[str, Sequence[str]], between: int) -> int:
    """The width of a table with ``between`` characters after each column."""
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


def _digits(value: object) -> str:
    """As `as_text`, with at most four significant digits."""
    return f"{value:.4g}" if isinstance(value, float) else as_text(value)
