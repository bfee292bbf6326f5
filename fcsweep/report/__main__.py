"""``python -m fcsweep.report DIR``: write ``report.html`` into the folder of a run or a sweep."""

from __future__ import annotations

import argparse
from pathlib import Path

from fcsweep.messages.wording import printable
from fcsweep.report.page import write
from fcsweep.system.command import command

PROGRAM = "python -m fcsweep.report"


def main() -> None:
    """Write the page and say where it is; exit code 1 and one line if that cannot be done."""
    parser = argparse.ArgumentParser(prog=PROGRAM, description=__doc__)
    parser.add_argument("dir", type=Path, help="folder of a run or a sweep")
    for kind in ("png", "svg"):
        text = f"also write each picture as DIR/figures/NAME.{kind}"
        parser.add_argument(f"--{kind}", action="append_const", const=kind, dest="kinds", help=text)
    arguments = parser.parse_args()
    with command(PROGRAM):
        print(printable(write(arguments.dir, arguments.kinds or ())))


if __name__ == "__main__":
    main()
