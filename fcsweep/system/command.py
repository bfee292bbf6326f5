"""What all programs have in common: how they end after an error, a signal or a closed output."""

from __future__ import annotations

import sys
from collections.abc import Generator
from contextlib import contextmanager
from typing import NoReturn

from fcsweep.messages.errors import UserError
from fcsweep.messages.wording import one_line
from fcsweep.system.signals import PROGRAM, end_if_asked, listening
from fcsweep.system.stdout import all_printed, give_up_stdout


@contextmanager
def command(
    program: str = PROGRAM, errors: tuple[type[Exception], ...] = (UserError, OSError)
) -> Generator[None]:
    """Run a block as a whole program; within another such block it is a part of that program.

    Args:
        program: what starts it, for the line that says how to resume after a signal.
        errors: reported in one line on standard error; others are faults of the program.

    Raises:
        SystemExit: 1 after an error; 130, 143 or 129 after SIGINT, SIGTERM or SIGHUP.
        ReaderLeft: standard output is a broken pipe.
    """
    with listening(program):
        try:
            with all_printed():
                yield
        except errors as error:
            end_if_asked()  # what a signal raised may have become another error
            leave(f"error: {one_line(error)}")


def leave(text: str) -> NoReturn:
    """End the program with a text on standard error and exit code 1."""
    try:
        sys.stdout.flush()
    except OSError:
        give_up_stdout()
    print(text, file=sys.stderr)
    sys.exit(1)


def plain(docstring: str | None) -> str:
    """The docstring of a program as the text of its help: without the marks of code."""
    return (docstring or "").replace("`", "")
