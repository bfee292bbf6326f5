"""``python -m fcsweep.report DIR``: write ``report.html`` into the folder of a run or a sweep."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from fcsweep.messages.errors import UserError
from fcsweep.messages.wording import one_line, printable
from fcsweep.report.page import write
from fcsweep.system.stdout import reader_may_leave


def main() -> None:
    """Write the page and say where it is; exit code 1 and one line if that cannot be done."""
    parser = argparse.ArgumentParser(prog="python -m fcsweep.report", description=__doc__)
    parser.add_argument("dir", type=Path, help="folder of a run or a sweep")
    for kind in ("png", "svg"):
        text = f"also write each picture as DIR/figures/NAME.{kind}"
        parser.add_argument(f"--{kind}", action="append_const", const=kind, dest="kinds", help=text)
    arguments = parser.parse_args()
    try:
        with reader_may_leave():
            print(printable(write(arguments.dir, arguments.kinds or ())))
    except (UserError, OSError) as error:
        print(f"error: {one_line(error)}", file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    main()
