"""Trials with the point of an earlier one, which samplers propose again in a finite space."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence

from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from fcsweep.search.outcomes import Outcome
from fcsweep.search.study.study import FOLDER

REUSED = "reused"
"""User attribute of a trial that took the values of an earlier one: that one's number."""


def duplicates(study: Study, reused: bool) -> list[str]:
    """``12 of 20 trials have the point of an earlier one``, and what can be done; empty for none.

    Args:
        study: that was searched.
        reused: whether they took its value.
    """
    points = [_point(trial) for trial in _trials(study) if trial.state.is_finished()]
    count = len(points) - len(set(points))
    if not count:
        return []
    have = "has" if count == 1 else "have"
    end = "" if reused else "; hydra.sweeper.duplicates=reuse takes its value"
    return [f"{count} of {len(points)} trials {have} the point of an earlier one{end}"]


def reuse(study: Study, outcomes: Mapping[int, Outcome | None]) -> dict[int, Outcome]:
    """The ends of trials whose point was completed before; the study keeps whose values they are.

    Args:
        study: that is searched.
        outcomes: of the trials of a batch, by number; None for one that is still to be run.
    """
    first: dict[Hashable, FrozenTrial] = {}
    found: dict[int, Outcome] = {}
    for trial in _trials(study):
        earlier = first.get(_point(trial))
        outcome = outcomes.get(trial.number)
        if trial.state is TrialState.COMPLETE or (outcome and outcome.state is TrialState.COMPLETE):
            first.setdefault(_point(trial), trial)
        elif earlier is not None and trial.number in outcomes and outcome is None:
            known = outcomes.get(earlier.number)
            values = known.values if known else tuple(earlier.values)
            _refer(study, trial, earlier)
            reason = f"the value of trial {earlier.number}"
            found[trial.number] = Outcome(TrialState.COMPLETE, values, "reused", reason)
    return found


def distinct(study: Study, numbers: Sequence[int]) -> list[int]:
    """Of the trials with these numbers the first with each point."""
    points = {trial.number: _point(trial) for trial in _trials(study)}
    return list({points[number]: number for number in reversed(numbers)}.values())[::-1]


def _refer(study: Study, trial: FrozenTrial, earlier: FrozenTrial) -> None:
    notes = {REUSED: earlier.number, FOLDER: earlier.user_attrs.get(FOLDER)}
    for name, note in notes.items():
        if note is not None:
            study._storage.set_trial_user_attr(trial._trial_id, name, note)


def _point(trial: FrozenTrial) -> Hashable:
    return tuple(sorted(trial.params.items()))


def _trials(study: Study) -> Sequence[FrozenTrial]:
    return study.get_trials(deepcopy=False)
