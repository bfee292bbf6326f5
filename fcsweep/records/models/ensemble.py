"""``ensemble.json`` in the folder of a sweep: which trials predict together, and what it brings.

Sealed as the provenance of a run is: its last key is a sha256 of the others.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from fcsweep.config import Range
from fcsweep.messages.errors import FolderError
from fcsweep.messages.wording import one_line
from fcsweep.records.reader import LARGEST_JSON, read_json
from fcsweep.records.seal import add_seal, as_json, is_genuine
from fcsweep.system.atomic import write_atomically
from fcsweep.system.bounded import read_bounded

FILE = "ensemble.json"
TRIAL, WEIGHT, FOLDS = Range(0, whole=True), Range(0, 1), Range(1, 100, whole=True)
USUAL = {"further_scores": dict[str, Any](), "folds": 1}
"""What is left out of the file where it is this."""


@dataclass(frozen=True)
class Member:
    """A trial of the ensemble."""

    trial: int
    """Its number, which is the name of its folder."""
    weight: float
    """Its share of the mean, in (0, 1]; those of all members add up to 1."""
    value: float
    """Its own score on the validation rows; of a quantity in the unit of the target."""
    best_sha256: str
    """Of its ``best.safetensors``."""


@dataclass(frozen=True)
class Score:
    """What the ensemble and the best trial alone reach on a split."""

    rows: int
    ensemble: float
    best: float


@dataclass(frozen=True)
class Ensemble:
    """Trials of a sweep whose predictions are averaged: class probabilities, or a quantity."""

    score: str
    """What the members were selected by: ``accuracy``; of a quantity ``rmse`` or ``mae``."""
    data_sha256: str
    """The fingerprint of the data that all members were trained on; of folds that of the first."""
    candidates: int
    """Trials that could be selected."""
    left_out: Mapping[str, int]
    """How many trials could not, by why."""
    rounds: int
    """Of the selection."""
    members: Sequence[Member]
    """The heaviest first; of a trial with folds its runs follow each other."""
    best: Member
    """The best trial alone, by the same score; its weight is that in the ensemble, or 0.

    With folds this is the run of the first one, and the scores are those of all of them together.
    """
    scores: Mapping[str, Score]
    """By split: ``validation``, on which the members were selected, and ``test``, if any."""
    provenance: Mapping[str, Any]
    """Where the numbers come from."""
    further_scores: Mapping[str, Mapping[str, Score]] = field(default_factory=dict[str, Any])
    """Of a quantity those that decided nothing, by name, as `scores`; of classes there are none."""
    folds: int = 1
    """How many runs each trial has, one for each fold of the rows."""

    @property
    def all_scores(self) -> dict[str, Mapping[str, Score]]:
        """By name, then by split; first the one that the members were selected by."""
        return {self.score: self.scores, **self.further_scores}

    @property
    def of_folds(self) -> str:
        """How many nets a trial is, in words; empty for one."""
        return f", {self.folds} folds each" if self.folds > 1 else ""

    @property
    def trials(self) -> list[tuple[int, float]]:
        """The trials that were selected and their weights, each by the number of its first run."""
        return [(one.trial, one.weight * self.folds) for one in self.members[:: self.folds]]


def write(path: Path, ensemble: Ensemble) -> None:
    """Write the file atomically.

    Raises:
        RecordError: it cannot be written; what was there before is unchanged.
    """
    facts = asdict(ensemble)
    for name, usual in USUAL.items():
        if facts[name] == usual:
            del facts[name]
    write_atomically(path, as_json(add_seal(facts)))


def read(path: Path) -> Ensemble:
    """An ensemble, as its file vouches for it.

    Raises:
        FolderError: the file cannot be read, or is not as it was written.
    """
    try:
        content, facts = read_bounded(path, LARGEST_JSON), read_json(path)
        if not is_genuine(content):
            raise ValueError("it changed after it was written")
        return _typed(facts)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        why = getattr(error, "strerror", None) or one_line(error)
        raise FolderError(f"{path} cannot be read: {why}") from error


def _typed(facts: dict[str, Any]) -> Ensemble:
    """The facts as an ensemble, each of its kind; else a ValueError, KeyError or TypeError."""
    facts = {**USUAL, **facts}
    known = {one.name: facts[one.name] for one in fields(Ensemble)}
    known["members"] = members = [_member(one) for one in known["members"]]
    known["best"] = _member(known["best"])
    known["scores"] = _scores(known["scores"])
    further = known["further_scores"].items()
    known["further_scores"] = {str(name): _scores(scores) for name, scores in further}
    if abs(sum(one.weight for one in members) - 1) > 1e-9:
        raise ValueError("the weights of its members do not add up to 1")
    if known["folds"] not in FOLDS or len(members) % known["folds"]:
        raise ValueError("a trial does not have a member for each fold")
    return Ensemble(**known)


def _scores(facts: dict[str, Any]) -> dict[str, Score]:
    return {str(split): Score(**one) for split, one in facts.items()}


def _member(facts: dict[str, Any]) -> Member:
    trial, weight = facts["trial"], facts["weight"]
    if trial not in TRIAL or weight not in WEIGHT:
        raise ValueError("a member has no number or no weight")
    return Member(**facts)
