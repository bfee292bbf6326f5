"""``python -m fcsweep.rerun RUN_DIR...``: see `fcsweep.rerun.repeat`."""

from __future__ import annotations

import argparse
import logging
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import NoReturn

from fcsweep.messages.errors import UserError
from fcsweep.messages.wording import one_line
from fcsweep.rerun.repeat import rerun
from fcsweep.system.stdout import reader_may_leave


def main() -> None:
    """Exit code 0 if every run is repeated bit for bit, else 1; 130, 143, 129 after signals."""
    parser = argparse.ArgumentParser(prog="python -m fcsweep.rerun", description=__doc__)
    parser.add_argument("run_dir", type=Path, nargs="+", help="folder of a run or of a sweep")
    parser.add_argument("--out", type=Path, help="a new folder, to keep the new runs in")
    arguments = parser.parse_args()
    logging.getLogger("fcsweep").addHandler(logging.NullHandler())
    try:
        with _signals_clean_up(), reader_may_leave():
            good = rerun(arguments.run_dir, arguments.out)
    except (UserError, OSError) as error:  # OSError: a folder that may not be read or written
        sys.exit(f"error: {one_line(error)}")
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        sys.exit(130)
    sys.exit(0 if good else 1)


@contextmanager
def _signals_clean_up() -> Iterator[None]:
    """Let SIGTERM and SIGHUP raise, as SIGINT does, so that nothing is left behind."""

    def stop(number: int, frame: FrameType | None) -> NoReturn:
        raise SystemExit(128 + number)

    names = [name for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
    before = {name: signal.signal(getattr(signal, name), stop) for name in names}
    try:
        yield
    finally:
        for name, handler in before.items():
            signal.signal(getattr(signal, name), handler)


if __name__ == "__main__":
    main()
