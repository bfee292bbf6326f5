"""``python -m fcsweep.status STUDY|FOLDER``: where a sweep stands, without disturbing it.

STUDY is the URL of a database, with the name of the study where it holds several; FOLDER is that of
a sweep or a run. Exit codes: 0 it has ended, 3 it runs, 4 nobody works on it and it has not ended,
5 it has ended and some trials failed; 1 it cannot be read, 2 wrong arguments.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

from fcsweep.messages.wording import sanitize
from fcsweep.status.folder import read_folder
from fcsweep.status.plain import as_json
from fcsweep.status.standing import Standing
from fcsweep.status.words import lines
from fcsweep.system.command import command, plain
from fcsweep.system.signals import end_if_asked

PROGRAM = "python -m fcsweep.status"
PAUSE = 2.0
"""Seconds between two looks, at least."""
SHARE = 10
"""A look that takes long is followed by a pause so many times as long."""


class Parser(argparse.ArgumentParser):
    """A mistake is one line."""

    def error(self, message: str) -> NoReturn:
        """End with it."""
        self.exit(2, sanitize(f"error: {message}; {PROGRAM} --help tells more") + "\n")


def main() -> None:
    """Show where the sweep of the command line stands."""
    parser = Parser(prog=PROGRAM, description=plain(__doc__))
    text = "folder of a sweep or a run, or URL of a database ('${oc.env:NAME}': as NAME has it)"
    parser.add_argument("sweep", metavar="STUDY|FOLDER", help=text)
    parser.add_argument("name", nargs="?", help="of the study, where a database holds several")
    parser.add_argument("--json", action="store_true", help="a line of JSON")
    parser.add_argument("--follow", action="store_true", help="look until the sweep ends")
    given = parser.parse_args()
    if given.name is not None and not _is_url(given.sweep):
        parser.error(f"{given.name} names a study in a database; a folder holds one sweep")
    with command(PROGRAM):
        standing = _followed(given) if given.follow else _look(given)
        if not given.follow:
            print(*_told(standing, given), sep="\n")
    sys.exit(standing.code)


def _is_url(given: str) -> bool:
    return "://" in given or given.startswith("${")


def _look(given: argparse.Namespace) -> Standing:
    if not _is_url(given.sweep):
        return read_folder(Path(given.sweep))
    from fcsweep.status.study import read_url  # imports Optuna

    return read_url(given.sweep, given.name)


def _told(standing: Standing, given: argparse.Namespace) -> list[str]:
    return [as_json(standing)] if given.json else lines(standing)


def _followed(given: argparse.Namespace) -> Standing:
    """Show it until it ends: on a terminal in place, else anew when it has changed."""
    in_place = sys.stdout.isatty() and not given.json
    with _in_place() if in_place else _one_after_the_other() as show:
        while True:
            began = time.monotonic()
            standing = _look(given)
            show(_told(standing, given))
            if standing.state != "running":
                return standing
            _wait(max(PAUSE, SHARE * (time.monotonic() - began)))


def _wait(seconds: float) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        end_if_asked()
        time.sleep(0.1)


Show = Callable[[Sequence[str]], None]


@contextmanager
def _in_place() -> Generator[Show]:
    from rich.live import Live
    from rich.text import Text

    with Live(auto_refresh=False) as live:
        yield lambda told: live.update(Text("\n".join(told)), refresh=True)


@contextmanager
def _one_after_the_other() -> Generator[Show]:
    shown: list[str] = []

    def show(told: Sequence[str]) -> None:
        if told != shown:
            blank = [""] if shown and len(told) > 1 else []
            print(*blank, *told, sep="\n", flush=True)
        shown[:] = told

    yield show


if __name__ == "__main__":
    main()
