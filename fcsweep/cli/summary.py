"""What is written and said when a sweep ends or is stopped."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from fcsweep.composition.folders import with_folder
from fcsweep.messages.errors import RecordError, UserError
from fcsweep.messages.wording import one_line, printable
from fcsweep.objectives import digits_of
from fcsweep.records import reader, sweep_table
from fcsweep.system import signals
from fcsweep.system.atomic import giving_way
from fcsweep.system.memory import without_collection
from fcsweep.terminal import sweep_view


class Failure(UserError):
    """A run or jobs of a sweep that failed."""


def table_of(folder: Path, ensemble: bool = False) -> Sequence[sweep_table.Row]:
    """Write the table of a sweep and the page, and show it, if anybody is there; what it holds.

    Args:
        folder: of the sweep.
        ensemble: whether to select its ensemble, too.
    """
    rows = sweep_table.load(folder)
    with giving_way():
        sweep_table.write(folder, rows)
    show(folder, rows, ensemble=ensemble)
    return rows


def show(
    folder: Path, rows: Sequence[sweep_table.Row], page: bool = True, ensemble: bool = False
) -> None:
    """Show the table of a sweep, if anybody is there, select its ensemble, and write its page."""
    try:
        sweep_view.show(rows)
        if ensemble:
            _ensemble(folder, rows)
    finally:
        if page:
            _report(folder, rows)


def _ensemble(folder: Path, rows: Sequence[sweep_table.Row]) -> None:
    """Select the ensemble of a sweep; why it cannot be is said, and changes nothing else."""
    from fcsweep.ensemble.candidates import candidates_of  # not for --help
    from fcsweep.ensemble.sweep import ensemble_of

    try:
        ensemble_of(folder, candidates_of(folder, rows), trust=True)  # it was trained just now
    except Exception as error:
        print(f"ensemble.json was not written: {one_line(error)}", file=sys.stderr)


def _report(folder: Path, rows: Sequence[sweep_table.Row]) -> None:
    """Write the page of a sweep; that it cannot be is said, and changes nothing else."""
    if not rows:
        return
    try:
        with without_collection():
            from fcsweep.report import write  # not for --help

            found = [row.found for row in rows if row.found]  # none of another app
            page = write(folder, readings=found or None)
    except Exception as error:
        print(f"report.html was not written: {one_line(error)}", file=sys.stderr)
    else:
        print(printable(f"report: {page}"))


def refuse_failures(
    rows: Sequence[sweep_table.Row], errors: Mapping[int, BaseException], most: int = 5
) -> None:
    """Name the jobs that failed, with the reason from the record or, without one, the error."""
    failed = [row for row in rows if row.failed]
    each = [(str(row.folder), _why(errors.get(row.number), row)) for row in failed]
    nowhere = errors.keys() - {row.number for row in rows}  # not even a folder could be made
    each += [(str(number), one_line(errors[number])) for number in sorted(nowhere)]
    if each:
        alike: dict[str, list[str]] = {}
        for name, reason in each:
            alike.setdefault(reason, []).append(name)
        told = [f"{_first(names, most)} ({reason})" for reason, names in alike.items()]
        count = f"{len(each)} of {len(rows) + len(nowhere)} jobs failed"
        raise Failure(f"{count}: {_first(told, most)}")


def _first(texts: Sequence[str], most: int) -> str:
    """The first texts, and how many there are more."""
    more = [f"{len(texts) - most} more"] if len(texts) > most else []
    return ", ".join([*texts[:most], *more])


def _why(error: BaseException | None, row: sweep_table.Row) -> str:
    """From the record, unless a full disk has kept it from saying so."""
    if error is not None and (isinstance(error, RecordError) or not row.reason):
        return one_line(error)
    return row.reason or row.status


def ending(folder: Path) -> str:
    """How the run in a folder ended, in words."""
    result: Mapping[str, Any] = reader.look(folder).result or {}
    value = result.get("value")
    reached = "null" if value is None else f"{value:{digits_of(result.get('objective'))}}"
    return f"{result.get('status')}, {result.get('objective')} {reached}"


def advise(what: str, key: str, folder: Path) -> None:
    """Say how to go on after a signal: by the command that was given, with its folder named."""
    signals.advise(what, with_folder(sys.argv[1:], key, str(folder)))
