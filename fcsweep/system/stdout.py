"""Whoever reads what a program says may leave before it ends, as ``head`` does."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from fcsweep.system.atomic import writing


class ReaderLeft(SystemExit):
    """Ends the program with one line on standard error, and exit code 1."""

    def __init__(self) -> None:
        super().__init__("nobody reads standard output any more")


@contextmanager
def all_printed() -> Iterator[None]:
    """Print all that the block has to say: what is left to Python's own end it complains of.

    Raises:
        ReaderLeft: a line could not be printed, for want of a reader.
        RecordError: standard output is a file on a disk that takes no more.
    """
    try:
        yield from _flushed()
    except BrokenPipeError as error:
        give_up_stdout()
        raise ReaderLeft from error


def _flushed() -> Iterator[None]:
    try:
        yield
    except SystemExit:  # as after a help
        sys.stdout.flush()
        raise
    with writing("standard output"):
        sys.stdout.flush()


def give_up_stdout() -> None:
    """What could not be written there is lost; Python would try again at its end, and complain."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
