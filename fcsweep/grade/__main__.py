"""``python -m fcsweep.grade FOLDER... --out grades.csv``: train again what students handed in.

A row for each: whether training gives the same numbers, the target, the test accuracy.
"""

from __future__ import annotations

import argparse
import logging
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from fcsweep.grade.grades import Grades
from fcsweep.grade.grading import NOT_GRADED, PROVEN, Grade, Rules, grade
from fcsweep.messages.wording import printable
from fcsweep.rerun.repeat import epoch_bar
from fcsweep.system.command import command, plain
from fcsweep.system.memory import keep_freed

PROGRAM = "python -m fcsweep.grade"


def main() -> None:
    """Exit code 0 if every hand-in is identical, or the same on another processor, else 1."""
    parser = argparse.ArgumentParser(prog=PROGRAM, description=plain(__doc__))
    parser.add_argument(
        "folder", type=Path, nargs="+", help="what a student handed in: a run or a sweep"
    )
    parser.add_argument(
        "--out", type=Path, required=True, help="the table; hand-ins that it has are left out"
    )
    parser.add_argument(
        "--target",
        type=float,
        help="the objective that counts as success; as each run has it if absent",
    )
    parser.add_argument(
        "--data-root", help="where the data lie here, as data.root; the cached copy if absent"
    )
    parser.add_argument("--device", help="cpu, cuda or cuda:N; as each run was trained if absent")
    parser.add_argument(
        "--minutes", type=float, default=10.0, help="of training for each hand-in, at most (10)"
    )
    arguments = parser.parse_args()
    logging.getLogger("fcsweep").addHandler(logging.NullHandler())
    keep_freed()
    rules = Rules(arguments.target, arguments.data_root, arguments.device, arguments.minutes)
    with command(PROGRAM):
        sys.exit(0 if grade_all(arguments.folder, Grades(arguments.out), rules) else 1)


def grade_all(folders: Sequence[Path], grades: Grades, rules: Rules) -> bool:
    """Grade every hand-in that is not graded yet; whether the numbers of all are proven."""
    to_go = [folder for folder in dict.fromkeys(folders) if grades.verdict(folder) == NOT_GRADED]
    if len(to_go) < len(folders):
        print(f"{len(folders) - len(to_go)} of {len(folders)} are graded in {grades.path}")
    with epoch_bar() as shown:
        for number, folder in enumerate(to_go, start=1):
            place = f"{number}/{len(to_go)}"
            with tempfile.TemporaryDirectory(prefix="fcsweep-grade-") as scratch:
                found = grade(folder, rules, Path(scratch) / "run", lambda run: shown(run, place))  # noqa: B023
            print(printable(f"{place} {_line(grades.add(found))}"), flush=True)
    proven = sum(grades.verdict(folder) in PROVEN for folder in folders)
    print(f"{proven} of {len(folders)} repeated: {grades.path}")
    return proven == len(folders)


def _line(found: Grade) -> str:
    """A hand-in in a line."""
    copied = f" (a copy of {found.copy_of})" if found.copy_of else ""
    numbers = [(found.objective, found.repeated), ("test", found.test_accuracy)]
    values = [f"{name} {value:.4f}" for name, value in numbers if value is not None]
    why = "" if found.verdict in PROVEN or not found.note else f": {found.note}"
    return ", ".join([f"{found.hand_in}: {found.verdict}{copied}", *values]) + why


if __name__ == "__main__":
    main()
