"""Whoever reads what a program says may leave before it ends, as ``head`` does."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager


class ReaderLeft(SystemExit):
    """Ends the program with one line on standard error, and exit code 1."""

    def __init__(self) -> None:
        super().__init__("nobody reads standard output any more")


@contextmanager
def reader_may_leave() -> Iterator[None]:
    """In the block lines are printed.

    Raises:
        ReaderLeft: a line could not be, for want of a reader.
    """
    try:
        yield
        sys.stdout.flush()
    except BrokenPipeError as error:
        give_up_stdout()
        raise ReaderLeft from error


def give_up_stdout() -> None:
    """What could not be written there is lost; Python would try again at its end, and complain."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
