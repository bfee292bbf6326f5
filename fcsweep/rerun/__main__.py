"""``python -m fcsweep.rerun DIR...``: train recorded runs again and compare bit for bit.

DIR is the folder of a run, or of a sweep: then all of its runs. Compared are losses, accuracies,
results and the best parameters; the first difference is named with its likely cause.
"""

from __future__ import annotations

import argparse
import logging
import sys
from pathlib import Path

from fcsweep.composition.folders import longer
from fcsweep.config.import_paths import TRUST
from fcsweep.messages.wording import printable
from fcsweep.records.filenames import CONFIG
from fcsweep.records.reader import look
from fcsweep.rerun.repeat import rerun
from fcsweep.system.command import command, plain
from fcsweep.system.memory import keep_freed

PROGRAM = "python -m fcsweep.rerun"


def main() -> None:
    """Exit code 0 if every run is repeated bit for bit, else 1; 130, 143, 129 after signals."""
    parser = argparse.ArgumentParser(prog=PROGRAM, description=plain(__doc__))
    parser.add_argument("run_dir", type=Path, nargs="+", help="folder of a run or of a sweep")
    parser.add_argument("--out", type=Path, help="a new folder, to keep the new runs in")
    parser.add_argument("--trust", action="store_true", help=TRUST)
    arguments = parser.parse_intermixed_args()
    logging.getLogger("fcsweep").addHandler(logging.NullHandler())
    keep_freed()
    with command(PROGRAM):
        repeated = rerun(arguments.run_dir, arguments.out, arguments.trust)
        run = arguments.run_dir[0]
        alone = len(arguments.run_dir) == 1 and (run / CONFIG).is_file()
        if repeated and alone and (look(run).result or {}).get("status") == "completed":
            print(printable(f"to train it longer: {longer(run)}"))
        sys.exit(0 if repeated else 1)


if __name__ == "__main__":
    main()
