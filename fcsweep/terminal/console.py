"""The terminal, or the file or the pipe in its place."""

from __future__ import annotations

from typing import NoReturn

from rich.console import Console

from fcsweep.system.stdout import ReaderLeft, give_up_stdout


class Screen(Console):
    """rich's console, which also says why it ends the program when its reader has left."""

    def on_broken_pipe(self) -> NoReturn:
        """As after ``fcsweep | head``.

        Raises:
            ReaderLeft: which becomes the reason of a run.
        """
        self.quiet = True
        give_up_stdout()
        raise ReaderLeft
