"""A study as the trials of one batch may see it: what had ended in time, and the batch itself.

Batch ``b`` holds the numbers from ``b * size``. Its sampler and its pruner know the batches up to
``b - ahead``, which have all ended, and those of its own trials that were asked before; nothing
else. So what is drawn and what is pruned depends on the numbers alone, and not on how many workers
there are, which of them was faster, or when one was killed.
"""

from __future__ import annotations

import copy
from collections.abc import Container, Mapping
from dataclasses import dataclass
from typing import Any

from optuna.pruners import BasePruner, HyperbandPruner, PatientPruner, SuccessiveHalvingPruner
from optuna.storages import BaseStorage
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

NOTED = "fcsweep:study:"
"""Prefix of a system attribute of a trial: what its sampler noted in the study as it was drawn."""
WITH_MEMORY = (HyperbandPruner, PatientPruner, SuccessiveHalvingPruner)
"""Pruners that settle their resources by the first completed trials that they see."""


@dataclass(frozen=True)
class Batches:
    """How the trials of a study are cut into batches."""

    size: int
    ahead: int = 1
    """How many may be under way at once."""

    def of(self, trial: int) -> int:
        """The batch of a trial."""
        return trial // self.size

    def numbers(self, batch: int) -> range:
        """The trials of a batch."""
        return range(batch * self.size, (batch + 1) * self.size)

    def past(self, batch: int) -> range:
        """The trials that had all ended when a batch was asked."""
        return range(max(batch - self.ahead + 1, 0) * self.size)


class Window:
    """A storage that shows some trials of a study.

    Args:
        storage: with all of them.
        past: the numbers of those that have ended.
        own: the numbers of those that are under way.
    """

    def __init__(self, storage: Any, past: Container[int], own: range) -> None:
        self._storage, self._past, self._own = storage, past, own
        self.until = own.stop
        """Of its own trials, those below this number are shown."""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._storage, name)

    def get_all_trials(
        self, study_id: int, deepcopy: bool = True, states: Any = None
    ) -> list[FrozenTrial]:
        """Those that are shown."""
        trials = self._storage.get_all_trials(study_id, deepcopy=deepcopy, states=states)
        return [one for one in trials if self._shows(one.number)]

    def _shows(self, number: int) -> bool:
        return number in self._past or (number in self._own and number < self.until)

    get_best_trial: Any = BaseStorage.get_best_trial  # of those

    def get_study_system_attrs(self, study_id: int) -> Mapping[str, Any]:
        """What samplers have noted in the study as they drew the trials that are shown."""
        noted = dict(self._storage.get_study_system_attrs(study_id))
        for trial in self.get_all_trials(study_id, deepcopy=False):
            of_study = [name for name in trial.system_attrs if name.startswith(NOTED)]
            noted |= {name.removeprefix(NOTED): trial.system_attrs[name] for name in of_study}
        return noted

    def set_study_system_attr(self, study_id: int, key: str, value: Any) -> None:
        """Note it in the trial that is being drawn: who sees the trial sees it."""
        last = self.get_all_trials(study_id, deepcopy=False)[-1]
        self._storage.set_trial_system_attr(last._trial_id, f"{NOTED}{key}", value)


def view(study: Study, batches: Batches, batch: int) -> Study:
    """The study as the trials of a batch may see it."""
    seen = _seen(study, batches, batch, batches.numbers(batch))
    seen.pruner = _pruner(study, batches, batch)
    return seen


def show_until(seen: Study, number: int | None = None) -> None:
    """Let a `view` show its own trials up to a number; None for all."""
    window: Any = seen._storage
    window.until = window._own.stop if number is None else number + 1
    seen._thread_local.cached_all_trials = None


def numbered(study: Study, number: int) -> FrozenTrial:
    """The trial with a number, whether a `view` shows it or not."""
    storage = study._storage
    found = storage.get_trial_id_from_study_id_trial_number(study._study_id, number)
    return storage.get_trial(found)


def _seen(study: Study, batches: Batches, batch: int, own: range) -> Study:
    seen = copy.copy(study)
    window: Any = Window(study._storage, batches.past(batch), own)
    seen._storage = window
    return seen


def _pruner(study: Study, batches: Batches, batch: int) -> BasePruner:
    """The pruner as it is when a batch is drawn, had it decided on all batches before.

    It has settled by the first batch that knew of a completed trial and reported, if that is past.
    """
    if not isinstance(study.pruner, WITH_MEMORY):
        return study.pruner
    pruner, trials = copy.deepcopy(study.pruner), study.get_trials(deepcopy=False)
    completed = (one.number for one in trials if one.state is TrialState.COMPLETE)
    knew = batches.of(next(completed, len(trials))) + batches.ahead
    for trial in trials[knew * batches.size : batches.past(batch).stop]:
        if trial.last_step is not None:
            first = _seen(study, batches, batches.of(trial.number), range(0))
            first._storage = Unwritten(first._storage)  # type: ignore[assignment]
            pruner.prune(first, trial)
            break
    return pruner


class Unwritten:
    """A storage in which what a pruner notes of a trial waits until it is written, if ever.

    Successive halving notes the rung that a trial has completed, and would let pass a trial that
    was killed between that note and its end.
    """

    def __init__(self, storage: Any) -> None:
        self._storage = storage
        self._waiting: list[tuple[Any, ...]] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._storage, name)

    def set_trial_system_attr(self, *note: Any) -> None:
        """Keep a note for later."""
        self._waiting.append(note)

    def write(self) -> None:
        """Write what has waited."""
        for note in self._waiting:
            self._storage.set_trial_system_attr(*note)
