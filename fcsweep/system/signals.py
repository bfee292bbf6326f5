"""SIGINT, SIGTERM and SIGHUP: what they end, and when.

Training ends after the step in progress. Elsewhere the handler raises. An exception raised in a
handler can be lost (in a destructor) or become another error (in an import of torch), so the signal
is also remembered, and `end_if_asked` raises again before the next piece of work.
"""

from __future__ import annotations

import os
import shlex
import signal
import sys
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from types import FrameType
from typing import Any, NoReturn, TextIO

from fcsweep.messages.secrets import mask
from fcsweep.messages.wording import printable

PROGRAM = "python -m fcsweep"
WORDS = {130: "interrupted", 143: "terminated", 129: "hung up"}
"""What is said for the exit codes after SIGINT, SIGTERM and SIGHUP."""
TWICE = 1.0
"""Seconds in which a second signal is the same one: a terminal that closes sends it twice."""


class _Program:
    """Which signal is to end this program, since when, and how to go on after it."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.signal: int | None = None
        self.since, self.held_back = 0.0, False
        self.what, self.words = "run it again", sys.argv[1:]

    def keep(self, number: int) -> bool:
        """Keep the first signal; whether this is it."""
        if self.signal is not None:
            return False
        self.signal, self.since = number, time.monotonic()
        return True

    def farewell(self, code: int) -> str:
        command = printable(mask(shlex.join(self.words)))
        return f"{WORDS[code]}; to {self.what}: {self.name} {command}\n"


_program: _Program | None = None


def is_listening() -> bool:
    """Whether a program listens already."""
    return _program is not None


def this_program() -> str:
    """The command that started this process, without its arguments: ``python app.py``."""
    words, own = list(sys.orig_argv), sys.argv[1:]
    if words[len(words) - len(own) :] != own or len(words) <= len(own):  # somebody changed them
        words, own = ["python", *sys.argv], sys.argv[1:]
    program, *rest = words[: len(words) - len(own)]
    return shlex.join([os.path.basename(program), *rest])


@contextmanager
def listening(program: str = PROGRAM) -> Generator[None]:
    """Run the block as a whole program: a signal ends it and prints how to resume.

    A second signal, more than a second after the first, ends the process at once. Nested
    blocks do nothing.

    Args:
        program: what starts it.

    Raises:
        SystemExit: 130, 143 or 129 after SIGINT, SIGTERM or SIGHUP, even if code in between
            replaced the exception that the handler raised.
    """
    global _program
    if _program is not None:
        yield
        return
    running = _program = _Program(program)
    before, hook = _handled_by(_end, only=DEFAULT), sys.unraisablehook
    sys.unraisablehook = partial(_ignore_lost, hook)
    try:
        yield
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt):
            running.keep(signal.SIGINT)
        if running.signal is None:
            raise
        code = 128 + running.signal
        _say("", sys.stdout)
        _say(running.farewell(code), sys.stderr)
        raise SystemExit(code) from None
    finally:
        _program = None
        sys.unraisablehook = hook
        _restore(before)


def _ignore_lost(hook: Callable[[Any], object], unraisable: Any) -> None:
    """Ignore what the handler raised in a destructor: `end_if_asked` raises it again."""
    asked = _program is not None and _program.signal is not None
    if not (asked and isinstance(unraisable.exc_value, KeyboardInterrupt | SystemExit)):
        hook(unraisable)


def _say(text: str, stream: TextIO) -> None:
    """Write to a stream and flush it; the terminal may be gone."""
    try:
        stream.write(text)
        stream.flush()
    except OSError:  # Python would try again at its end, and leave with code 120
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def unheard() -> None:
    """From now on signals end this process silently: its work is done."""
    _handled_by(signal.SIG_DFL)


def advise(what: str, words: Sequence[str]) -> None:
    """Set the advice that a signal prints from now on.

    Args:
        what: the command does, such as ``go on``.
        words: of the command line.
    """
    if _program is not None:
        _program.what, _program.words = what, list(words)


def end_if_asked() -> None:
    """Raise for a signal that was kept, if what its handler raised was lost."""
    if _program is not None and _program.signal is not None:
        _raise(_program.signal)


@contextmanager
def held_back() -> Generator[None]:
    """Delay a first signal until the block ends: an exception may abort imports of C++ code."""
    if _program is None:
        yield
        return
    _program.held_back = True
    try:
        yield
    finally:
        _program.held_back = False
    end_if_asked()


@contextmanager
def stopped_by_signals(stop: Callable[[], None]) -> Generator[None]:
    """While the block runs, a signal calls ``stop``; after the block it raises.

    The handler only asks. Outside the main thread signals are not ours to handle.

    Args:
        stop: asks the block to end soon.

    Raises:
        KeyboardInterrupt, SystemExit: after SIGINT, or SIGTERM and SIGHUP; also in place of an
            error that the block ended with.
    """
    end_if_asked()
    received: list[int] = []
    before: dict[int, Any] = {}

    def ask(number: int, frame: FrameType | None) -> None:
        received.append(number)
        if _program is not None:
            _program.keep(number)
        stop()
        _restore(before)

    before.update(_handled_by(ask))
    try:
        yield
    except Exception:
        if not received:
            raise
    finally:
        _restore(before)
    if received:
        _raise(received[0])


def _end(number: int, frame: FrameType | None) -> None:
    """Raise for the first signal, leave at once for one that comes later."""
    if _program is None:  # it has just ended
        return
    if _program.keep(number) and not _program.held_back:
        _raise(number)
    if time.monotonic() - _program.since > TWICE:
        code = 128 + number
        with suppress(OSError):
            os.write(2, _program.farewell(code).encode())
        os._exit(code)


def _raise(number: int) -> NoReturn:
    if number == signal.SIGINT:
        raise KeyboardInterrupt(signal.Signals(number).name)
    raise SystemExit(128 + number)


DEFAULT: tuple[Any, ...] = (signal.SIG_DFL, signal.default_int_handler)
"""Handlers that an app has not chosen."""


def _handled_by(
    handler: Callable[[int, FrameType | None], None] | signal.Handlers,
    only: tuple[Any, ...] | None = None,
) -> dict[int, Any]:
    """Install a handler, if given only in place of some others; what it replaces."""
    before: dict[int, Any] = {}
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)
        if number is None or (now := signal.getsignal(number)) is signal.SIG_IGN:
            continue  # not on this system, or ignored as nohup asks
        if only is not None and now not in only:
            continue
        try:
            before[number] = signal.signal(number, handler)
        except ValueError:  # not the main thread
            break
    return before


def _restore(before: dict[int, Any]) -> None:
    for number, handler in before.items():
        signal.signal(number, handler)
    before.clear()
