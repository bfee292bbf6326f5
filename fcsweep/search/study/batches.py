"""Which trials come next, and their parameters.

Trials are asked in batches fixed by their numbers. Whoever works on a study claims a batch, trains
it and tells it when it has ended; one whose worker has ended before is claimed by another.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass

from optuna.distributions import (
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.pruners import NopPruner
from optuna.samplers import RandomSampler
from optuna.study import Study
from optuna.trial import FrozenTrial, Trial, TrialState

from fcsweep.search.space import Space
from fcsweep.search.study.window import Batches, numbered

Extend = Callable[[Trial], None]
"""Asks a trial for more parameters (``custom_search_space``)."""


@dataclass(frozen=True)
class Batch:
    """Trials to work on next."""

    number: int
    running: list[int]
    """Numbers of trials that are asked already and have not ended."""
    to_ask: int
    """How many more to ask."""


def next_batch(
    trials: Sequence[FrozenTrial], batches: Batches, n_trials: int, taken: Container[int] = ()
) -> Batch | None:
    """The batch that a worker may take now; None while there is none.

    The first that nobody works on, from a worker that has ended; else the next one, if the batches
    that it may know of have ended. The last batch may be smaller.

    Args:
        trials: all of the study.
        batches: how they are cut.
        n_trials: how many there are to be.
        taken: batches that others work on.
    """
    under_way: dict[int, list[int]] = {}
    for trial in trials:
        if trial.state is TrialState.RUNNING:
            under_way.setdefault(batches.of(trial.number), []).append(trial.number)
    newest = batches.of(len(trials))
    missing = max(min(batches.numbers(newest).stop, n_trials) - len(trials), 0)
    for batch, running in under_way.items():
        if batch not in taken:
            told = len(running) < len(trials[batches.numbers(batch).start :][: batches.size])
            return Batch(batch, running, 0 if told or batch != newest else missing)
    past = batches.past(newest)
    waiting = newest in taken or any(batches.numbers(batch).start in past for batch in under_way)
    waiting = waiting or newest in under_way
    return None if waiting or not missing else Batch(newest, [], missing)


def create(study: Study) -> int:
    """The number of a new trial, whose parameters are still to be drawn."""
    study = copy.copy(study)
    study.sampler, study.pruner = RandomSampler(0), NopPruner()  # nothing is asked of them
    return study.ask().number


def draw(study: Study, number: int, space: Space, extend: Extend | None) -> Trial:
    """A trial with its parameters, of which a kill may have cut some off, drawn."""
    trial = Trial(study, numbered(study, number)._trial_id)
    for name, distribution in space.distributions.items():
        if not space.has(name, trial.params):
            continue
        match distribution:
            case CategoricalDistribution(choices=choices):
                trial.suggest_categorical(name, choices)
            case FloatDistribution(low=low, high=high, step=step, log=log):
                trial.suggest_float(name, low, high, step=step, log=log)
            case IntDistribution(low=low, high=high, step=step, log=log):
                trial.suggest_int(name, low, high, step=step, log=log)
            case _:  # the space holds no other
                raise TypeError(f"{name} has an unknown distribution: {distribution}")
    if extend is not None:
        extend(trial)
    return trial
