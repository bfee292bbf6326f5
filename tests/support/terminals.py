"""A program on a terminal that is emulated: what its screen showed, and shows at the end."""

import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from support import preloaded

FREE = ("COLUMNS", "LINES", "NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE")
"""Variables that would say something else than the terminal does."""


@dataclass
class Shown:
    """What a terminal showed."""

    code: int
    lines: list[str]
    """At the end, with what has scrolled out above."""
    screens: list[list[str]] = field(default_factory=list)
    """What could be seen meanwhile, each screen once."""

    @property
    def text(self) -> str:
        return "\n".join(self.lines)


def on_terminal(
    command: Sequence[str],
    folder: Path,
    columns: int = 80,
    rows: int = 24,
    strike: Callable[[list[str]], bool] = lambda screen: False,
    **environment: str,
) -> Shown:
    """Run a command in a folder on a terminal; Ctrl-C as soon as ``strike`` of a screen is true."""
    import pyte

    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
    env = {name: value for name, value in os.environ.items() if name not in FREE}
    env |= {"OMP_NUM_THREADS": "1", "TERM": "xterm-256color", **environment}
    process = preloaded.Popen(
        list(command), cwd=folder, env=env, stdin=subprocess.DEVNULL, stdout=theirs, stderr=theirs
    )
    os.close(theirs)
    screen = pyte.HistoryScreen(columns, rows, history=5_000, ratio=1)
    stream, shown = pyte.ByteStream(screen), Shown(0, [])
    until = time.monotonic() + 120
    while time.monotonic() < until:
        if not select.select([ours], [], [], 1)[0]:
            continue
        try:
            stream.feed(os.read(ours, 1 << 16))
        except OSError:  # nobody has the other end any more
            break
        now = [line.rstrip() for line in screen.display]
        if now not in shown.screens[-1:]:
            shown.screens.append(now)
        if strike(now):
            os.kill(process.pid, signal.SIGINT)
            strike = lambda screen: False  # noqa: E731
    os.close(ours)
    shown.code = process.wait()
    above = ["".join(line[n].data for n in range(columns)) for line in screen.history.top]
    shown.lines = [line.rstrip() for line in [*above, *screen.display]]
    while shown.lines and not shown.lines[-1]:
        shown.lines.pop()
    return shown
