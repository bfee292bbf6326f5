"""Standard output: a terminal, a file or a pipe."""

from __future__ import annotations

from typing import NoReturn

from rich.console import Console

from fcsweep.system.stdout import ReaderLeft, give_up_stdout


class Screen(Console):
    """rich's console, which raises `ReaderLeft` when the reader of a pipe has exited."""

    def on_broken_pipe(self) -> NoReturn:
        """End the program after a broken pipe, as in ``fcsweep | head``.

        Raises:
            ReaderLeft: always; the runs record it as their reason.
        """
        self.quiet = True
        give_up_stdout()
        raise ReaderLeft
