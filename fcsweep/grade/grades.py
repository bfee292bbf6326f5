"""``grades.csv``: a row per hand-in, rewritten after each, so that grading can be interrupted."""

from __future__ import annotations

import csv
import io
from dataclasses import asdict, fields, replace
from pathlib import Path

from fcsweep.grade.grading import NOT_GRADED, Grade
from fcsweep.messages.errors import FolderError
from fcsweep.messages.wording import one_line, printable
from fcsweep.records.sweep_table import as_text
from fcsweep.system.atomic import write_atomically
from fcsweep.system.bounded import read_bounded

LARGEST = 100_000_000  # bytes
COLUMNS = [field.name for field in fields(Grade)]
FORMULA = ("=", "+", "-", "@")
"""What a spreadsheet takes for the beginning of a formula."""


class Grades:
    """The rows of a file, those of an earlier start included.

    Raises:
        FolderError: the file is something else.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        rows = _read(path) if path.exists() else []
        self._rows = {row["hand_in"]: row for row in rows}

    def verdict(self, folder: Path) -> str:
        """On a hand-in; `NOT_GRADED` also for one that has no row yet."""
        row = self._rows.get(_cell(str(folder)))
        return NOT_GRADED if row is None else row["verdict"]

    def add(self, grade: Grade) -> Grade:
        """Write a row; returns it, with the hand-in that it copies.

        Raises:
            RecordError: the file cannot be written; what was there before is unchanged.
        """
        others = [row for row in self._rows.values() if row["hand_in"] != _cell(grade.hand_in)]
        known = (row["hand_in"] for row in others if row["sha256"] == grade.sha256 != "")
        grade = replace(grade, copy_of=next(known, ""))
        row = {name: _cell(value) for name, value in asdict(grade).items()}
        self._rows[row["hand_in"]] = row
        text = io.StringIO()
        out = csv.DictWriter(text, COLUMNS, lineterminator="\n")
        out.writeheader()
        out.writerows(self._rows.values())
        write_atomically(self.path, text.getvalue().encode())
        return grade


def _read(path: Path) -> list[dict[str, str]]:
    try:
        text = read_bounded(path, LARGEST).decode()
        head, *rows = list(csv.reader(io.StringIO(text, newline=""), strict=True)) or [[]]
    except (OSError, ValueError, csv.Error) as error:
        raise FolderError(f"--out: {path} cannot be read: {one_line(error)}") from error
    if head != COLUMNS or any(len(row) != len(head) for row in rows):
        raise FolderError(f"--out: {path} is not a table of grades; name another file")
    return [dict(zip(head, row, strict=True)) for row in rows]


def _cell(value: object) -> str:
    """A value as text that no spreadsheet reads as a formula."""
    text = printable(as_text(value))
    return f"'{text}" if isinstance(value, str) and text.startswith(FORMULA) else text
