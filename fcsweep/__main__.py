"""``python -m fcsweep``: see `fcsweep.cli`."""

import sys
from contextlib import suppress

from fcsweep.system.command import command
from fcsweep.system.signals import unheard

RUNS = ("-m", "--multirun", "--config-")
"""How the flags begin with which something is run; with any other, something is only said."""


def main() -> None:
    """Run the program on ``sys.argv``; a signal is heard before the imports, which take a while."""
    try:
        with command():
            _say_starting()
            from fcsweep.cli import main

            main.main()
    finally:
        unheard()


def _say_starting() -> None:
    """On a terminal say at once that something comes; the next line is written over it."""
    flags = [word for word in sys.argv[1:] if word.startswith("-")]
    with suppress(OSError):  # a terminal that is gone is found where more is said
        if sys.stdout.isatty() and all(flag.startswith(RUNS) for flag in flags):
            print("starting ...", end="\r", flush=True)


if __name__ == "__main__":
    main()
