"""Grade a hand-in: train it again, compare, and test what was trained here."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import psutil
from safetensors.torch import load_file

from fcsweep.evaluate import accuracies
from fcsweep.grade.hand_in import HandIn, find
from fcsweep.launchers.grouping import bytes_held
from fcsweep.messages.errors import FolderError
from fcsweep.messages.wording import one_line
from fcsweep.objectives import reaches
from fcsweep.records.evidence import Evidence, read_evidence
from fcsweep.records.filenames import BEST, PROVENANCE, RESULT
from fcsweep.records.reader import read_json
from fcsweep.rerun.comparison import Comparison, Verdict
from fcsweep.rerun.repeat import Progress, repeat
from fcsweep.system.signals import end_if_asked

NOT_GRADED = "not graded"
"""The verdict on what cannot be read, has not finished, or cannot be trained here."""
PROVEN = (Verdict.IDENTICAL, Verdict.SAME)
"""The verdicts on numbers that training gives."""


@dataclass(frozen=True)
class Rules:
    """What holds for all hand-ins."""

    target: float | None = None
    """Of the objective; None: that of each run."""
    data_root: str | None = None
    """``data.root`` on this machine."""
    device: str | None = None
    """To train on, instead of the recorded one."""
    minutes: float = 10.0
    """After which the training of a run is given up, at the end of an epoch."""


@dataclass(frozen=True)
class Grade:
    """A row of ``grades.csv``."""

    hand_in: str
    """The folder, as it was named."""
    run: str = ""
    """The folder of the run within it; empty if it is that itself."""
    verdict: str = NOT_GRADED
    """A `Verdict`, or `NOT_GRADED`."""
    objective: str = ""
    recorded: float | None = None
    """The objective as handed in."""
    repeated: float | None = None
    """The objective as trained here."""
    target: float | None = None
    target_reached: bool | None = None
    """Whether it was reached as trained here."""
    test_accuracy: float | None = None
    """Of the parameters that were trained here; a fraction."""
    epochs: int | None = None
    sha256: str = ""
    """Of the record: two hand-ins with the same are copies of one."""
    copy_of: str = ""
    """An earlier hand-in with this record."""
    note: str = ""
    """How the run was chosen, what differs, or why it is not graded."""


def grade(
    folder: Path, rules: Rules, scratch: Path, shown: Callable[[Evidence], Progress]
) -> Grade:
    """Grade the contents of a folder, whatever they are.

    Args:
        folder: as it was handed in.
        rules: for all.
        scratch: a folder that is not there yet, for the new run.
        shown: shows the progress of a run.
    """
    hand_in = HandIn(folder, folder)
    try:
        hand_in = find(folder)
        run = _on_this_machine(read_evidence(hand_in.run), rules)
        comparison = repeat(run, scratch, _limit(shown(run), rules.minutes), rules.device)
        return _grade(hand_in, run, comparison, scratch, rules)
    except Exception as error:  # the next hand-in is another student's
        end_if_asked()  # what a signal raised may have become another error
        return Grade(str(folder), hand_in.place, note=one_line(error))


def _grade(
    hand_in: HandIn, run: Evidence, comparison: Comparison, again: Path, rules: Rules
) -> Grade:
    target = rules.target if rules.target is not None else run.config.target
    value = read_json(again / RESULT)["value"] if again.exists() else None
    return Grade(
        hand_in=str(hand_in.folder),
        run=hand_in.place,
        verdict=comparison.verdict,
        objective=run.config.objective,
        recorded=run.result.get("value"),
        repeated=value,
        target=target,
        target_reached=None
        if target is None or value is None
        else reaches(run.config.objective, value, target),
        test_accuracy=_test_accuracy(run, again, rules.device),
        epochs=run.epochs,
        sha256="" if PROVENANCE in run.altered else run.provenance["sha256"],
        note="; ".join(filter(None, [hand_in.note, comparison.why])),
    )


def _test_accuracy(run: Evidence, again: Path, device: str | None) -> float | None:
    """Of the run as trained here; None if it was not, or never evaluated."""
    if not (again / BEST).exists():
        return None
    if run.config.data.classes == 1:  # a quantity has errors
        return None
    place = device or run.provenance["device"]
    correct, rows = accuracies(run.config, load_file(again / BEST), place)["test"]
    return correct / rows


def _on_this_machine(run: Evidence, rules: Rules) -> Evidence:
    """The run with the data of this machine; refuses a net that has no room in its memory."""
    free, needed = psutil.virtual_memory().available, bytes_held(run.config)
    if needed > free // 2:
        raise FolderError(f"{run.folder} needs {needed:,} bytes of memory; {free:,} are free")
    if "root" not in asdict(run.config.data):
        return run
    data: Any = replace(run.config.data, root=rules.data_root)
    return replace(run, config=replace(run.config, data=data))


def _limit(progress: Progress, minutes: float) -> Progress:
    """A progress that stops training after ``minutes``."""
    end = time.monotonic() + 60 * minutes

    def limited(epoch: int) -> None:
        progress(epoch)
        if time.monotonic() > end:
            raise FolderError(f"after {minutes:g} minutes it is at epoch {epoch}; see --minutes")

    return limited
