"""SIGINT, SIGTERM and SIGHUP end training after the step in progress; a second one at once."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any


@contextmanager
def stopped_by_signals(stop: Callable[[], None]) -> Iterator[None]:
    """While the block runs, a signal calls ``stop``; after the block it raises.

    The handler only asks: an exception raised by a handler can be lost. Outside the main thread
    signals are not ours to handle.

    Args:
        stop: asks the block to end soon.

    Raises:
        KeyboardInterrupt, SystemExit: after SIGINT, or SIGTERM and SIGHUP; also in place of an
            error that the block ended with.
    """
    received: list[int] = []
    before: dict[signal.Signals, Any] = {}

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)
        before.clear()

    def ask(number: int, frame: FrameType | None) -> None:
        received.append(number)
        stop()
        restore()

    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)
        if number is None or signal.getsignal(number) is signal.SIG_IGN:
            continue  # not on this system, or ignored as nohup asks
        try:
            before[number] = signal.signal(number, ask)
        except ValueError:  # not the main thread
            break
    try:
        yield
    except Exception:
        if not received:
            raise
    finally:
        restore()
    if received:
        name = signal.Signals(received[0]).name
        if received[0] == signal.SIGINT:
            raise KeyboardInterrupt(name)
        raise SystemExit(128 + received[0])
