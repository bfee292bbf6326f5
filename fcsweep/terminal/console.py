"""Standard output: a terminal, a file or a pipe."""

from __future__ import annotations

from typing import Any, NoReturn

from rich.console import Console

from fcsweep.system.stdout import ReaderLeft, give_up_stdout


class Screen(Console):
    """rich's console, which raises `ReaderLeft` when the reader of a pipe has exited.

    In a notebook it prints plain lines, as to a file.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(force_jupyter=False, **options)

    def on_broken_pipe(self) -> NoReturn:
        """End the program after a broken pipe, as in ``fcsweep | head``.

        Raises:
            ReaderLeft: always; the runs record it as their reason.
        """
        self.quiet = True
        give_up_stdout()
        raise ReaderLeft
