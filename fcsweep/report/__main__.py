"""``python -m fcsweep.report DIR``: write ``report.html`` into the folder of a run or a sweep.

``python -m fcsweep.report A B ...`` compares sweeps on one page, ``comparison.html`` in the current
folder.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from fcsweep.messages.wording import printable
from fcsweep.report.page import compare, write
from fcsweep.system.command import command, plain

PROGRAM = "python -m fcsweep.report"


def main() -> None:
    """Write the page and say where it is; exit code 1 and one line if that cannot be done."""
    parser = argparse.ArgumentParser(prog=PROGRAM, description=plain(__doc__))
    text = "folder of a run or a sweep; several are compared on one page"
    parser.add_argument("dir", type=Path, nargs="+", help=text)
    text = "the file (default: DIR/report.html; of several, comparison.html in the current folder)"
    parser.add_argument("--out", type=Path, metavar="FILE", help=text)
    for kind in ("png", "svg"):
        text = f"also write each picture as DIR/figures/NAME.{kind}"
        parser.add_argument(f"--{kind}", action="append_const", const=kind, dest="kinds", help=text)
    given = parser.parse_args()
    if len(given.dir) > 1 and given.kinds:
        parser.error("--png and --svg are of one folder; expected a single DIR")
    with command(PROGRAM):
        print(printable(_write(given)))


def _write(given: argparse.Namespace) -> Path:
    if len(given.dir) > 1:
        return compare(given.dir, given.out)
    return write(given.dir[0], given.kinds or (), out=given.out)


if __name__ == "__main__":
    main()
