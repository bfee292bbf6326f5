"""Handle a closed standard output: the reader of a pipe, such as ``head``, may exit first."""

from __future__ import annotations

import os
import sys
from collections.abc import Generator, Iterator
from contextlib import contextmanager

from fcsweep.system.atomic import writing


class ReaderLeft(SystemExit):
    """Ends the program with one line on standard error, and exit code 1."""

    def __init__(self) -> None:
        super().__init__("standard output was closed")


@contextmanager
def all_printed() -> Generator[None]:
    """Flush standard output when the block ends: at exit, Python would print a traceback.

    Raises:
        ReaderLeft: standard output is a broken pipe.
        RecordError: standard output is a file on a full disk.
    """
    try:
        yield from _flush_at_end()
    except BrokenPipeError as error:
        give_up_stdout()
        raise ReaderLeft from error


def _flush_at_end() -> Iterator[None]:
    try:
        yield
    except SystemExit:  # as --help raises
        sys.stdout.flush()
        raise
    with writing("standard output"):
        sys.stdout.flush()


def give_up_stdout() -> None:
    """Discard buffered output: Python would try to write it again at exit, and complain."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
