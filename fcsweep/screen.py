"""The terminal, or the file or the pipe in its place."""

from __future__ import annotations

from contextlib import suppress
from typing import NoReturn

from rich.console import Console


class ReaderLeft(SystemExit):
    """Nobody reads what the program says; one line."""


class Screen(Console):
    """rich's console, which also says why it ends the program when its reader has left."""

    def on_broken_pipe(self) -> NoReturn:
        """As after ``fcsweep | head``.

        Raises:
            ReaderLeft: which becomes the reason of a run.
        """
        with suppress(SystemExit):  # it has none, and exit code 1, too
            super().on_broken_pipe()
        raise ReaderLeft("nobody reads standard output any more")
