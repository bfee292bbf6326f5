"""The terminal, or the file or the pipe in its place."""

from __future__ import annotations

from typing import Any, NoReturn

from rich.console import Console

from fcsweep.system.stdout import ReaderLeft, give_up_stdout


class Screen(Console):
    """rich's console, which also says why it ends the program when its reader has left.

    In a notebook it prints plain lines, as to a file.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(force_jupyter=False, **options)

    def on_broken_pipe(self) -> NoReturn:
        """As after ``fcsweep | head``.

        Raises:
            ReaderLeft: which becomes the reason of a run.
        """
        self.quiet = True
        give_up_stdout()
        raise ReaderLeft
