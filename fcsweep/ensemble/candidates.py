"""Which trials of a sweep can be members of its ensemble: those that ended, on the same data."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from fcsweep.messages.errors import FolderError
from fcsweep.messages.wording import join
from fcsweep.records.filenames import BEST
from fcsweep.records.reader import are_ours
from fcsweep.records.sweep_table import Row, load

USABLE = ("completed", "pruned")
GONE = f"without {BEST}"
MOST_NAMED = 10
"""How many trials on other data are named; the others are counted."""


@dataclass(frozen=True)
class Candidates:
    """The trials of a sweep that can be members."""

    rows: Sequence[Row]
    data_sha256: str
    """The fingerprint of the data that they share."""
    left_out: dict[str, int]
    """How many trials cannot, by why."""
    on_other_data: Sequence[Row]
    """Trials that ended, and were trained on other data; not counted there."""

    @property
    def other_data(self) -> str | None:
        """The trials on other data, by name; None if there are none."""
        if not self.on_other_data:
            return None
        names = [str(row.number) for row in self.on_other_data]
        more = [f"{len(names) - MOST_NAMED} more"] if len(names) > MOST_NAMED else []
        named = join([*names[:MOST_NAMED], *more])
        return f"left out: {named}, trained on other data than {self.rows[0].number}"


def candidates_of(sweep: Path, rows: Sequence[Row] | None = None) -> Candidates:
    """The candidates of a sweep; those on the data of most of its trials.

    Args:
        sweep: its folder.
        rows: its table, where it is read already.

    Raises:
        FolderError: there is none, or the folder is not that of a sweep of this program.
    """
    rows = load(sweep) if rows is None else rows
    if are_ours(row.folder for row in rows) is False:
        raise FolderError(
            f"{sweep} holds runs of another program; fcsweep.ensemble takes those of fcsweep"
        )
    if not rows:
        raise FolderError(f"{sweep} holds no trials; expected the folder of a sweep")
    left_out = Counter(row.status for row in rows if row.status not in USABLE)
    ended = [row for row in rows if row.status in USABLE]
    usable = [row for row in ended if row.value is not None and (row.folder / BEST).is_file()]
    if gone := len(ended) - len(usable):
        left_out[GONE] = gone
    prints = Counter(fingerprint(row) for row in usable)
    if not prints:
        raise FolderError(f"{sweep} holds no trial that has ended with a value and a {BEST}")
    ((data_sha256, _),) = prints.most_common(1)
    same = [row for row in usable if fingerprint(row) == data_sha256]
    others = [row for row in usable if fingerprint(row) != data_sha256]
    return Candidates(same, data_sha256, dict(left_out), others)


def fingerprint(row: Row) -> str:
    """Of the data that a trial was trained on, as its record has it."""
    return str(row.found.provenance.get("data_sha256")) if row.found else ""
